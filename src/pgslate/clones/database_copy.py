"""A clone: a database made from a template for one test; and how to copy one fastest on a server.

PostgreSQL 15 can copy through the log (WAL_LOG) or file by file (FILE_COPY), which makes two checkpoints; 18
can share blocks or copy in the kernel (``file_copy_method = clone``). With fsync on, a checkpoint waits for
the disk, and only WAL_LOG will do. With it off the winner depends on the file system and the template, so the
first clones are made in turns, two in each way, and what they took is written into the book.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import psycopg
from psycopg import sql

from pgslate.clones.connections import Note, connect_patiently, silent
from pgslate.clones.registry import Book
from pgslate.clones.template import Template, no_room
from pgslate.targets.target import Target
from pgslate.targets.url import url_with

if TYPE_CHECKING:
    from psycopg.rows import TupleRow

Strategy = Literal["default", "wal_log", "file_copy", "file_clone"]

SAMPLES = 2
"""How many clones are timed for each strategy before one is chosen."""

_STRATEGY: dict[Strategy, str] = {
    "default": "",
    "wal_log": " STRATEGY wal_log",
    "file_copy": " STRATEGY file_copy",
    "file_clone": " STRATEGY file_copy",
}


class Clone(Target):
    """A database of its own for one test; closing it gives it back, to be dropped.

    ``dsn`` is a URL. ``name`` is the database's, ``tables`` what it holds, in words.
    """

    def __init__(
        self,
        server: Target,
        name: str,
        *,
        tables: str = "",
        note: Note = silent,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(
            url_with(server.dsn, dbname=name),
            label=f"{name} ({tables})" if tables else name,
            on_close=on_close,
        )
        self.name = name
        self.tables = tables
        self._database = server.with_dbname(name)
        self._database.label = self.label
        self._note = note

    def __enter__(self) -> Self:
        return self

    def connect(self, **kwargs: Any) -> psycopg.Connection[TupleRow]:
        """A new psycopg connection; waits where the server has none left. Keywords are psycopg's own."""
        return connect_patiently(self._database, note=self._note, **kwargs)

    async def async_connect(self, **kwargs: Any) -> psycopg.AsyncConnection[TupleRow]:
        """A new psycopg connection for asyncio. Keywords are psycopg's own."""
        return await psycopg.AsyncConnection.connect(self.dsn, **{**self._database.parameters(), **kwargs})


def candidates(major: int, *, durable: bool) -> tuple[Strategy, ...]:
    """The strategies worth a try on a server, the likeliest first.

    >>> candidates(18, durable=True), candidates(17, durable=False), candidates(14, durable=False)
    (('wal_log',), ('file_copy', 'wal_log'), ('default',))
    """
    if major < 15:
        return ("default",)
    if durable:
        return ("wal_log",)
    return ("file_clone", "file_copy", "wal_log") if major >= 18 else ("file_copy", "wal_log")


def choose(among: Sequence[Strategy], timings: Mapping[str, Sequence[float]]) -> Strategy:
    """The strategy for the next clone: one that was not tried often enough, or else the fastest.

    ``timings`` are milliseconds, by strategy.

    >>> choose(("file_copy", "wal_log"), {"file_copy": [20.0, 12.0]})
    'wal_log'
    >>> choose(("file_copy", "wal_log"), {"file_copy": [20.0, 12.0], "wal_log": [15.0, 14.0]})
    'file_copy'
    """
    for one in among:
        if len(timings.get(one, ())) < SAMPLES:
            return one
    return min(among, key=lambda one: min(timings[one]))


class Copier:
    """Makes clones on one connection, each in the way that is best as far as is known.

    ``known`` are timings that copiers of one process share, by template.
    """

    def __init__(
        self, book: Book, connection: psycopg.Connection[Any], known: dict[str, dict[str, list[float]]]
    ) -> None:
        self._book = book
        self._connection = connection
        self._known = known
        self._cloning_files = False

    def copy(self, template: Template, name: str) -> None:
        """Make the database ``name`` from the template.

        Raises TargetError where the disk is full, psycopg.errors.ObjectInUse where somebody is in the
        template, InvalidCatalogName where it is gone.
        """
        facts = self._book.facts
        among = candidates(facts.major, durable=facts.durable)
        timings = self._timings(template)
        strategy = choose(among, timings)
        began = time.perf_counter()
        try:
            self._create(template.name, name, strategy)
        except psycopg.errors.DiskFull as error:
            raise no_room(self._book, error) from error
        except psycopg.errors.FeatureNotSupported:
            if strategy != "file_clone":
                raise
            took = float("inf")  # this file system can't; never again
            self._create(template.name, name, "file_copy")
        else:
            took = (time.perf_counter() - began) * 1000
        if len(timings.setdefault(strategy, [])) < SAMPLES and len(among) > 1:
            self._remember(template, strategy, took)

    def _create(self, template: str, name: str, strategy: Strategy) -> None:
        if strategy == "file_clone" and not self._cloning_files:
            self._connection.execute("SET file_copy_method = 'clone'")
            self._cloning_files = True
        elif strategy == "file_copy" and self._cloning_files:
            self._connection.execute("SET file_copy_method = 'copy'")
            self._cloning_files = False
        self._connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
            + sql.SQL(_STRATEGY[strategy])
        )

    def _timings(self, template: Template) -> dict[str, list[float]]:
        if template.name not in self._known:
            found: dict[str, list[float]] = {}
            for strategy, milliseconds in self._connection.execute(
                "SELECT strategy, milliseconds FROM timing WHERE template = %s", [template.name]
            ):
                found.setdefault(strategy, []).append(milliseconds)
            self._known[template.name] = found
        return self._known[template.name]

    def _remember(self, template: Template, strategy: Strategy, took: float) -> None:
        times = [took] * (SAMPLES if took == float("inf") else 1)
        self._known[template.name].setdefault(strategy, []).extend(times)
        with self._connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO timing (template, strategy, milliseconds) VALUES (%s, %s, %s)",
                [(template.name, strategy, each) for each in times],
            )


def drop(connection: psycopg.Connection[Any], name: str, *, force: bool) -> bool:
    """Drop a clone; with ``force`` whoever is connected to it. False where somebody is, and it stays."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    if force:
        statement += sql.SQL(" WITH (FORCE)")
    try:
        connection.execute(statement)
    except psycopg.errors.ObjectInUse:
        return False
    return True
