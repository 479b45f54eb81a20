"""Databases for tests outside of pytest: a context manager, and a case for unittest.

    from pgslate import testing

    with testing.database("orders") as database:
        database.connect()

    class OrdersTest(testing.DatabaseTestCase):
        tables = ("orders",)

        def test_an_order(self):
            with self.database.connect() as connection:
                ...

The settings come from the environment (``PGSLATE_DSN``, ``PGSLATE_CATALOG``, ...; docs/testing.md lists
them). The server is found or started when the first database is wanted, and closed when the process ends.
"""

from __future__ import annotations

import atexit
import sys
import threading
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import psycopg

from pgslate.clones.clone import Clone
from pgslate.errors import PgslateError, UsageError
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
    """A database with everything that the tables, or a contract, need; without either, with every table.

    If the block raises, the database is kept for people to look into, as the settings say. ``purpose`` says
    what it was for. Raises what ``pgslate.clones.databases.Databases.database`` raises.
    """
    run = _current_run()
    contracts = [contract] if contract else []
    clone = run.database(tables, contracts, purpose)
    failed = True
    try:
        yield clone
        failed = False
    except Exception as error:
        _add_hint(run, error, tables, contracts)
        raise
    finally:
        run.finish(clone, purpose, failed=failed)


@contextmanager
def transaction(*tables: str, contract: str | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A connection in a transaction that is rolled back at the end; the database is shared by all."""
    with _current_run().transaction(tables, [contract] if contract else []) as connection:
        yield connection


class DatabaseTestCase(unittest.TestCase):
    """A test case that gives each of its tests a database of its own, in ``self.database``.

    ``tables`` and ``contract`` say what it holds; without either, every table. The database of a test that
    fails is kept, as the settings say.
    """

    tables: ClassVar[tuple[str, ...]] = ()
    contract: ClassVar[str | None] = None
    database: Clone
    _run: Run | None = None
    _skipped = False

    def setUp(self) -> None:
        super().setUp()
        if isinstance(self.tables, str):
            raise UsageError(
                f"tables is the string {self.tables!r}", fix=f'write tables = ("{self.tables}",)'
            )
        run = _current_run()
        contracts = [self.contract] if self.contract else []
        self.database = run.database(self.tables, contracts, self.id())
        self._run = run

    def doCleanups(self) -> Any:  # noqa: N802  unittest's name
        """Run the clean-ups, then give the database back, or keep it if the test failed."""
        done = super().doCleanups()
        run, self._run = self._run, None
        if run is None:
            return done
        self.addCleanup(run.finish, self.database, self.id(), failed=self._has_failed())
        return super().doCleanups()

    # unittest has no public way to tell that a test failed. These are the steps of TestCase.run, and what it
    # keeps for itself, in Python 3.11 to 3.14.

    def _callSetUp(self) -> None:  # noqa: N802  unittest's name
        with self._observed():
            super()._callSetUp()  # type: ignore[misc]  # not in the stubs

    def _callTestMethod(self, method: Any) -> None:  # noqa: N802  unittest's name
        with self._observed():
            super()._callTestMethod(method)  # type: ignore[misc]  # not in the stubs

    @contextmanager
    def _observed(self) -> Iterator[None]:
        try:
            yield
        except unittest.SkipTest:
            self._skipped = True
            raise
        except Exception as error:
            if self._run is not None:
                _add_hint(self._run, error, self.tables, [self.contract] if self.contract else [])
            raise

    def _has_failed(self) -> bool:
        """Whether the test, one of its subtests, a clean-up or tearDown failed."""
        outcome = getattr(self, "_outcome", None)
        is_expected = getattr(outcome, "expectedFailure", None) is not None
        return not (self._skipped or is_expected or getattr(outcome, "success", True))


def _add_hint(run: Run, error: Exception, tables: tuple[str, ...], contracts: list[str]) -> None:
    hint = run.hint(error, tables, contracts)
    if hint is not None:
        error.add_note(hint)


def _current_run() -> Run:
    """This process's run; opened now, so that our exit hook runs before the embedded server's own."""
    global _run
    with _lock:
        if _run is None:
            _run = Run(_settings or settings())
        run = _run
    try:
        run.source  # noqa: B018  the property opens it
    finally:
        atexit.unregister(_end)
        atexit.register(_end)
    return run


def _end() -> None:
    global _run
    with _lock:
        run, _run = _run, None
    if run is None:
        return
    try:
        run.close()
    except (PgslateError, psycopg.Error, OSError) as error:
        print(f"pgslate: {error}", file=sys.stderr)
        return
    if run.kept:
        print(f"pgslate: {len(run.kept)} kept; {run.how_to_look}", file=sys.stderr)
        for name, purpose in run.kept.items():
            print(f"  {name}  {purpose}".rstrip(), file=sys.stderr)


atexit.register(_end)
