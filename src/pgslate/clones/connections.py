"""Connections to a server that many share: waits for a free one, and tells a server that went away."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pgslate.errors import ServerNotReadyError
from pgslate.targets.target import Target

Note = Callable[[str], None]
"""Told, once, what somebody who wonders why it takes long would like to know."""

#: Seconds between two tries: the first pause, how it grows, and the longest.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.01, 1.5, 0.5

# libpq gives no SQLSTATE for a refused connection (53300, 57P03), so these are known by the server's words.
_FULL = re.compile(r"too many clients|connection slots are reserved|too many connections", re.IGNORECASE)
_AWAY = re.compile(
    r"starting up|shutting down|in recovery|Connection refused|No such file or directory"
    r"|server closed the connection|Connection reset|not yet accepting|terminating connection",
    re.IGNORECASE,
)


def silent(said: str) -> None:
    """A note for nobody."""


def connect_patiently(
    target: Target,
    *,
    timeout: float = 30.0,
    note: Note = silent,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    **settings: Any,
) -> psycopg.Connection[TupleRow]:
    """A connection, as ``target.connect`` gives it, however busy the server is just now.

    Waits up to ``timeout`` seconds where the server has no connection left, or is restarting. Raises
    ServerNotReadyError, which says which of the two, and psycopg.OperationalError where waiting is no use.
    """
    until = clock() + timeout
    wait = FIRST_PAUSE
    told = False
    while True:
        try:
            return target.connect(**settings)
        except psycopg.OperationalError as error:
            said = str(error)
            full = _FULL.search(said) is not None
            if not full and not _AWAY.search(said):
                raise
        if full and not told:
            told = True
            note(f"{target.label}: every connection of the server is taken; waiting up to {timeout:g} s")
        left = until - clock()
        if left <= 0:
            raise _gave_up(target, said, timeout, full=full)
        pause(min(wait, left))
        wait = min(wait * GROWTH, LONGEST_PAUSE)


def _gave_up(target: Target, said: str, timeout: float, *, full: bool) -> ServerNotReadyError:
    last = said.strip().splitlines()[-1] if said.strip() else "no reason given"
    if full:
        return ServerNotReadyError(
            f"{target.label} had no connection left for {timeout:g} s: {last}",
            fix="raise max_connections, run fewer workers, or close connections in the tests",
            attempts=(said,),
        )
    return ServerNotReadyError(
        f"{target.label} did not come back within {timeout:g} s: {last}",
        fix="look at the server's log",
        attempts=(said,),
    )


def is_lost(error: psycopg.Error) -> bool:
    """Whether the connection is gone, and another one may work: the server restarted, or ended it."""
    return isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or error.sqlstate[:2] == "08" or error.sqlstate[:3] == "57P"
    )
