"""Returning: what a test has given back is given a new name, proved to be unchanged or made so, and is ready.

It has the new name first, so that whoever still knows the old one never reaches the next test's data; and the
rename proves that nobody is connected: PostgreSQL refuses it otherwise. Till then the database takes no
connections, so that a client that comes again at once doesn't hold it up. Each step is in the book before it
is done, as ``returning``: a runner that is killed leaves a database that the reaper drops, and never one that
is ``ready`` and was not proved.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.registry import Book, Returned
from pgslate.clones.reuse import SETTINGS, Fresh, NotReusableError, look, put_back, require_same, state_of
from pgslate.clones.seal import Step, nothing
from pgslate.clones.sessions import end_sessions, wait_until_empty
from pgslate.errors import PgslateError

#: Seconds that a session may take to leave: whoever waits for a database shouldn't have to wait for that.
PATIENCE = 1.0

_CLOSE = sql.SQL("SET LOCAL statement_timeout = {patience}; ALTER DATABASE {name} ALLOW_CONNECTIONS false")

# In one transaction. Somebody who came just before the database was closed to all may not be seen yet, and
# PostgreSQL would wait 5 s for their leaving.
_RENAME = sql.SQL(
    "SET LOCAL statement_timeout = {patience}; ALTER DATABASE {before} RENAME TO {after};"
    " ALTER DATABASE {after} ALLOW_CONNECTIONS true"
)


class Returns:
    """Puts back what was given back, and knows what new copies of templates are like."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._fresh: dict[int, Fresh] = {}

    def look(self, connection: psycopg.Connection[Any], name: str, template: str, origin: int) -> None:
        """See what a clone is like that nobody has had yet, if it is the first of its template.

        Where that can't be seen, nothing will be reused, until it can.
        """
        if self._known(connection, origin) is not None:
            return
        try:
            state = state_of(connection, name, template=template, origin=origin)
            if state.hindrance:
                return
            with self._inside(name) as inside:
                fresh = look(inside, state.shape)
        except (NotReusableError, PgslateError):
            return
        except psycopg.Error:
            if not _is_usable(connection):
                raise
            return
        self._fresh[origin] = fresh
        self._book.remember(origin, fresh, connection)

    def put_back(self, connection: psycopg.Connection[Any], name: str, *, step: Step = nothing) -> str:
        """Make a clone that was given back ready for the next; its new name.

        ``step`` is told the name of each step before it is done. Raises NotReusableError where it is to be
        dropped, and psycopg.Error where ``connection`` is lost; the book says then, too, that it is to be.
        """
        called = [name]  # it has one of these names
        try:
            returned = self._new_name(connection, name, step)
            called.append(returned.name)
            self._empty(connection, name, step)
            self._rename(connection, name, returned, step)
            self._prove(connection, name, returned, step)
        except (NotReusableError, psycopg.Error, PgslateError) as error:
            is_lost = not _is_usable(connection)
            self._book.not_returned(called)
            if is_lost or isinstance(error, NotReusableError):
                raise
            raise NotReusableError(str(error).strip()) from error
        return returned.name

    def _new_name(self, connection: psycopg.Connection[Any], name: str, step: Step) -> Returned:
        step("write down")
        returned = self._book.new_name(name, connection)
        if returned is None:
            raise NotReusableError("a transaction is prepared in it, or nobody knows what it is a copy of")
        return returned

    def _empty(self, connection: psycopg.Connection[Any], name: str, step: Step) -> None:
        step("end sessions")
        ended = end_sessions(connection, name)  # first: one of them may hold what is waited for to close it
        closed = _CLOSE.format(name=sql.Identifier(name), patience=int(PATIENCE * 1000))
        connection.execute(closed)
        ended += end_sessions(connection, name)
        if ended and not wait_until_empty(connection, name, at_most=PATIENCE):
            raise NotReusableError(f"a session in it is still there, {PATIENCE:g} s after its end")

    def _rename(self, connection: psycopg.Connection[Any], name: str, returned: Returned, step: Step) -> None:
        step("rename")
        before, after = sql.Identifier(name), sql.Identifier(returned.name)
        connection.execute(_RENAME.format(before=before, after=after, patience=int(PATIENCE * 1000)))
        step("forget")
        self._book.gone(name, connection)

    def _prove(self, connection: psycopg.Connection[Any], name: str, returned: Returned, step: Step) -> None:
        step("prove")
        fresh = self._known(connection, returned.origin)
        if fresh is None:
            raise NotReusableError("nobody has looked what a new copy of its template is like")
        state = state_of(connection, returned.name, template=returned.template, origin=returned.origin)
        old = database_names.parse(name)
        assert old is not None, "it is one of our clones"
        require_same(fresh, state, oid=returned.own, since=returned.counted, named=old.made)
        step("put back")
        with self._inside(returned.name) as inside:
            put_back(inside, fresh)
        step("ready")
        if not self._book.reusable(returned.name, connection):
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
        return self._book.server.with_dbname(name).connect(
            settings=SETTINGS, autocommit=True, prepare_threshold=None
        )


def _is_usable(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
