"""Databases for tests outside of pytest: a context manager, and a case for unittest.

    from pgslate import testing

    with testing.database("orders") as database:
        database.connect()

    class OrdersTest(testing.DatabaseTestCase):
        tables = ("orders",)

        def test_an_order(self):
            with self.database.connect() as connection:
                ...

Settings come from the environment (``PGSLATE_DSN``, ``PGSLATE_CATALOG``, ...; docs/testing.md has the table).
The server is found or started at the first use, and let go of when the process ends.
"""

from __future__ import annotations

import atexit
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg

from pgslate.clones.clone import Clone
from pgslate.testing.run import Run
from pgslate.testing.settings import Settings, settings

__all__ = ["Clone", "DatabaseTestCase", "Settings", "configure", "database", "transaction"]

_lock = threading.Lock()
_run: Run | None = None
_settings: Settings | None = None


def configure(given: Settings) -> None:
    """Use these settings instead of the environment's, from the next database on."""
    global _settings
    _settings = given
    _end()


@contextmanager
def database(*tables: str, contract: str | None = None, purpose: str = "") -> Iterator[Clone]:
    """A database of its own with what the tables, or a contract, need; without either, with every table.

    Raises what ``pgslate.clones.Databases.database`` raises.
    """
    run = _the_run()
    clone = run.database(tables, [contract] if contract else [], purpose)
    failed = True
    try:
        yield clone
        failed = False
    finally:
        run.finish(clone, purpose, failed=failed)


@contextmanager
def transaction(*tables: str, contract: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that is rolled back at the end; the database is shared by all."""
    with _the_run().transaction(tables, [contract] if contract else []) as connection:
        yield connection


class DatabaseTestCase(unittest.TestCase):
    """A test case whose every test finds a database of its own in ``self.database``.

    ``tables`` and ``contract`` say what it holds; without either, every table.
    """

    tables: ClassVar[tuple[str, ...]] = ()
    contract: ClassVar[str | None] = None
    database: Clone

    def setUp(self) -> None:
        super().setUp()
        self.database = self.enterContext(database(*self.tables, contract=self.contract, purpose=self.id()))


def _the_run() -> Run:
    global _run
    with _lock:
        if _run is None:
            _run = Run(_settings or settings())
        return _run


def _end() -> None:
    global _run
    with _lock:
        run, _run = _run, None
        if run is not None:
            run.close()


atexit.register(_end)
