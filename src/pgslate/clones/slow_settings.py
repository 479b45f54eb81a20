"""Which settings of a server make tests slow, and by how much: measured there, not guessed."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg

from pgslate.clones.registry import Book

#: Commits that are timed each way, and the difference (ms) from which on it is worth a word.
_COMMITS, _WORTH_SAYING = 5, 0.3


def slow_settings(book: Book) -> list[str]:
    """What somebody who waits for tests on this server should know; a sentence for each setting."""
    if not book.facts.durable:
        return []
    try:
        waits, waits_not = book.run(_commits)
    except psycopg.Error:  # this role may not ask
        return []
    if waits - waits_not < _WORTH_SAYING:
        return []
    return [
        f"fsync = on: a commit takes {waits:.1f} ms on {book.server.label}, and {waits_not:.1f} ms where it"
        " doesn't wait for the disk. On a server whose data may be lost: fsync = off,"
        " synchronous_commit = off, full_page_writes = off; databases are then made faster, too"
    ]


def _commits(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    return _commit_takes(connection, "on"), _commit_takes(connection, "off")


def _commit_takes(connection: psycopg.Connection[Any], synchronous: str) -> float:
    """The median milliseconds of a commit."""
    times = []
    for _ in range(_COMMITS):
        began = time.perf_counter()
        with connection.transaction():
            connection.execute("SELECT set_config('synchronous_commit', %s, true)", [synchronous])
            connection.execute("SELECT pg_logical_emit_message(true, 'pgslate', '')")
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
