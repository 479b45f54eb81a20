"""Statements that a file takes back itself, by ROLLBACK TO SAVEPOINT. Pure.

What stands between a SAVEPOINT and the last ROLLBACK TO it never happened, with one exception: PostgreSQL
doesn't take back the numbers that a sequence gave out (nextval, setval).

Source: PostgreSQL manual, "SAVEPOINT", "ROLLBACK TO SAVEPOINT", "Sequence Manipulation Functions".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pgslate.catalog import statements
from pgslate.catalog.statements import Statement
from pgslate.trace.effects import Effect, UnitInfo


@dataclass(frozen=True, slots=True)
class Undone:
    """The statements from a SAVEPOINT, at ``first``, to the last ROLLBACK TO it, at ``last``."""

    first: int
    last: int


def undone(block: Sequence[Statement]) -> tuple[Undone, ...]:
    """What a transaction's statements take back, by their places in it, in the order of the SAVEPOINTs.

    >>> text = "SAVEPOINT a; DROP TABLE t; SAVEPOINT b; ROLLBACK TO a; SAVEPOINT c; RELEASE c"
    >>> undone(statements.split(text))
    (Undone(first=0, last=3),)
    """
    open_savepoints: list[tuple[str, int]] = []
    last: dict[int, int] = {}
    for index, statement in enumerate(block):
        if statement.kind != "TransactionStmt":
            continue
        (tree,) = statements.parse(statement.text) or [{}]
        node = tree.get("TransactionStmt", {})
        kind, name = node.get("kind"), node.get("savepoint_name", "")
        if kind == "TRANS_STMT_SAVEPOINT":
            open_savepoints.append((name, index))
        elif kind in ("TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO"):
            while open_savepoints and open_savepoints[-1][0] != name:
                open_savepoints.pop()
            if not open_savepoints:
                continue  # PostgreSQL refuses it
            if kind == "TRANS_STMT_RELEASE":
                open_savepoints.pop()
            else:
                last[open_savepoints[-1][1]] = index
    return tuple(Undone(first, last[first]) for first in sorted(last))


def outermost(found: Sequence[Undone]) -> tuple[Undone, ...]:
    """Those that don't stand in another one."""
    return tuple(
        one for one in found if not any(o.first < one.first and one.last <= o.last for o in found if o != one)
    )


def without_effect(effects: Sequence[Effect], first: int, units: Sequence[UnitInfo]) -> list[Effect]:
    """The effects of statements that were taken back: nothing is left but the positions of sequences.

    ``first`` is the number in the trace of the first of ``effects``; ``units`` are those there were before
    it. Where a sequence went on, its statement needs what it needed then, and all of these run together.
    """
    last = first + len(effects) - 1

    def left(effect: Effect) -> Effect:
        place = Effect(effect.migration, effect.statement, effect.line, effect.digest)
        if not went_on:
            return place
        known = range(len(units))
        used = effect.reads | effect.changes | effect.marks | effect.writes | effect.drops
        writes = frozenset(unit for unit in effect.writes if unit in went_on)
        reads = frozenset(unit for unit in used if unit in known) - writes
        return place._replace(writes=writes, reads=reads, together=(first, last))

    written = frozenset().union(*(effect.writes for effect in effects))
    went_on = {u for u in written if u < len(units) and units[u].kind == "sequence"}
    return list(map(left, effects))
