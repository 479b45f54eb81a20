"""The connection of one runner to the registry, the small database that records which databases are for
tests.

A runner is a process that uses databases for tests. While its connection lasts it holds an advisory lock on
its own number, so that others can see that it is alive. The first runner on a server makes the database and
its tables.
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
from pgslate.clones.connections import Note, connect_patiently, is_lost, was_full
from pgslate.clones.server_facts import ServerFacts, facts_of
from pgslate.errors import LockTimeoutError, PrivilegeError, ServerNotReadyError
from pgslate.plain_text import silent
from pgslate.targets.target import Target

Result = TypeVar("Result")

_SESSION = """
SET application_name = {application};
SET synchronous_commit = off;
SET idle_session_timeout = 0;
SET statement_timeout = 0;
SET plan_cache_mode = force_generic_plan;
SET search_path = pgslate, pg_catalog;
"""


class RegistryConnection:
    """A connection to the registry, made anew when the server restarts. Any thread may call, one at a time.

    Args:
        server: any database of the server that the role may connect to.
        lease: seconds after the last sign of life during which nobody else drops this runner's databases.
        timeout: seconds to wait for a server that has no free connection or is restarting.
        ephemeral: the server ends with this process, so nothing is done for the benefit of later runs.
        note: receives sentences for the person at the terminal.
        application: the application_name of the sessions.
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
        self._held: dict[str, tuple[str, str, str]] = {}  # clone: template, state, purpose
        self._lock = threading.RLock()
        self._connection: psycopg.Connection[Any] | None = None
        self._open()

    def connect(self) -> psycopg.Connection[Any]:
        """Open another connection to the registry's database, in autocommit mode; the caller closes it."""
        try:
            connection = connect_patiently(
                self.server.with_dbname(database_names.REGISTRY),
                timeout=self._timeout,
                note=self.note,
                autocommit=True,
                prepare_threshold=1,  # there are few statements, and each is sent many times
            )
        except ServerNotReadyError as error:
            if not was_full(error):  # it is away: the next test need not wait for it again
                self.hurry()
            raise
        connection.execute(
            sql.SQL(_SESSION).format(application=sql.Literal(self._application)), prepare=False
        )
        return connection

    def hurry(self) -> None:
        """Wait no longer for a server that is away: at the end of a run it may have ended before us."""
        self._timeout = min(self._timeout, 0.5)

    def close(self) -> None:
        """Close the connection; this ends the runner's advisory lock too."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def run(self, work: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        """Call ``work`` with the connection. If the server restarted, call it once more with a new one.

        So ``work`` must have the same effect when it runs twice.
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
        """Raise psycopg.Error unless the server answers now."""
        with self.server.with_dbname(database_names.REGISTRY).connect(autocommit=True) as connection:
            connection.execute("SELECT 1")

    @contextmanager
    def exclusively(
        self, what: str, *, timeout: float, connection: psycopg.Connection[Any] | None = None
    ) -> Iterator[psycopg.Connection[Any]]:
        """Hold the server-wide advisory lock named ``what``; yield a connection that can make databases.

        Blocking in pg_advisory_lock is safe here, because nothing in the registry's database waits for the
        snapshots of others (CREATE INDEX CONCURRENTLY would). Raises LockTimeoutError, which names the
        holder.
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

    def _after_reconnect(self, connection: psycopg.Connection[Any]) -> None:
        """Restore this runner's rows on a new connection."""

    def _open(self) -> None:
        connection = self._connect_or_make()
        try:
            connection.execute("SELECT pg_advisory_lock(%s)", [self.runner])
            self.facts = facts_of(connection)
            self._after_reconnect(connection)
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
            _make_database(self.server, self._timeout, self.note)
            connection = self.connect()
        try:
            if not connection.execute(_IS_COMPLETE).fetchone()[0]:  # type: ignore[index]  # one row
                _make_tables(connection, self.server)
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


# -- the database and its tables

# The table that is made last.
_IS_COMPLETE = "SELECT to_regclass('pgslate.template_state')"

# Every version of pgslate shares these tables, so that runners of different versions see each other's clones.
# Only ever add to them: a new column with ADD COLUMN IF NOT EXISTS and a default.
_MAKE = """
SET LOCAL client_min_messages = warning;
SELECT pg_advisory_xact_lock(hashtextextended('pgslate.registry', 0));
CREATE SCHEMA IF NOT EXISTS pgslate;
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate.life (began timestamptz NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate.template (
    name text PRIMARY KEY, role name NOT NULL DEFAULT current_user, tables text NOT NULL,
    form text NOT NULL, used timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate.clone (
    name text PRIMARY KEY, role name NOT NULL DEFAULT current_user, template text NOT NULL,
    state text NOT NULL CHECK (state IN ('making', 'ready', 'taken', 'returning', 'kept', 'done')),
    runner int8 NOT NULL, until timestamptz NOT NULL, purpose text NOT NULL DEFAULT '',
    own int8, origin int8, counted timestamptz);
CREATE INDEX IF NOT EXISTS clone_ready ON pgslate.clone (template, name) WHERE state = 'ready';
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate.timing (
    template text NOT NULL, role name NOT NULL DEFAULT current_user, strategy text NOT NULL,
    milliseconds float8 NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate.template_state (
    origin int8 PRIMARY KEY, role name NOT NULL DEFAULT current_user, state jsonb NOT NULL);
ALTER TABLE pgslate.template ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate.clone ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate.timing ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate.template_state ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own ON pgslate.template;
DROP POLICY IF EXISTS own ON pgslate.clone;
DROP POLICY IF EXISTS own ON pgslate.timing;
DROP POLICY IF EXISTS own ON pgslate.template_state;
CREATE POLICY own ON pgslate.template USING (role = current_user);
CREATE POLICY own ON pgslate.clone USING (role = current_user);
CREATE POLICY own ON pgslate.timing USING (role = current_user);
CREATE POLICY own ON pgslate.template_state USING (role = current_user);
GRANT USAGE ON SCHEMA pgslate TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgslate TO PUBLIC;
COMMENT ON SCHEMA pgslate IS 'pgslate: which databases of this server are for tests (see pgslate reap)';
"""


def _make_database(server: Target, timeout: float, note: Note) -> None:
    """Make the registry's database unless another runner just did. Raises PrivilegeError without CREATEDB."""
    with connect_patiently(server, timeout=timeout, note=note, autocommit=True) as connection:
        facts_of(connection).require_createdb(server.label)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(
            sql.Identifier(database_names.REGISTRY)
        )
        with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(create)


def _make_tables(connection: psycopg.Connection[Any], server: Target) -> None:
    """Make the tables that are missing. Raises PrivilegeError if the database belongs to another role."""
    try:
        with connection.transaction():
            connection.execute(_MAKE.encode(), prepare=False)
    except psycopg.errors.InsufficientPrivilege as error:
        raise PrivilegeError(
            f"the database {database_names.REGISTRY} of {server.label} belongs to another role, and has no"
            " tables yet",
            fix=f"run once as its owner, or GRANT CREATE ON DATABASE {database_names.REGISTRY} TO this role",
            right="CREATE",
            on=database_names.REGISTRY,
        ) from error
