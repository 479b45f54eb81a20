"""A clone: the database of one test, as the test receives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import sql

from pgslate.clones.connections import Note, connect_patiently
from pgslate.plain_text import silent
from pgslate.targets.target import Target
from pgslate.targets.url import url_with

if TYPE_CHECKING:
    from psycopg.rows import TupleRow


class Clone(Target):
    """A database that belongs to one test. Closing it gives it back: it is dropped, or reset for the next
    test.

    Attributes:
        dsn: a URL, for any program.
        name: the name of the database.
        tables: the contents, in words.
        form: how the template was made: ``objects`` (final DDL) or ``statements`` (replayed migrations).
    """

    def __init__(
        self,
        server: Target,
        name: str,
        *,
        tables: str = "",
        form: str = "",
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
        self.form = form
        self._database = server.with_dbname(name)
        self._database.label = self.label
        self._note = note

    def __enter__(self) -> Self:
        return self

    def connect(self, **kwargs: Any) -> psycopg.Connection[TupleRow]:
        """Open a psycopg connection; wait while the server has none left. Keywords are psycopg's own."""
        return connect_patiently(self._database, note=self._note, **kwargs)

    async def async_connect(self, **kwargs: Any) -> psycopg.AsyncConnection[TupleRow]:
        """Open a psycopg connection for asyncio. Keywords are psycopg's own."""
        return await psycopg.AsyncConnection.connect(self.dsn, **{**self._database.parameters(), **kwargs})


def drop(connection: psycopg.Connection[Any], name: str, *, force: bool) -> bool:
    """Drop a clone; with ``force``, end its sessions first. Returns False if a session keeps it alive."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
    if force:
        statement += sql.SQL(" WITH (FORCE)")
    try:
        connection.execute(statement)
    except psycopg.errors.ObjectInUse:
        return False
    return True
