"""Running a statement with relations hidden from it, in a savepoint that is rolled back."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgslate.slicing.effects import Unit
from pgslate.slicing.identity import qualified
from pgslate.slicing.observe import Counters, Mark, Observer
from pgslate.slicing.reading import Seen, unnamed
from pgslate.slicing.ties import NO_TIES, Thing, Ties, ties
from pgslate.slicing.world import World
from pgslate.sql import Statement

_CODE = ("DoStmt", "CallStmt", "SelectStmt")
"""The kinds of statements that may run code, which goes by names that it looks up."""

_HIDDEN = sql.Identifier("pgslate_hidden")


def runs_code(statement: Statement) -> bool:
    """Whether a statement may do more than it says."""
    return statement.kind in _CODE


class Probe:
    """Finds what statements tie together, in the open transaction of one connection."""

    def __init__(self, connection: psycopg.Connection[Any], observer: Observer, world: World) -> None:
        self._connection = connection
        self._observer = observer
        self._world = world

    def begin(self) -> None:
        """Open the savepoint that ``ties`` goes back to, or leaves to ``keep``."""
        self._connection.execute(b"SAVEPOINT pgslate_probe")

    def keep(self) -> None:
        """Keep what was done since ``begin``."""
        self._connection.execute(b"RELEASE SAVEPOINT pgslate_probe")

    def ties(self, statement: Statement, seen: Seen, mark: Mark) -> Ties | None:
        """What ``statement`` ties together, which ran since ``begin``, as it was ``seen``.

        None where there is nothing to look for. Else it is as if the statement had not run.
        """
        usual = self._world.outcome(seen.rows)
        relations = unnamed(self._world, seen, usual, text=statement.text)
        then = seen.before.locks
        wrote = any(count != then.get(oid, (False, 0))[1] for oid, (_, count) in seen.after.locks.items())
        if relations is None or wrote:  # a sequence would not go back
            return None
        try:
            self._undo()
            return ties(usual, *relations, lambda hidden: self._run(statement, hidden, seen.before, mark))
        except _CannotHideError:
            return NO_TIES

    def _run(
        self, statement: Statement, hidden: frozenset[Unit], before: Counters, mark: Mark
    ) -> frozenset[Thing] | None:
        try:
            self._hide(hidden)
            after = self._observer.run(statement.text)
            return self._world.outcome(self._observer.rows(mark, self._observer.written(before, after)))
        except psycopg.Error:
            return None
        finally:
            self._undo()

    def _hide(self, hidden: frozenset[Unit]) -> None:
        """Give the relations names in another schema that no loop over names will look for."""
        steps = [sql.SQL("CREATE SCHEMA {}").format(_HIDDEN)]
        for unit in sorted(hidden):
            schema, name = map(sql.Identifier, qualified(self._world.units[unit].name))
            other = sql.Identifier(f"pgslate_hidden_{unit}")
            steps.append(sql.SQL("ALTER TABLE {}.{} RENAME TO {}").format(schema, name, other))
            steps.append(sql.SQL("ALTER TABLE {}.{} SET SCHEMA {}").format(schema, other, _HIDDEN))
        try:
            self._connection.execute(sql.SQL(";").join(steps), prepare=False)
        except psycopg.Error as error:
            raise _CannotHideError from error

    def _undo(self) -> None:
        self._connection.execute(b"ROLLBACK TO SAVEPOINT pgslate_probe")


class _CannotHideError(Exception):
    """PostgreSQL refuses to move a relation: it belongs to an extension, say."""
