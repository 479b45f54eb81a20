"""The sessions of a database: ended, and waited for until they have left."""

from __future__ import annotations

import time
from typing import Any

import psycopg

#: Seconds that a session may take to be gone from the server after it ended.
LEAVING = 5.0


def end_sessions(connection: psycopg.Connection[Any], name: str) -> int:
    """End whatever is connected to the database; how many there were."""
    row = connection.execute(
        "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_stat_activity"
        " WHERE datname = %s",
        [name],
    ).fetchone()
    return int(row[0]) if row else 0


def wait_until_empty(connection: psycopg.Connection[Any], name: str, *, at_most: float = LEAVING) -> bool:
    """Whether the sessions that ended are gone, too, in that many seconds: PostgreSQL itself looks only every
    100 ms. Those that are not have been told once more to end."""
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
