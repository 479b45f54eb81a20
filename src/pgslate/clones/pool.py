"""The pool: clones made ahead on a connection of its own, as many as are being used up.

Each clone that is taken is replaced; each time there was none to take, one more is made ahead from then on,
up to a bound. So over all runners of a server there are never more than were taken and the sum of the bounds.
Ready clones are in the book, and whoever comes first takes them: runners share one pool without knowing of
each other. Dropping waits until there is nothing to make, and is done in batches.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psycopg

from pgslate.clones.book import Book
from pgslate.clones.cloning import Copier, drop
from pgslate.clones.connecting import is_lost
from pgslate.clones.reaper import reap_in
from pgslate.clones.template import Template, is_complete
from pgslate.errors import LockTimeoutError, PgslateError

#: So many discarded clones are dropped together, and so many may wait before they come first.
BATCH, MOST_DISCARDED = 8, 32

#: Seconds without work after which the second connection is closed, for others to have.
IDLE = 5.0


class TemplateGoneError(Exception):
    """The template was dropped, or opened by somebody; it has to be made again."""


class Pool:
    """A runner's share of the server's pool; ``close()`` drops what it made and nobody took.

    ``ahead`` is the most that it makes ahead of each template; 0 makes nothing ahead. With ``ephemeral``
    nothing is dropped at the end, since the server ends, too. With ``threads`` each clone that is
    made for somebody who waits gets a connection of its own, so that others needn't wait for it.
    """

    def __init__(self, book: Book, *, ahead: int = 4, ephemeral: bool = False, threads: bool = False) -> None:
        self._book = book
        self._ahead = ahead
        self._ephemeral = ephemeral
        self._threads = threads
        self._to_reap = not ephemeral
        self._known: dict[str, dict[str, list[float]]] = {}
        self._state = threading.Condition()
        self._owed: Counter[Template] = Counter()
        self._extra: Counter[Template] = Counter()
        self._discarded = 0
        self._making: Template | None = None
        self._closing = False
        self._thread: threading.Thread | None = None

    def take(self, template: Template, what: str) -> tuple[str, datetime]:
        """A clone's name, and the server's time; made now if none is ready.

        Raises TemplateGoneError, and TargetError where the disk is full.
        """
        found = self._book.take(template.name, what)
        missed = found is None
        if found is None and self._made_meanwhile(template):
            found = self._book.take(template.name, what)
        self._replace(template, missed=missed)
        if found is not None:
            return found
        name = self._make_here(template)
        return name, self._book.take_new(name, template.name, what)

    def discard(self, name: str) -> None:
        """Nobody needs the clone any more; it is dropped when there is time for it."""
        self._book.done_with(name)
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
        if self._thread is not None:
            self._thread.join()
        if not self._ephemeral:
            with contextlib.suppress(psycopg.OperationalError, PgslateError):  # gone, and our things with it
                self._book.run(self._drop_everything)

    # -- in the caller's thread

    def _made_meanwhile(self, template: Template) -> bool:
        """Whether the other thread was just making one, and has."""
        with self._state:
            if self._making != template:
                return False
            self._state.wait_for(lambda: self._making != template, timeout=30.0)
            return True

    def _replace(self, template: Template, *, missed: bool) -> None:
        with self._state:
            if self._ahead:
                self._owed[template] += 1
                if missed and self._extra[template] < self._ahead:
                    self._extra[template] += 1
                if self._owed[template] > self._extra[template]:
                    self._owed[template] = self._extra[template]
                self._start()
                self._state.notify_all()

    def _make_here(self, template: Template) -> str:
        if self._threads:
            with self._book.connect() as connection:
                return self._make(connection, template)
        try:
            return self._book.run(lambda connection: self._make(connection, template))
        except PgslateError:  # no room: make some, then try again
            if not self._discarded:
                raise
            self._book.run(self._drop_discarded)
            return self._book.run(lambda connection: self._make(connection, template))

    def _make(self, connection: psycopg.Connection[Any], template: Template) -> str:
        if not is_complete(connection, template.name):
            raise TemplateGoneError(template.name)
        name = self._book.begin(template.name, connection)
        try:
            Copier(self._book, connection, self._known).copy(template, name)
        except BaseException as error:
            if not connection.closed:
                self._book.gone(name, connection)
            if isinstance(error, psycopg.errors.ObjectInUse | psycopg.errors.InvalidCatalogName):
                raise TemplateGoneError(template.name) from error
            raise
        return name

    # -- in the other thread

    def _start(self) -> None:
        if self._thread is None and not self._closing:
            self._thread = threading.Thread(target=self._work, name="pgslate-pool", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        renewed_after = self._book.lease / 4
        try:
            while True:
                job = self._next_job(min(renewed_after, IDLE))
                if job is None:
                    return
                if job is _Idle:
                    if connection is not None:
                        connection.close()
                    connection = None
                    with contextlib.suppress(psycopg.Error, PgslateError):
                        self._book.renew()
                    continue
                try:
                    if connection is None or connection.closed:
                        connection = self._book.connect()
                    job(connection)
                except psycopg.Error as error:
                    if connection is not None and is_lost(error):
                        connection.close()
                    self._give_up()
                except (PgslateError, TemplateGoneError):  # the caller's thread will meet it, and say so
                    self._give_up()
        finally:
            if connection is not None:
                connection.close()

    def _next_job(self, wait: float) -> Callable[[psycopg.Connection[Any]], None] | None:
        """What to do now; ``_Idle`` where nothing came up for ``wait`` seconds, None at the end."""
        with self._state:
            self._making = None
            self._state.notify_all()
            while not self._closing:
                if self._discarded >= MOST_DISCARDED:
                    return self._drop_discarded
                for template, owed in self._owed.items():
                    if owed > 0:
                        self._owed[template] -= 1
                        self._making = template
                        return lambda connection, template=template: self._make_ready(connection, template)  # type: ignore[misc]  # binds the loop's value
                if self._discarded >= BATCH:
                    return self._drop_discarded
                if self._to_reap:
                    self._to_reap = False
                    return self._reap
                if not self._state.wait(wait):
                    return self._drop_discarded if self._discarded else _Idle
            return None

    def _make_ready(self, connection: psycopg.Connection[Any], template: Template) -> None:
        self._book.made(self._make(connection, template), connection)

    def _reap(self, connection: psycopg.Connection[Any]) -> None:
        """Once a run: what others have left behind."""
        with contextlib.suppress(LockTimeoutError):  # another runner is at it
            reap_in(self._book, timeout=0.05)

    def _give_up(self) -> None:
        with self._state:
            self._owed.clear()

    def _drop_discarded(self, connection: psycopg.Connection[Any]) -> None:
        with self._state:
            self._discarded = 0
        rows = connection.execute(
            "SELECT name FROM clone WHERE runner = %s AND state = 'done'", [self._book.runner]
        ).fetchall()
        for (name,) in rows:
            drop(connection, name, force=True)
            self._book.gone(name, connection)

    def _drop_everything(self, connection: psycopg.Connection[Any]) -> None:
        connection.execute(
            "UPDATE clone SET state = 'done' WHERE runner = %s AND state <> 'kept'", [self._book.runner]
        )
        self._drop_discarded(connection)


def _Idle(connection: psycopg.Connection[Any]) -> None:  # noqa: N802  # a marker: the job of having none
    """No work."""
