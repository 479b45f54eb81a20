"""One runner at a time: advisory locks, polled, and known to be held.

A waiter blocked in pg_advisory_lock holds a snapshot that CREATE INDEX CONCURRENTLY waits for, and the two
wait for each other; so it is tried, again and again. Two locks are taken:

- the *runner's*, on a connection of its own that runs nothing else, so that no migration (DISCARD ALL,
  pg_advisory_unlock_all) can let go of it;
- the *work's*, on the connection that runs the migrations. A runner that is killed leaves its server process
  behind, which finishes what it was sent before it notices; until then the next one must wait.

Advisory locks belong to a database, so that two databases of a server don't wait for each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import sql

from pgslate.errors import LockLostError, LockTimeoutError, TargetError
from pgslate.targets.target import Target


def _key(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)


RUNNER = _key("pgslate.ledger")
WORK = _key("pgslate.ledger: work")

#: Seconds between two tries: the first pause, how it grows, and the longest.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.005, 1.6, 0.5

_HOLDER = sql.SQL(
    "SELECT l.pid, a.application_name, a.usename, a.client_addr::text, a.backend_start::text"
    " FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
    " AND l.classid::int8 = {high} AND l.objid::int8 = {low}"
)


class Lock:
    """The runner's lock while it is held; ``check()`` asks whether it still is."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def check(self) -> None:
        """Raise LockLostError if the connection that holds the lock is gone. No round trip."""
        try:
            for _ in range(3):  # a last message, then the end of the stream
                self._connection.pgconn.consume_input()
        except psycopg.Error as error:
            raise _lost(str(error)) from error
        if self._connection.pgconn.status != psycopg.pq.ConnStatus.OK:
            raise _lost("the server closed it")


def _lost(why: str) -> LockLostError:
    return LockLostError(
        f"the connection that held pgslate's lock is gone ({why.strip()}); nothing more was committed",
        fix="run again; another runner may have taken over in the meantime",
    )


@contextmanager
def held(
    target: Target,
    *,
    timeout: float,
    waiting: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Lock]:
    """Hold the runner's lock of the target's database, waiting at most ``timeout`` seconds for it.

    ``waiting`` is called with a description of the session that holds it, once for each holder.
    Raises LockTimeoutError, which names the holder too.
    """
    with target.connect(autocommit=True) as connection:
        connection.execute("SET idle_session_timeout = 0")
        take(connection, RUNNER, timeout=timeout, waiting=waiting, clock=clock, pause=pause)
        yield Lock(connection)


def take(
    connection: psycopg.Connection[Any],
    key: int,
    *,
    timeout: float,
    waiting: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Take an advisory lock for the session. Raises LockTimeoutError after ``timeout`` seconds."""
    until = clock() + timeout
    wait = FIRST_PAUSE
    last_holder = ""
    while not _try(connection, key):
        holder = _holder(connection, key)
        if holder and holder != last_holder:
            waiting(holder)
            last_holder = holder
        left = until - clock()
        if left <= 0:
            raise LockTimeoutError(
                f"another run holds pgslate's lock on this database, for longer than {timeout:g} s:"
                f" {last_holder or 'it let go just now'}",
                fix="wait for it, or give more time (--lock-timeout); if it hangs, end it with"
                " SELECT pg_terminate_backend(pid)",
                holder=last_holder,
            )
        pause(min(wait, left))
        wait = min(wait * GROWTH, LONGEST_PAUSE)


def refuse_poolers(connection: psycopg.Connection[Any], target: Target, backend: int) -> None:
    """Raise TargetError where each transaction may get another server process: locks would not hold.

    ``backend`` is the result of pg_backend_pid() on ``connection``.
    """
    from pgslate.targets.dsn import session_is_pooled

    if backend != connection.info.backend_pid and session_is_pooled(connection, target):
        raise TargetError(
            f"{target.label} is behind a pooler that gives each transaction another session;"
            " the lock that keeps two runs apart doesn't hold there",
            fix="name the server itself in the DSN (or a pool in session mode)",
        )


_TABLE_HOLDERS = """SELECT DISTINCT ON (l.pid) l.pid, a.application_name, a.usename, a.client_addr::text,
    a.backend_start::text
FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND l.relation = ANY (ARRAY(
        SELECT pg_catalog.to_regclass(name)::oid FROM pg_catalog.unnest(%s::text[]) name))
ORDER BY l.pid"""


def holders_of_tables(connection: psycopg.Connection[Any], tables: Sequence[str]) -> str:
    """The other sessions that hold a lock on one of the tables; "" where there is none, or nobody can say."""
    try:
        rows = connection.execute(_TABLE_HOLDERS, (list(tables),), prepare=False).fetchall()
    except psycopg.Error:
        return ""
    return "; ".join(_describe(*row) for row in rows)


def _try(connection: psycopg.Connection[Any], key: int) -> bool:
    row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s::int8)", (key,)).fetchone()
    return bool(row and row[0])


def _holder(connection: psycopg.Connection[Any], key: int) -> str:
    bits = key % (1 << 64)
    rows = connection.execute(_HOLDER.format(high=bits >> 32, low=bits % (1 << 32))).fetchall()
    return "; ".join(_describe(*row) for row in rows)


def _describe(
    pid: int, application: str | None, role: str | None, address: str | None, since: str | None
) -> str:
    """One holder of the lock.

    >>> _describe(4711, "pgslate", "deploy", "10.0.0.7", "2026-01-02 03:04:05+00")
    'pid 4711, application_name pgslate, role deploy, from 10.0.0.7, connected since 2026-01-02 03:04:05+00'
    """
    parts = [f"pid {pid}"]
    for title, value in (("application_name", application), ("role", role), ("from", address)):
        if value:
            parts.append(f"{title} {value}")
    if since:
        parts.append(f"connected since {since}")
    return ", ".join(parts)
