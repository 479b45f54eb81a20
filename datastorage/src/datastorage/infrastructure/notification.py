"""Notification's environment: its tests look for an event of each message that was sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from datastorage.infrastructure.environment import Environment, create_environment
from datastorage.infrastructure.migrations import apply_audit_migrations, verify_migrations


@contextmanager
def notification_environment(writer: TextIO = sys.stderr) -> Iterator[Environment]:
    """PostgreSQL with the audit tables, and the Data Storage service over them.

    Each step is written to ``writer``. Raises pgslate's errors where PostgreSQL can't be started or reached,
    a migration fails, or a table is missing.
    """
    with create_environment("notification") as environment:
        apply_audit_migrations("", "", writer, dsn=environment.database.dsn)
        months = ("audit_events_y2025m12", "audit_events_y2026m01")
        verify_migrations(environment.migrations("audit_events", *months), writer)
        environment.deploy()
        yield environment
