"""Running a statement with relations hidden from it, in a savepoint that is rolled back."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgslate.catalog.statements import Statement
from pgslate.schema.identifiers import qualified
from pgslate.trace.effects import Unit
from pgslate.trace.interpretation import Observation, unnamed, uses
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.loops import NO_TIES, Thing, Ties, ties
from pgslate.trace.observer import Mark, Observer

_CODE = ("DoStmt", "CallStmt", "SelectStmt")
"""The kinds of statements that may run code, which goes by names that it looks up."""


def runs_code(statement: Statement) -> bool:
    """Whether a statement may do more than it says."""
    return statement.kind in _CODE


class Probe:
    """Finds what statements tie together, in the open transaction of one connection."""

    def __init__(self, connection: psycopg.Connection[Any], observer: Observer, live: LiveObjects) -> None:
        self._connection = connection
        self._observer = observer
        self._live = live
        self.mark = Mark("0")

    def begin(self) -> None:
        """Open the savepoint that ``ties`` goes back to, or leaves to ``keep``."""
        self._connection.execute(b"SAVEPOINT pgslate_probe")

    def keep(self) -> None:
        """Keep what was done since ``begin``."""
        self._connection.execute(b"RELEASE SAVEPOINT pgslate_probe")

    def ties(self, statement: Statement, observed: Observation) -> Ties | None:
        """What ``statement`` ties together, which ran since ``begin``, as it was ``observed``.

        None where there is nothing to look for. Else it is as if the statement had not run, and what the
        transaction writes from then on is younger than ``mark``: it stays in the savepoint, since rows that
        were written before, and hidden for a while, have lost the command that wrote them.
        """
        usual = self._live.outcome(observed.rows)
        relations = unnamed(self._live, observed, usual, text=statement.text)
        if relations is None or self._can_not_be_undone(statement, observed):
            return None
        self._undo()
        try:
            return ties(usual, *relations, lambda hidden: self._run(statement, hidden))
        except _CannotHideError:
            return NO_TIES

    def _can_not_be_undone(self, statement: Statement, observed: Observation) -> bool:
        """Whether the statement wrote rows or went on with a sequence, which would not go back."""
        may_set = "setval" in statement.text.lower()
        return any(wrote or went_on for _, wrote, went_on in uses(self._live, observed, may_set=may_set))

    def _run(self, statement: Statement, hidden: frozenset[Unit]) -> frozenset[Thing] | None:
        try:
            self._hide(hidden)
            before = self._observer.counters()
            try:
                rows, _ = self._observer.receive(self._observer.send(statement, self.mark), before)
            except psycopg.Error:
                return None
            return self._live.outcome(rows)
        finally:
            self._undo()
            self.mark = Mark(str(int(self.mark.xid) + 1))

    def _hide(self, hidden: frozenset[Unit]) -> None:
        """Move the relations where no loop over names will look for them, to schemas as many as theirs.

        What the statement writes is then younger than ``mark``.
        """
        schemas: dict[str, sql.Identifier] = {}
        steps: list[sql.Composable] = [sql.SQL("CREATE SCHEMA pgslate_hidden")]
        for unit in sorted(hidden):
            schema, name = qualified(self._live.units[unit].name)
            if schema not in schemas:
                schemas[schema] = sql.Identifier(f"pgslate_hidden_{len(schemas)}")
                steps.append(sql.SQL("CREATE SCHEMA {}").format(schemas[schema]))
            other = sql.Identifier(f"pgslate_hidden_{unit}")
            table = sql.Identifier(schema, name)
            steps.append(sql.SQL("ALTER TABLE {} RENAME TO {}").format(table, other))
            moved = sql.SQL("ALTER TABLE {} SET SCHEMA {}")
            steps.append(moved.format(sql.Identifier(schema, f"pgslate_hidden_{unit}"), schemas[schema]))
        steps.append(
            sql.SQL("SELECT xmin::text FROM pg_catalog.pg_namespace WHERE nspname = 'pgslate_hidden'")
        )
        try:
            cursor = self._connection.execute(sql.SQL(";").join(steps), prepare=False)
            while cursor.nextset():
                pass
            row = cursor.fetchone()
        except psycopg.Error as error:
            raise _CannotHideError from error
        assert row is not None
        self.mark = Mark(row[0])

    def _undo(self) -> None:
        self._connection.execute(b"ROLLBACK TO SAVEPOINT pgslate_probe")


class _CannotHideError(Exception):
    """PostgreSQL refuses to move a relation: it belongs to an extension, say."""
