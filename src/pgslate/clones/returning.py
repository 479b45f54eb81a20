"""Returning: what a test has given back is given a new name, proved to be unchanged or made so, and is ready.

It has the new name first, so that whoever still knows the old one never reaches the next test's data; and the
rename proves that nobody is connected: PostgreSQL refuses it otherwise. Each step is in the book before it is
done, as ``returning``: a runner that is killed leaves a database that the reaper drops, and never one that is
``ready`` and was not proved.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import names
from pgslate.clones.book import Book
from pgslate.clones.properties import sealed
from pgslate.clones.reuse import Fresh, NotReusableError, look, put_back, shape_of
from pgslate.clones.sessions import end_sessions, wait_until_empty
from pgslate.clones.template import Step, nothing


class Returns:
    """Puts back what was given back; knows what new copies of templates are like, and looks where nobody has."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._fresh: dict[int, Fresh] = {}

    def look(self, connection: psycopg.Connection[Any], name: str, origin: int) -> None:
        """See what a clone is like that nobody has had yet, if it is the first of its template."""
        if self._known(connection, origin) is not None:
            return
        try:
            shape = shape_of(connection, name)
            with self._inside(name) as inside:
                fresh = look(inside, shape)
        except NotReusableError:
            return
        self._fresh[origin] = fresh
        self._book.remember(origin, fresh, connection)

    def put_back(
        self, connection: psycopg.Connection[Any], name: str, *, step: Step = nothing
    ) -> NotReusableError | None:
        """Make a clone that was given back ready for the next; or why it can't be, and is to be dropped.

        ``step`` is told the name of each step before it is done. Raises psycopg.Error where ``connection`` is
        lost.
        """
        now = name
        try:
            renamed = self._rename(connection, name, step)
            now = renamed
            self._prove(connection, name, renamed, step)
        except NotReusableError as reason:
            found = reason
        except psycopg.Error as error:
            if not _is_usable(connection):
                raise
            found = NotReusableError(str(error).strip())
        else:
            return None
        self._book.done_with(now)
        return found

    def _rename(self, connection: psycopg.Connection[Any], name: str, step: Step) -> str:
        step("end sessions")
        if end_sessions(connection, name):
            wait_until_empty(connection, name)
        if _is_prepared(connection, name):
            raise NotReusableError("a transaction is prepared in it")
        step("write down")
        try:
            renamed = self._book.new_name(name, connection)
        except LookupError:
            raise NotReusableError("the book has forgotten it") from None
        step("rename")
        try:
            connection.execute(
                sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                    sql.Identifier(name), sql.Identifier(renamed)
                )
            )
        except psycopg.Error:
            if not connection.closed:
                self._book.gone(renamed, connection)
            raise
        step("forget")
        self._book.gone(name, connection)
        return renamed

    def _prove(self, connection: psycopg.Connection[Any], name: str, renamed: str, step: Step) -> None:
        step("prove")
        returned = self._book.returned(renamed, connection)
        fresh = None if returned is None else self._known(connection, returned.origin)
        if returned is None or fresh is None:
            raise NotReusableError("nothing is known of its template's copies")
        template = sealed(connection, returned.template)
        if template is None or template.oid != returned.origin:
            raise NotReusableError("its template is another one now")
        if shape_of(connection, renamed) != fresh.shape:
            raise NotReusableError("the database itself was altered")
        old = names.parse(name)
        assert old is not None, "it was one of our clones"
        with self._inside(renamed) as inside:
            counted = put_back(inside, fresh, since=returned.counted, named=old.made)
        step("ready")
        if not self._book.reusable(renamed, counted, connection):
            raise NotReusableError("the book has forgotten it")
        step("over")

    def _known(self, connection: psycopg.Connection[Any], origin: int) -> Fresh | None:
        if origin not in self._fresh:
            found = self._book.fresh(origin, connection)
            if found is None:
                return None
            self._fresh[origin] = found
        return self._fresh[origin]

    def _inside(self, name: str) -> psycopg.Connection[Any]:
        return self._book.server.with_dbname(name).connect(autocommit=True, prepare_threshold=None)


def _is_prepared(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = %s)", [name]
    ).fetchone()
    return bool(row and row[0])


def _is_usable(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
