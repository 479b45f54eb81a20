"""The pool: clones made ahead on connections of its own, as many as are being used up.

Each clone that is taken is replaced; each time there was none to take, one more is made ahead from then on,
up to a bound. So over all runners of a server there are never more than were taken and the sum of the bounds.
Ready clones are in the book, and whoever comes first takes them: runners share one pool without knowing of
each other.

Where PostgreSQL can prove it, a clone that its test only read, or only wrote rows to, is put back instead of
dropped, before anything is made or dropped: it counts as coming, and no other is made for it. So tests that
come one after the other have two databases in turns, and none is made any more. Only what this runner took is
put back, so that there still are never more than were taken at once and the sum of the bounds. Where all that
takes longer than to make databases and drop them, it is left (see ``worth``).

Where several are missing two are made at once, since half of what a copy takes is waiting for the server's
checkpoints. Dropping waits until some have come together, and makes way whenever one is missing. Where data
is durable it comes first instead, and only one is made ahead: each drop makes a checkpoint, which syncs every
file of every other clone that is new, while a clone that is dropped before any checkpoint costs no disk.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.clones import database_names
from pgslate.clones.connections import is_lost
from pgslate.clones.database_copy import drop
from pgslate.clones.demand import Account
from pgslate.clones.new_clone import Made, Maker, TemplateGoneError
from pgslate.clones.reaper import reap_in
from pgslate.clones.registry import Book
from pgslate.clones.returns import Returns
from pgslate.clones.reuse import NotReusableError
from pgslate.clones.template import Template
from pgslate.errors import LockTimeoutError, PgslateError

#: From so many discarded clones on they are dropped, and from so many on they come first.
BATCH, MOST_DISCARDED = 8, 32

#: So many clones are made at once.
MAKERS = 2

#: Seconds without work after which a connection is closed, for others to have.
IDLE = 5.0


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker does on its connection, and what is to be said afterwards, however it ended."""

    work: Callable[[psycopg.Connection[Any]], None]
    over: Callable[[], None]


class Pool:
    """A runner's share of the server's pool; ``close()`` drops what it made and nobody took.

    ``ahead`` is the most that it makes ahead of each template (one, where fsync is on); 0 makes nothing
    ahead, and puts nothing back, as without ``reuse``. On an ephemeral server nothing is dropped at the end.
    With ``threads`` each clone that is made for somebody who waits gets a connection of its own, so that
    others needn't wait for it.
    """

    def __init__(
        self,
        book: Book,
        *,
        ahead: int = 4,
        reuse: bool = True,
        threads: bool = False,
    ) -> None:
        self._book = book
        self._ahead = min(ahead, 1) if book.facts.durable else ahead
        self._threads = threads
        self._to_reap, self._reaping = not book.ephemeral, False
        self._batch, self._most_discarded = (1, 1) if book.facts.durable else (BATCH, MOST_DISCARDED)
        self._drops_at_once = book.facts.durable and not ahead and not threads
        self._returns = Returns(book) if reuse and ahead and book.facts.counts else None
        self._maker = Maker(book, self._returns)
        self._state = threading.Condition()
        self._accounts: dict[str, Account] = {}
        self._taken: dict[str, Account] = {}
        self._to_return: deque[tuple[str, Account]] = deque()
        self._discarded = 0
        self._dropping = False
        self._draining = False
        self._closing = False
        self._workers: list[threading.Thread] = []

    def take(self, template: Template, what: str) -> tuple[str, datetime]:
        """A clone's name, and the server's time; made now if none is ready.

        Raises TemplateGoneError, and TargetError where the disk is full.
        """
        with self._state:
            account = self._accounts.setdefault(template.name, Account(template))
        # Where none is made ahead, one that others made is found on the way to making one.
        found = self._book.take(template.name, what) if self._ahead or self._threads else None
        missed = found is None and not account.returning
        while found is None and self._came_meanwhile(account):
            found = self._book.take(template.name, what)
        self._replace(account, missed=missed)
        name, now = found or self._make_here(account, what)
        if self._returns is not None:
            with self._state:
                self._taken[name] = account
        return name, now

    def discard(self, name: str) -> None:
        """Nobody needs the clone any more; it is put back, or dropped when there is time for it."""
        with self._state:
            account = self._taken.pop(name, None)
            reusable = account is not None and not self._closing and account.worth.is_a_try()
        if account is not None and reusable:
            self._book.returns(name)
            with self._state:
                account.returns()
                self._to_return.append((name, account))
                self._start()
                self._state.notify_all()
            return
        self._book.done_with(name)
        if self._drops_at_once:
            with contextlib.suppress(psycopg.Error, PgslateError):  # else at the end, or by the reaper
                self._book.run(lambda connection: self._drop(connection, name))
            return
        with self._state:
            self._discarded += 1
            self._start()
            self._state.notify_all()

    def close(self) -> None:
        """Drop what this runner made or took; safe to repeat."""
        with self._state:
            if self._closing:
                return
            self._closing = True
            self._book.hurry()
            self._state.notify_all()
        for worker in list(self._workers):
            worker.join()
        if not self._book.ephemeral:
            with contextlib.suppress(psycopg.OperationalError, PgslateError):  # gone, and our things with it
                self._book.run(self._drop_everything)

    # -- in the caller's thread

    def _came_meanwhile(self, account: Account) -> bool:
        """Whether another thread was just making one, or putting one back, for us, and is done with it."""
        with self._state:
            if self._closing or account.coming <= account.waiting:
                return False
            before = account.came
            account.waiting += 1
            try:
                return self._state.wait_for(
                    lambda: self._closing or account.came > before or not account.coming, timeout=30.0
                )
            finally:
                account.waiting -= 1

    def _replace(self, account: Account, *, missed: bool) -> None:
        with self._state:
            if self._ahead:
                account.taken(missed=missed, ahead=self._ahead)
                self._start()
                self._state.notify_all()

    def _make_here(self, account: Account, what: str) -> tuple[str, datetime]:
        def make(connection: psycopg.Connection[Any]) -> Made:
            return self._make(connection, account, state="taken", what=what)

        if self._threads:
            with self._book.connect() as connection:
                made = make(connection)
        else:
            try:
                made = self._book.run(make)
            except PgslateError:  # no room: make some, then try again
                if not self._discarded:
                    raise
                self._book.run(self._drop_discarded)
                made = self._book.run(make)
        self._book.hold(made.name, account.template.name, what)
        return made.name, made.now

    def _make(
        self, connection: psycopg.Connection[Any], account: Account, *, state: str, what: str = ""
    ) -> Made:
        made = self._maker.make(connection, account.template, state=state, what=what)
        if made.seconds is not None:
            with self._state:
                account.worth.copied(made.seconds)
        return made

    # -- in the other threads

    def _start(self) -> None:
        """Have a worker where there is something to do, and another where the one is busy."""
        accounts = self._accounts.values()
        making, owed = any(one.making > 0 for one in accounts), any(one.owed > 0 for one in accounts)
        returns = sum(one.returning for one in accounts)
        busy = (making and owed) or (returns and (making or self._dropping or self._reaping or returns > 1))
        if not self._closing and len(self._workers) < (MAKERS if busy else 1):
            worker = threading.Thread(target=self._work, name="pgslate-pool", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        renewed_after = self._book.lease / 4
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
                        self._book.renew()
                    continue
                try:
                    if connection is None or connection.closed:
                        connection = self._book.connect()
                    job.work(connection)
                except psycopg.Error as error:
                    if connection is not None and is_lost(error):
                        connection.close()
                    self._give_up()
                except (PgslateError, TemplateGoneError):  # the caller's thread will meet it, and say so
                    self._give_up()
                finally:
                    with self._state:
                        job.over()
                        self._state.notify_all()
        finally:
            if connection is not None:
                connection.close()
            with self._state:  # where a fault of ours ended it, another may go on
                self._workers.remove(threading.current_thread())
                if self._to_return:
                    self._start()

    def _next_job(self, wait: float) -> _Job | None:
        """What to do now; ``_IDLE`` where nothing came up for ``wait`` seconds, None at the end."""
        with self._state:
            while not self._closing:
                if self._to_return:
                    return self._to_put_back(*self._to_return.popleft())
                if self._discarded >= self._most_discarded and not self._dropping:
                    return self._to_drop()
                for account in self._accounts.values():
                    if account.owed > 0:
                        return self._to_make(account)
                if self._discarded >= (1 if self._draining else self._batch) and not self._dropping:
                    return self._to_drop()
                if self._to_reap:
                    self._to_reap, self._reaping = False, True
                    return _Job(self._reap, self._reaped)
                if not self._state.wait(wait):
                    return self._to_drop() if self._discarded and not self._dropping else _IDLE
            return None

    def _to_make(self, account: Account) -> _Job:
        def work(connection: psycopg.Connection[Any]) -> None:
            made = self._make(connection, account, state="making")
            self._book.made(made.name, connection)

        account.begin()
        return _Job(work, account.made)

    def _to_put_back(self, name: str, account: Account) -> _Job:
        is_back = False
        began: float | None = None

        def work(connection: psycopg.Connection[Any]) -> None:
            nonlocal is_back, began
            began = time.perf_counter()
            assert self._returns is not None, "nothing else fills the queue"
            with contextlib.suppress(NotReusableError):
                self._returns.put_back(connection, name)
                is_back = True

        def over() -> None:
            if began is not None:  # else there was no connection, which says nothing of reuse
                account.worth.tried(time.perf_counter() - began, came_back=is_back)
            account.returned(came_back=is_back)
            if not is_back:
                self._discarded += 1
                self._start()

        return _Job(work, over)

    def _to_drop(self) -> _Job:
        """One at a time, so that making needn't wait for long."""

        def over() -> None:
            self._dropping = False
            self._draining = self._discarded > 0

        self._discarded -= 1
        self._dropping = True
        return _Job(self._drop_oldest, over)

    def _reap(self, connection: psycopg.Connection[Any]) -> None:
        """Once a run: what others have left behind."""
        with contextlib.suppress(LockTimeoutError):  # another runner is at it
            reap_in(self._book, timeout=0.05)

    def _reaped(self) -> None:
        self._reaping = False

    def _give_up(self) -> None:
        with self._state:
            for account in self._accounts.values():
                account.give_up()

    # -- dropping, in whichever thread

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
            "UPDATE clone SET state = 'done' WHERE runner = %s AND state <> 'kept'", [self._book.runner]
        )
        self._drop_discarded(connection)

    def _discarded_names(self, connection: psycopg.Connection[Any]) -> list[str]:
        """Oldest first: the sessions of its test have gone by now."""
        rows = connection.execute(
            "SELECT name FROM clone WHERE runner = %s AND state = 'done' ORDER BY right(name, 32)",
            [self._book.runner],
        )
        return [row[0] for row in rows]

    def _drop(self, connection: psycopg.Connection[Any], name: str) -> None:
        began = time.perf_counter()
        drop(connection, name, force=True)
        took = time.perf_counter() - began
        self._book.gone(name, connection)
        clone = database_names.parse(name)
        with self._state:
            if clone is not None and clone.template in self._accounts:
                self._accounts[clone.template].worth.dropped(took)


_IDLE = _Job(lambda connection: None, lambda: None)
"""The job of having none."""
