"""The pool: makes clones ahead, as many as are being used up, on connections of its own.

Each clone that is taken is replaced. Each time that none was ready, one more is made ahead from then on, up
to a bound. So all runners of a server together never have more clones than were taken plus the sum of the
bounds. Ready clones are in the registry, where any runner takes them: runners share one pool without knowing
each other.

If PostgreSQL can prove that a test only read, or only wrote rows, its clone is reset instead of dropped (see
``recycler``), before anything else is made or dropped, and no other clone is made in its place. So tests that
run one after the other alternate between two databases. A runner resets only the clones that it took itself.
If several tests in a row change more than rows, their template's clones are dropped without a try, and one in
``PAUSE`` is tried again.

If several clones are missing, two are made at once, because a copy waits half of its time for the server's
checkpoints. Dropping waits until some clones have come together, and until no clone is missing. With fsync
on, dropping comes first and only one clone is made ahead: each drop makes a checkpoint, which syncs every
file of every new clone, while a clone that is dropped before a checkpoint costs no disk access.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.clones.clone import drop
from pgslate.clones.connections import is_lost
from pgslate.clones.database_copy import CloneMaker, NewClone, TemplateGoneError
from pgslate.clones.reaper import reap_in
from pgslate.clones.recycler import Recycler
from pgslate.clones.registry import Registry
from pgslate.clones.reuse import NotReusableError
from pgslate.clones.template import Template
from pgslate.errors import LockTimeoutError, PgslateError

#: The number of discarded clones from which on they are dropped, and from which on dropping comes first.
BATCH, MOST_DISCARDED = 8, 32

#: The number of clones that are made at once.
MAKERS = 2

#: Seconds without work after which a worker closes its connection, so that others can have it.
IDLE = 5.0

#: After so many clones of a template in a row that could not be reset, only one in ``PAUSE`` is tried.
FRUITLESS, PAUSE = 3, 16


@dataclass(slots=True)
class Demand:
    """What the pool has to do for one template: numbers only, guarded by the pool's lock.

    Attributes:
        ahead: how many clones are to be made ahead, so far.
        owed: how many clones are still to be made; below zero if more came back than are missing.
        making, resetting: how many are being made, and reset, now.
        arrived: how many were ever made or reset.
        waiting: how many threads wait for one.
        fruitless: how many in a row could not be reset.
        untried: how many were dropped without a try since the last try.
    """

    template: Template
    ahead: int = 0
    owed: int = 0
    making: int = 0
    resetting: int = 0
    arrived: int = 0
    waiting: int = 0
    fruitless: int = 0
    untried: int = 0

    @property
    def coming(self) -> int:
        """How many clones are being made or reset."""
        return self.making + self.resetting

    def taken(self, *, missed: bool, at_most: int) -> None:
        """One clone was taken, so another is owed. If none was ready, make one more ahead from now on.

        >>> demand = Demand(Template("pgslate_0123456789ab", "orders", "objects"))
        >>> demand.taken(missed=True, at_most=4)
        >>> demand.owed, demand.ahead
        (1, 1)
        """
        if missed and self.ahead < at_most:
            self.ahead += 1
        self.owed = min(self.owed + 1, self.ahead - self.coming)

    def is_worth_a_try(self) -> bool:
        """Whether to try to reset the clone that was just given back; call it once for each.

        >>> demand = Demand(Template("pgslate_0123456789ab", "orders", "objects"), fruitless=FRUITLESS)
        >>> [demand.is_worth_a_try() for _ in range(PAUSE)].index(True) + 1 == PAUSE
        True
        """
        if self.fruitless < FRUITLESS:
            return True
        self.untried = (self.untried + 1) % PAUSE
        return self.untried == 0

    def begin_reset(self) -> None:
        """A clone is about to be reset, so no other has to be made in its place."""
        self.owed -= 1
        self.resetting += 1

    def end_reset(self, *, succeeded: bool) -> None:
        """A clone was reset, or is to be dropped."""
        self.resetting -= 1
        if succeeded:
            self.arrived += 1
            self.fruitless = 0
        else:
            self.owed += 1
            self.fruitless += 1

    def begin_making(self) -> None:
        """A clone that is owed is being made."""
        self.owed -= 1
        self.making += 1

    def end_making(self) -> None:
        """The clone was made, or making it failed."""
        self.making -= 1
        self.arrived += 1

    def give_up(self) -> None:
        """Make none ahead until another is taken."""
        self.owed = min(self.owed, 0)


@dataclass(frozen=True, slots=True)
class _Job:
    """The work of a worker on its connection, and what is done afterwards however the work ended."""

    work: Callable[[psycopg.Connection[Any]], None]
    afterwards: Callable[[], None]


_IDLE = _Job(lambda connection: None, lambda: None)
"""There was nothing to do for a while."""


class Pool:
    """A runner's share of the server's pool. ``close()`` drops everything that it made or took.

    Args:
        registry: the registry of the server.
        ahead: how many clones of each template are made ahead at most (with fsync on: one at most). With 0,
            none is made ahead and none is reset.
        reuse: reset clones that were given back.
        threads: several threads take clones at once. A thread that makes a clone for itself then uses a
            connection of its own, so that the others need not wait.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        ahead: int = 4,
        reuse: bool = True,
        threads: bool = False,
    ) -> None:
        durable = registry.facts.durable
        self._registry = registry
        self._ahead = min(ahead, 1) if durable else ahead
        self._threads = threads
        self._to_reap, self._reaping = not registry.ephemeral, False
        self._batch, self._most_discarded = (1, 1) if durable else (BATCH, MOST_DISCARDED)
        self._drops_at_once = durable and not ahead and not threads
        self._recycler = Recycler(registry) if reuse and ahead and registry.facts.counts else None
        self._maker = CloneMaker(registry, self._recycler)
        self._state = threading.Condition()
        self._demands: dict[str, Demand] = {}
        self._taken: dict[str, Demand] = {}
        self._to_reset: deque[tuple[str, Demand]] = deque()
        self._discarded = 0
        self._dropping = False
        self._draining = False
        self._closing = False
        self._workers: list[threading.Thread] = []

    def take(self, template: Template, purpose: str) -> tuple[str, datetime]:
        """Take a clone, made now if none is ready. Returns its name, and the server's time.

        Raises TemplateGoneError, and TargetError if the disk is full.
        """
        with self._state:
            demand = self._demands.setdefault(template.name, Demand(template))
        # If none is made ahead, one that other runners made is found on the way to making one.
        found = self._registry.take(template.name, purpose) if self._ahead or self._threads else None
        missed = found is None and not demand.resetting
        while found is None and self._another_arrived(demand):
            found = self._registry.take(template.name, purpose)
        self._replace(demand, missed=missed)
        name, now = found or self._make_here(demand, purpose)
        if self._recycler is not None:
            with self._state:
                self._taken[name] = demand
        return name, now

    def discard(self, name: str) -> None:
        """Nobody needs the clone any more: reset it, or drop it when there is time."""
        with self._state:
            demand = self._taken.pop(name, None)
            resets = demand is not None and not self._closing and demand.is_worth_a_try()
        if demand is not None and resets:
            self._registry.mark_returning(name)
            with self._state:
                demand.begin_reset()
                self._to_reset.append((name, demand))
                self._start()
                self._state.notify_all()
            return
        self._registry.mark_done(name)
        if self._drops_at_once:
            with contextlib.suppress(psycopg.Error, PgslateError):  # then at the end, or by the reaper
                self._registry.run(lambda connection: self._drop(connection, name))
            return
        with self._state:
            self._discarded += 1
            self._start()
            self._state.notify_all()

    def close(self) -> None:
        """Drop everything that this runner made or took, unless the server ends with it; safe to repeat."""
        with self._state:
            if self._closing:
                return
            self._closing = True
            self._registry.hurry()
            self._state.notify_all()
        for worker in list(self._workers):
            worker.join()
        if not self._registry.ephemeral:
            with contextlib.suppress(psycopg.OperationalError, PgslateError):  # the server has ended
                self._registry.run(self._drop_everything)

    # -- in the caller's thread

    def _another_arrived(self, demand: Demand) -> bool:
        """Wait for a clone that another thread is making or resetting; return whether one arrived."""
        with self._state:
            if self._closing or demand.coming <= demand.waiting:
                return False
            before = demand.arrived
            demand.waiting += 1
            try:
                return self._state.wait_for(
                    lambda: self._closing or demand.arrived > before or not demand.coming, timeout=30.0
                )
            finally:
                demand.waiting -= 1

    def _replace(self, demand: Demand, *, missed: bool) -> None:
        with self._state:
            if self._ahead:
                demand.taken(missed=missed, at_most=self._ahead)
                self._start()
                self._state.notify_all()

    def _make_here(self, demand: Demand, purpose: str) -> tuple[str, datetime]:
        def make(connection: psycopg.Connection[Any]) -> NewClone:
            return self._maker.make(connection, demand.template, state="taken", purpose=purpose)

        if self._threads:
            with self._registry.connect() as connection:
                made = make(connection)
        else:
            try:
                made = self._registry.run(make)
            except PgslateError:  # no room: drop what was discarded, then try again
                if not self._discarded:
                    raise
                self._registry.run(self._drop_discarded)
                made = self._registry.run(make)
        self._registry.hold(made.name, demand.template.name, purpose)
        return made.name, made.now

    # -- in the workers' threads

    def _start(self) -> None:
        """Start a worker if there is none, or a second one if the first can't do all that is due."""
        demands = self._demands.values()
        making, owed = any(one.making > 0 for one in demands), any(one.owed > 0 for one in demands)
        resets = sum(one.resetting for one in demands)
        busy = (making and owed) or (resets and (making or self._dropping or self._reaping or resets > 1))
        if not self._closing and len(self._workers) < (MAKERS if busy else 1):
            worker = threading.Thread(target=self._work, name="pgslate-pool", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        renewed_after = self._registry.lease / 4
        try:
            while True:
                job = self._next_job(min(renewed_after, IDLE))
                if job is None:
                    return
                if job is _IDLE:
                    if connection is not None:
                        connection.close()
                    connection = None
                    with contextlib.suppress(psycopg.Error, PgslateError):
                        self._registry.renew()
                    continue
                try:
                    if connection is None or connection.closed:
                        connection = self._registry.connect()
                    job.work(connection)
                except psycopg.Error as error:
                    if connection is not None and is_lost(error):
                        connection.close()
                    self._give_up()
                except (PgslateError, TemplateGoneError):  # the caller's thread will meet it and raise it
                    self._give_up()
                finally:
                    with self._state:
                        job.afterwards()
                        self._state.notify_all()
        finally:
            if connection is not None:
                connection.close()
            with self._state:  # if a bug ended this worker, another goes on
                self._workers.remove(threading.current_thread())
                if self._to_reset:
                    self._start()

    def _next_job(self, wait: float) -> _Job | None:
        """The next job; ``_IDLE`` if nothing came up for ``wait`` seconds, None when the pool closes."""
        with self._state:
            while not self._closing:
                if self._to_reset:
                    return self._reset_job(*self._to_reset.popleft())
                if self._discarded >= self._most_discarded and not self._dropping:
                    return self._drop_job()
                for demand in self._demands.values():
                    if demand.owed > 0:
                        return self._make_job(demand)
                if self._discarded >= (1 if self._draining else self._batch) and not self._dropping:
                    return self._drop_job()
                if self._to_reap:
                    self._to_reap, self._reaping = False, True
                    return _Job(self._reap, self._end_reaping)
                if not self._state.wait(wait):
                    return self._drop_job() if self._discarded and not self._dropping else _IDLE
            return None

    def _make_job(self, demand: Demand) -> _Job:
        def work(connection: psycopg.Connection[Any]) -> None:
            made = self._maker.make(connection, demand.template)
            self._registry.mark_ready(made.name, connection)

        demand.begin_making()
        return _Job(work, demand.end_making)

    def _reset_job(self, name: str, demand: Demand) -> _Job:
        succeeded = False

        def work(connection: psycopg.Connection[Any]) -> None:
            nonlocal succeeded
            assert self._recycler is not None, "nothing else fills the queue"
            with contextlib.suppress(NotReusableError):
                self._recycler.reset(connection, name)
                succeeded = True

        def afterwards() -> None:
            demand.end_reset(succeeded=succeeded)
            if not succeeded:
                self._discarded += 1
                self._start()

        return _Job(work, afterwards)

    def _drop_job(self) -> _Job:
        """Drop only one clone, so that making another need not wait for long."""

        def afterwards() -> None:
            self._dropping = False
            self._draining = self._discarded > 0

        self._discarded -= 1
        self._dropping = True
        return _Job(self._drop_oldest, afterwards)

    def _reap(self, connection: psycopg.Connection[Any]) -> None:
        """Drop what earlier runs left behind; once in a run."""
        with contextlib.suppress(LockTimeoutError):  # another runner does it
            reap_in(self._registry, timeout=0.05)

    def _end_reaping(self) -> None:
        self._reaping = False

    def _give_up(self) -> None:
        with self._state:
            for demand in self._demands.values():
                demand.give_up()

    # -- dropping, in any thread

    def _drop_oldest(self, connection: psycopg.Connection[Any]) -> None:
        for name in self._discarded_names(connection)[:1]:
            self._drop(connection, name)

    def _drop_discarded(self, connection: psycopg.Connection[Any]) -> None:
        with self._state:
            self._discarded = 0
        for name in self._discarded_names(connection):
            self._drop(connection, name)

    def _drop_everything(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(
            "UPDATE clone SET state = 'done' WHERE runner = %s AND state <> 'kept'", [self._registry.runner]
        )
        self._drop_discarded(connection)

    def _discarded_names(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Oldest first, because the sessions of their tests have left by now."""
        rows = connection.execute(
            "SELECT name FROM clone WHERE runner = %s AND state = 'done' ORDER BY right(name, 32)",
            [self._registry.runner],
        )
        return [row[0] for row in rows]

    def _drop(self, connection: psycopg.Connection[Any], name: str) -> None:
        drop(connection, name, force=True)
        self._registry.forget(name, connection)
