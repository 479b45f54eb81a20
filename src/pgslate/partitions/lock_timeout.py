"""How long a statement may wait for a lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

ATTEMPT = 0.5
"""Seconds after which a wait for a table's lock is given up, so that nobody queues behind us for longer."""

PAUSE = 0.05
"""Seconds before it is tried again."""


@contextmanager
def lock_timeout(connection: psycopg.Connection[Any], seconds: float) -> Iterator[None]:
    """Sets lock_timeout, for the transaction where there is one, and puts it back.

    A failed transaction puts it back by its roll back.
    """
    local = connection.info.transaction_status == TransactionStatus.INTRANS or not connection.autocommit
    row = connection.execute("SELECT current_setting('lock_timeout')").fetchone()
    _set(connection, f"{round(seconds * 1000)}ms", local)
    try:
        yield
    finally:
        if connection.info.transaction_status in (TransactionStatus.IDLE, TransactionStatus.INTRANS):
            _set(connection, row[0] if row else "0", local)


def _set(connection: psycopg.Connection[Any], value: str, local: bool) -> None:
    connection.execute("SELECT set_config('lock_timeout', %s, %s)", [value, local])
