"""`why` as a tree: each statement with its place, and below it the chain that leads back to the question."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pgslate.plain_text import aligned, counted, plain
from pgslate.slices.reasons import ASKED, StatementReason
from pgslate.verbs.why import WhyMigration, WhyRelations, WhyTable


def text(answer: WhyTable | WhyMigration | WhyRelations) -> str:
    """The answer for people."""
    if isinstance(answer, WhyRelations):
        return _relations(answer)
    return "\n".join(_table(answer) if isinstance(answer, WhyTable) else _migration(answer))


def _relations(answer: WhyRelations) -> str:
    rows = [(each.kind, each.name, counted(each.migrations, "migration")) for each in answer.relations]
    head = f"{counted(len(rows), 'relation')}, each with what it needs of {answer.migrations}:"
    return "\n".join([head, aligned(rows)])


def _table(answer: WhyTable) -> Iterable[str]:
    yield f"{answer.table} needs"
    yield aligned([(each.kind, plain(each.name), _chain(each.because)) for each in answer.required])
    yield f"made by {counted(len(answer.migrations), 'migration')}"
    for each in answer.migrations:
        yield f"  {each.migration.shown}: {len(each.statements)} of {counted(each.of, 'statement')}"
        yield from _statements(each.statements, "    ")
        yield from (f"    {plain(reason)}" for reason in each.along)
    if answer.excluded:
        yield f"and not by {counted(len(answer.excluded), 'other')}"
        yield aligned([(migration.shown, plain(reason)) for migration, reason in answer.excluded])


def _migration(answer: WhyMigration) -> Iterable[str]:
    if not answer.tables:
        yield f"{answer.migration.shown} is needed by no table"
        return
    yield f"{answer.migration.shown} is needed by {counted(len(answer.tables), 'table')}"
    if answer.contracts:
        yield f"and so by {counted(len(answer.contracts), 'contract')}: {', '.join(answer.contracts)}"
    for use in answer.tables:
        yield f"  {use.table}"
        yield from _statements(use.statements, "    ")


def _statements(statements: Sequence[StatementReason], indent: str) -> Iterable[str]:
    """Each statement; those of one chain together, and the chain once below them."""
    for position, statement in enumerate(statements):
        yield f"{indent}{statement.place}  {statement.statement}"
        later = statements[position + 1].because if position + 1 < len(statements) else None
        if later != statement.because:
            for depth, link in enumerate(statement.because):
                yield f"{indent}{'   ' * depth}└─ {plain(link)}"


def _chain(because: Sequence[str]) -> str:
    return plain(", ".join(because)) if tuple(because) != (ASKED,) else ASKED
