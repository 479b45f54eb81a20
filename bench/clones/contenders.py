"""What is compared: pgslate, what people use today, and what the server itself takes.

Each contender is used once by a worker, and gives what it does for each test: a context with a DSN.
pytest-postgresql and pgtestdbpy are measured through their own classes, if installed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.clones.databases import Databases
from pgslate.project.project import Project
from pgslate.slices.replay import replay_all
from pgslate.targets.target import Target

#: Tables of the slice, and the name of the template that everybody but pgslate copies.
SLICE, TEMPLATE = 5, "bench_template"

#: Seconds that a "test" takes between getting its database and giving it back; and a long one.
WORK, LONG = 0.03, 0.3

#: Packages that are compared if they are installed.
PACKAGES = ("pytest-postgresql", "pgtestdbpy")

Test = Callable[[], AbstractContextManager[str]]


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker has to know; it can be sent to another process. ``write`` is what a test does."""

    dsn: str
    folder: str
    slice: tuple[str, ...]
    durable: bool
    write: str


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to a database; ``work`` is how long (seconds) its tests take, ``copies`` how it does it.

    ``empty``: it has no tables, so that nothing is written to it.
    """

    name: str
    opened: Callable[[Place], AbstractContextManager[Test]]
    copies: str
    work: float = WORK
    empty: bool = False


@contextmanager
def _bare(place: Place, template: str, strategy: str = "") -> Iterator[Test]:
    """CREATE DATABASE and DROP DATABASE on a connection that stays."""
    with psycopg.connect(place.dsn, autocommit=True) as admin:

        @contextmanager
        def test() -> Iterator[str]:
            name = _name("bare")
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
                + sql.SQL(f" STRATEGY {strategy}" if strategy else "")
            )
            yield Target(place.dsn).with_dbname(name).dsn
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

        yield test


def bare(place: Place) -> AbstractContextManager[Test]:
    """As people write it."""
    return _bare(place, TEMPLATE)


def _best_strategy(place: Place) -> str:
    """What a server of this kind copies fastest with."""
    return "wal_log" if place.durable else "file_copy"


def bare_at_its_best(place: Place) -> AbstractContextManager[Test]:
    """With the strategy that is best on the server."""
    return _bare(place, TEMPLATE, _best_strategy(place))


def empty(place: Place) -> AbstractContextManager[Test]:
    """The least that any database takes on the server."""
    return _bare(place, "template0", _best_strategy(place))


@contextmanager
def replay(place: Place) -> Iterator[Test]:
    """An empty database, and every migration."""
    catalog = Catalog.load(place.folder).parse()
    with psycopg.connect(place.dsn, autocommit=True) as admin:

        @contextmanager
        def test() -> Iterator[str]:
            name = _name("replay")
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            dsn = Target(place.dsn).with_dbname(name).dsn
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
                replay_all(catalog, connection)
            yield dsn
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

        yield test


@contextmanager
def pytest_postgresql(place: Place) -> Iterator[Test]:
    """What its fixture ``postgresql`` does for each test, template and all."""
    from pytest_postgresql.janitor import DatabaseJanitor

    host, port, user = _address(place)

    @contextmanager
    def test() -> Iterator[str]:
        name = f"tests_{os.getpid()}"
        janitor = DatabaseJanitor(user=user, host=host, port=port, dbname=name, template_dbname=TEMPLATE)
        janitor.drop()
        with janitor:
            yield Target(place.dsn).with_dbname(name).dsn

    yield test


@contextmanager
def pgtestdbpy(place: Place) -> Iterator[Test]:
    """Its context manager ``clone``."""
    import pgtestdbpy as library

    host, port, user = _address(place)
    config = library.Config(user=user, password="", host=host, port=port)
    migrator = library.Migrator(
        lambda url: None, db_name=TEMPLATE, user=user, password="", host=host, port=port
    )

    @contextmanager
    def test() -> Iterator[str]:
        with library.clone(config, migrator) as url:
            yield url

    yield test


def _address(place: Place) -> tuple[str, int, str]:
    with psycopg.connect(place.dsn) as connection:
        return connection.info.host, connection.info.port, connection.info.user


@contextmanager
def _pgslate(place: Place, ahead: int, tables: Sequence[str], *, reuse: bool = True) -> Iterator[Test]:
    with Databases(Target(place.dsn), Project.open(place.folder), ahead=ahead, reuse=reuse) as databases:
        databases.prepare(*tables)

        @contextmanager
        def test() -> Iterator[str]:
            with databases.database(*tables) as database:
                yield database.dsn

        yield test


def clone(place: Place) -> AbstractContextManager[Test]:
    """pgslate, nothing made ahead."""
    return _pgslate(place, 0, ())


def pool(place: Place) -> AbstractContextManager[Test]:
    """pgslate, clones made ahead, and put back."""
    return _pgslate(place, 4, ())


def pool_without_reuse(place: Place) -> AbstractContextManager[Test]:
    """pgslate, clones made ahead, a new one for each test: as where a test makes a table."""
    return _pgslate(place, 4, (), reuse=False)


def clone_of_a_slice(place: Place) -> AbstractContextManager[Test]:
    """pgslate, only five tables, nothing made ahead."""
    return _pgslate(place, 0, place.slice)


def pool_of_a_slice(place: Place) -> AbstractContextManager[Test]:
    """pgslate, only five tables, clones made ahead, and put back."""
    return _pgslate(place, 4, place.slice)


BARE, AT_BEST, EMPTY = "CREATE DATABASE ... TEMPLATE", "the same, best strategy", "an empty database"
CLONE, POOL, POOL_LONG = "pgslate clone", "pgslate pool", f"pgslate pool, tests of {LONG} s"
POOL_OF_NEW = "pgslate pool, no reuse"
CLONE_OF_SLICE, POOL_OF_SLICE = f"pgslate clone, {SLICE} tables", f"pgslate pool, {SLICE} tables"

_DEFAULT, _BEST = "WAL_LOG", "FILE_COPY, or WAL_LOG where durable"
_MEASURED = "the fastest of FILE_COPY, file_copy_method = clone and WAL_LOG, timed; WAL_LOG where durable"
_PUT_BACK = "the same, for the first two; then what a test gave back is put back for the next"

CONTENDERS: dict[str, Contender] = {
    each.name: each
    for each in (
        Contender(BARE, bare, _DEFAULT),
        Contender(AT_BEST, bare_at_its_best, _BEST),
        Contender(EMPTY, empty, _BEST, empty=True),
        Contender("pytest-postgresql", pytest_postgresql, _DEFAULT),
        Contender("pgtestdbpy", pgtestdbpy, "FILE_COPY"),
        Contender("migrations for each test", replay, _DEFAULT),
        Contender(CLONE, clone, _MEASURED),
        Contender(POOL, pool, _PUT_BACK),
        Contender(POOL_LONG, pool, _PUT_BACK, LONG),
        Contender(POOL_OF_NEW, pool_without_reuse, _MEASURED),
        Contender(CLONE_OF_SLICE, clone_of_a_slice, _MEASURED),
        Contender(POOL_OF_SLICE, pool_of_a_slice, _PUT_BACK),
    )
}


def present() -> list[Contender]:
    """Those that can be measured here."""
    return [each for each in CONTENDERS.values() if each.name not in PACKAGES or version(each.name)]


def version(package: str) -> str | None:
    """The installed version of a package; None where it isn't."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _name(prefix: str) -> str:
    return f"{prefix}_{os.getpid()}_{random.randrange(10**9)}"  # noqa: S311  no secret
