"""A runner: a process that uses databases for tests, by its connection to the book's database.

It holds an advisory lock with its number while its connection stands, which tells others that it lives.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.connections import Note, connect_patiently, is_lost, silent
from pgslate.clones.registry_tables import make_database, make_tables
from pgslate.clones.server_facts import ServerFacts, facts_of
from pgslate.errors import LockTimeoutError
from pgslate.targets.target import Target

Result = TypeVar("Result")

_SESSION = """
SET application_name = {application};
SET synchronous_commit = off;
SET idle_session_timeout = 0;
SET statement_timeout = 0;
SET plan_cache_mode = force_generic_plan;
SET search_path = pgslate_2, pg_catalog;
"""


class Runner:
    """A connection to the book's database, which is made if it isn't there; it comes back where the server
    restarted.

    ``lease`` is how many seconds after its last sign of life what it took is still its own. ``note`` is told
    what the person at the terminal should know. ``ephemeral``: the server ends with it, so nothing pays off
    later. Calls come from any thread, one at a time.
    """

    def __init__(
        self,
        server: Target,
        *,
        lease: float = 60.0,
        timeout: float = 30.0,
        ephemeral: bool = False,
        note: Note = silent,
        application: str = "pgslate",
    ) -> None:
        self.server = server
        self.lease = lease
        self.ephemeral = ephemeral
        self.runner = secrets.randbits(62) + 1
        self.facts: ServerFacts
        self._timeout = timeout
        self.note = note
        self._application = application
        self._held: dict[str, tuple[str, str, str]] = {}  # clone: template, state, what
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._open()

    def connect(self) -> psycopg.Connection[Any]:
        """Another connection to the book's database, in autocommit, for long statements; the caller's."""
        connection = connect_patiently(
            self.server.with_dbname(database_names.BOOK),
            timeout=self._timeout,
            note=self.note,
            autocommit=True,
            prepare_threshold=1,  # there are few statements, and each is said again and again
        )
        connection.execute(
            sql.SQL(_SESSION).format(application=sql.Literal(self._application)), prepare=False
        )
        return connection

    def hurry(self) -> None:
        """From now on, don't wait for a server that is away: it may well have ended before us."""
        self._timeout = min(self._timeout, 0.5)

    def close(self) -> None:
        """Let go of the connection, and with it of all that is still this runner's."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def run(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Do ``work`` on the runner's connection; once more, on a new one, where the server restarted.

        What is given to do must be right when done twice.
        """
        with self._lock:
            if self._connection is None:
                self._open()
            assert self._connection is not None
            try:
                return work(self._connection)
            except psycopg.OperationalError as error:
                if not (self._connection.closed or is_lost(error)):
                    raise
            self._connection.close()
            self._open()
            return work(self._connection)

    def ping(self) -> None:
        """Raise psycopg.Error where the server doesn't answer now; no waiting for one that is away."""
        with self.server.with_dbname(database_names.BOOK).connect(autocommit=True) as connection:
            connection.execute("SELECT 1")

    @contextmanager
    def exclusively(
        self, what: str, *, timeout: float, connection: psycopg.Connection[Any] | None = None
    ) -> Iterator[psycopg.Connection[Any]]:
        """Hold the server-wide advisory lock of that name, on a connection to make databases with.

        Nothing else waits for a snapshot in the book's database, so that blocking in pg_advisory_lock is safe
        here, and wakes up at once. Raises LockTimeoutError, which says who holds it.
        """
        own = connection or self.connect()
        try:
            own.execute(sql.SQL("SET lock_timeout = {}").format(max(1, int(timeout * 1000))))
            try:
                own.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"pgslate.{what}"])
            except psycopg.errors.LockNotAvailable:
                raise _held_by_another(own, what, timeout) from None
            own.execute("SET lock_timeout = 0")
            yield own
        finally:
            if connection is None:
                own.close()
            elif not own.closed:
                with contextlib.suppress(psycopg.Error):
                    own.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [f"pgslate.{what}"])

    def _opened(self, connection: psycopg.Connection[Any]) -> None:
        """What is to be said first on a new connection."""

    def _open(self) -> None:
        connection = self._connect_or_make()
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", [self.runner])
            self.facts = facts_of(connection)
            self._opened(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _connect_or_make(self) -> psycopg.Connection[Any]:
        try:
            connection = self.connect()
        except psycopg.OperationalError as error:
            if "does not exist" not in str(error):
                raise
            make_database(self.server, self._timeout, self.note)
            connection = self.connect()
        try:
            if not connection.execute("SELECT to_regclass('pgslate_2.fresh')").fetchone()[0]:  # type: ignore[index]  # one row
                make_tables(connection, self.server)
            connection.execute(
                "INSERT INTO life SELECT clock_timestamp() WHERE NOT EXISTS (SELECT FROM life)"
            )
        except BaseException:
            connection.close()
            raise
        return connection


def _held_by_another(connection: psycopg.Connection[Any], what: str, timeout: float) -> LockTimeoutError:
    rows = connection.execute(
        "SELECT l.pid, a.application_name, a.client_addr::text FROM pg_catalog.pg_locks l"
        " LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
        " AND (l.classid::int8 << 32) | l.objid::int8 = hashtextextended(%s, 0)",
        [f"pgslate.{what}"],
    ).fetchall()
    holder = "; ".join(
        f"pid {pid}, {name or 'no name'}, from {address or 'here'}" for pid, name, address in rows
    )
    return LockTimeoutError(
        f"another process has been making {what} for longer than {timeout:g} s: {holder or 'it is gone now'}",
        fix="wait for it; if it hangs, end it with SELECT pg_terminate_backend(pid)",
        holder=holder,
    )
