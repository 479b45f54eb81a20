"""DataStorage's own environment: its tests need the whole schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from datastorage.infrastructure.environment import Environment, create_environment
from datastorage.infrastructure.migrations import apply_all_migrations, verify_migrations


@contextmanager
def datastorage_environment(writer: TextIO = sys.stderr) -> Iterator[Environment]:
    """PostgreSQL with every table of the catalog, and the Data Storage service over them.

    Each step is written to ``writer``. Raises pgslate's errors where PostgreSQL can't be started or reached,
    a migration fails, or a table is missing.
    """
    with create_environment("datastorage") as environment:
        apply_all_migrations("", "", writer, dsn=environment.database.dsn)
        verify_migrations(environment.migrations(), writer)
        environment.deploy()
        yield environment
