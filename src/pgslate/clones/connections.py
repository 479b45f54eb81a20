"""Connections to a server that many processes share: open one patiently, and end those of a database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pgslate.errors import ServerNotReadyError
from pgslate.plain_text import silent
from pgslate.targets.target import Target

Note = Callable[[str], None]
"""Receives a sentence for the person at the terminal, about something that takes long or went another way."""

#: Seconds between two tries: the first pause, the factor by which it grows, and the longest.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.01, 1.5, 0.5

#: Seconds that a session may take to be gone from the server after it was ended.
LEAVING = 5.0

# libpq gives no SQLSTATE for a refused connection (53300, 57P03), only the server's message.
_FULL = re.compile(r"too many clients|connection slots are reserved|too many connections", re.IGNORECASE)
_AWAY = re.compile(
    r"starting up|shutting down|in recovery|Connection refused|No such file or directory"
    r"|server closed the connection|Connection reset|not yet accepting|terminating connection",
    re.IGNORECASE,
)


def connect_patiently(
    target: Target,
    *,
    timeout: float = 30.0,
    note: Note = silent,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    **settings: Any,
) -> psycopg.Connection[TupleRow]:
    """Open a connection as ``target.connect`` does, and wait while the server is full or restarting.

    Args:
        target: the database.
        timeout: seconds to wait at most.
        note: receives a sentence when the server has no connection left.
        clock, pause: the time and the way to wait, for tests.
        settings: keywords of ``target.connect``.

    Raises:
        ServerNotReadyError: the server was full or away for all that time; the message says which.
        psycopg.OperationalError: waiting would not help.
    """
    until = clock() + timeout
    wait = FIRST_PAUSE
    noted = False
    while True:
        try:
            return target.connect(**settings)
        except psycopg.OperationalError as error:
            message = str(error)
            full = _FULL.search(message) is not None
            if not full and not _AWAY.search(message):
                raise
        if full and not noted:
            noted = True
            note(f"{target.label}: every connection of the server is taken; waiting up to {timeout:g} s")
        left = until - clock()
        if left <= 0:
            raise _not_ready(target, message, timeout, full=full)
        pause(min(wait, left))
        wait = min(wait * GROWTH, LONGEST_PAUSE)


def _not_ready(target: Target, message: str, timeout: float, *, full: bool) -> ServerNotReadyError:
    last = message.strip().splitlines()[-1] if message.strip() else "no reason given"
    if full:
        return ServerNotReadyError(
            f"{target.label} had no connection left for {timeout:g} s: {last}",
            fix="raise max_connections, run fewer workers, or close connections in the tests",
            attempts=(message,),
        )
    return ServerNotReadyError(
        f"{target.label} did not come back within {timeout:g} s: {last}",
        fix="check the address, and that the server is running; its log says why it refuses connections",
        attempts=(message,),
    )


def was_full(error: ServerNotReadyError) -> bool:
    """Whether ``connect_patiently`` gave up because the server had no connection left."""
    return any(_FULL.search(str(attempt)) for attempt in error.attempts)


def is_lost(error: psycopg.Error) -> bool:
    """Whether the error means that the connection is gone, so that a new connection may work."""
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate[:2] == "08" or error.sqlstate[:3] == "57P"
    )


def end_sessions(connection: psycopg.Connection[Any], name: str) -> int:
    """End every session in the database ``name``; return how many there were."""
    row = connection.execute(
        "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity"
        " WHERE datname = %s",
        [name],
    ).fetchone()
    return int(row[0]) if row else 0


def wait_until_empty(connection: psycopg.Connection[Any], name: str, *, at_most: float = LEAVING) -> bool:
    """Wait until the sessions of a database have left, ``at_most`` so many seconds; return whether they have.

    PostgreSQL's own wait, in DROP and ALTER DATABASE, looks only every 100 ms. Sessions that are still there
    at the end are ended once more.
    """
    until = time.monotonic() + at_most
    while time.monotonic() < until:
        row = connection.execute(
            "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = %s AND backend_type ="
            " 'client backend'",
            [name],
        ).fetchone()
        if row is None or not row[0]:
            return True
        time.sleep(0.001)
    end_sessions(connection, name)
    return False
