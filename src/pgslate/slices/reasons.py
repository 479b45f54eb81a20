"""Why: the chain of reasons from a statement to what was asked for, and from a migration to its tables.

A chain is read from the thing to the question: ``creates table public.users``, ``needed by table
public.orders (constraint)``, ``asked for``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.errors import UnknownTableError, UsageError
from pgslate.project.project import Project
from pgslate.slices.selection import relations, select
from pgslate.slices.slice import Slice, slice_of
from pgslate.slices.walk import Cause
from pgslate.trace.effects import Trace, Unit

ASKED = "asked for"

# Schemas whose objects end with the session, or belong to a table anyway.
_PASSING = ("pg_temp", "pg_toast")


@dataclass(frozen=True, slots=True)
class StatementReason:
    """A statement that a table needs: its place, its opening, and the chain of reasons."""

    file: str
    line: int
    statement: str
    because: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "statement": self.statement, "because": list(self.because)}


@dataclass(frozen=True, slots=True)
class MigrationReason:
    """A migration of a slice: how many ``of`` its statements count for themselves, each with its reason.

    ``along`` are the reasons for one of which none does: other files need it, as they are replayed whole.
    """

    migration: Migration
    of: int
    statements: tuple[StatementReason, ...]
    along: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "version": self.migration.version,
            "file": self.migration.file,
            "of": self.of,
            "statements": [statement.as_json() for statement in self.statements],
            "along": list(self.along),
        }


@dataclass(frozen=True, slots=True)
class ObjectReason:
    """An object that must be there at the end, and why."""

    kind: str
    name: str
    because: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {"object": self.name, "kind": self.kind, "because": list(self.because)}


@dataclass(frozen=True, slots=True)
class WhyTable:
    """What a table needs: the objects, the migrations with their statements; and why not the others."""

    table: str
    required: tuple[ObjectReason, ...]
    migrations: tuple[MigrationReason, ...]
    excluded: tuple[tuple[Migration, str], ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "table": self.table,
            "required": [each.as_json() for each in self.required],
            "migrations": [each.as_json() for each in self.migrations],
            "excluded": [{"version": m.version, "file": m.file, "reason": why} for m, why in self.excluded],
        }


@dataclass(frozen=True, slots=True)
class TableUse:
    """A table that a migration is for, and the statements of it that the table needs."""

    table: str
    statements: tuple[StatementReason, ...]

    def as_json(self) -> dict[str, Any]:
        return {"table": self.table, "statements": [each.as_json() for each in self.statements]}


@dataclass(frozen=True, slots=True)
class WhyMigration:
    """Whom a migration is for: every table that needs it, and the contracts that name one of those."""

    migration: Migration
    tables: tuple[TableUse, ...]
    contracts: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "migration": self.migration.version,
            "file": self.migration.file,
            "tables": [each.as_json() for each in self.tables],
            "contracts": list(self.contracts),
        }


def why(project: Project | Catalog, name: str) -> WhyTable | WhyMigration:
    """The reasons for a table (what it needs, and why) or for a migration (who needs it, and why).

    ``name`` is a table, or a migration's version, file or name; where it is both, it is the table. Raises
    UnknownTableError, UsageError.
    """
    opened = project if isinstance(project, Project) else Project(project)
    migration = opened.catalog.find(name)
    if migration is not None and not _is_relation(opened, name):
        return why_migration(opened, migration)
    selection = opened.selection([name])
    if len(selection.tables) != 1:
        raise UsageError("`why` explains one table or migration at a time", fix="name a table")
    return why_table(opened.slice(selection))


def why_table(chosen: Slice) -> WhyTable:
    """What the tables of a slice need, and why."""
    catalog, trace = chosen.catalog, chosen.trace
    required = (
        ObjectReason(trace.units[unit].kind, trace.units[unit].name, chain_of_unit(chosen, unit))
        for unit in sorted(chosen.required)
    )
    migrations = tuple(_migration_reason(chosen, index) for index in chosen.migrations)
    left_out = sorted(set(range(len(catalog))) - set(chosen.migrations))
    return WhyTable(
        ", ".join(chosen.tables) or "every table",
        tuple(required),
        migrations,
        tuple((catalog.migrations[index], exclusion(chosen, index)) for index in left_out),
    )


def _migration_reason(chosen: Slice, migration: int) -> MigrationReason:
    needed = statements_needed(chosen, migration)
    return MigrationReason(
        chosen.catalog.migrations[migration],
        len(chosen.trace.by_migration[migration]),
        needed,
        () if needed else _for_other_files(chosen, migration),
    )


def why_migration(project: Project, migration: Migration) -> WhyMigration:
    """Every table and contract whose slice has the migration."""
    catalog, trace = project.catalog, project.trace
    index = catalog.migrations.index(migration)
    using: list[TableUse] = []
    used: set[Unit] = set()
    for unit in relations(trace):
        name = trace.units[unit].name
        if trace.units[unit].kind == "sequence" and _is_owned(trace, unit):
            continue  # its table says it
        chosen = slice_of(catalog, trace, [unit], tables=(name,), form="statements")
        if index in chosen.migrations:
            using.append(TableUse(name, statements_needed(chosen, index)))
            used.add(unit)
    contracts = tuple(name for name in project.config.contracts if used & _units_of(project, name))
    return WhyMigration(migration, tuple(using), contracts)


def statements_needed(chosen: Slice, migration: int) -> tuple[StatementReason, ...]:
    """The statements of a migration that the slice needs for themselves, each with its reason."""
    file = chosen.catalog.migrations[migration]
    found = []
    for index in sorted(chosen.needed):
        effect = chosen.trace.effects[index]
        if effect.migration == migration:
            text = file.statements[effect.statement].first_line
            found.append(StatementReason(file.file, effect.line, text, chain_of_effect(chosen, index)))
    return tuple(found)


def reasons(chosen: Slice, migration: int) -> tuple[str, ...]:
    """Why a slice has a migration: what its needed statements do, and for what; the nearest first."""
    needed = [index for index in chosen.trace.by_migration[migration] if index in chosen.needed]
    chains = [chain_of_effect(chosen, index) for index in needed]
    found: dict[str, None] = {}
    for chain in sorted(chains, key=len):
        said = chain[0] if len(chain) < 3 else f"{chain[0]}, {chain[1]}"
        if f"creates{said.removeprefix('changes')}" not in found:
            found[said] = None
    return tuple(found) or _for_other_files(chosen, migration)


def _for_other_files(chosen: Slice, migration: int) -> tuple[str, ...]:
    """Why a slice has a migration of which nothing is needed but by statements that come with their file."""
    found: dict[str, None] = {}
    for index in chosen.trace.by_migration[migration]:
        cause = chosen.causes.get(index)
        if cause is not None and cause.unit is not None:
            found[", ".join([*chain_of_effect(chosen, index)[:2], "which comes with its file"])] = None
    return tuple(found) or ("none of its statements is needed by itself",)


def exclusion(chosen: Slice, migration: int) -> str:
    """Why a slice can do without a migration: what it touches, which nothing asked for needs."""
    trace = chosen.trace
    touched: dict[Unit, None] = {}
    for effect in map(trace.effects.__getitem__, trace.by_migration[migration]):
        touched |= dict.fromkeys(sorted(effect.touches | effect.drops | effect.cascades))
    names = [trace.units[unit] for unit in touched if not trace.units[unit].name.startswith(_PASSING)]
    # the tables say it, where there are some
    for kinds in (("table", "view", "materialized view"), ("function", "procedure", "type", "extension"), ()):
        shown = list(dict.fromkeys(unit.name for unit in names if not kinds or unit.kind in kinds))
        if shown:
            more = f" and {len(shown) - 3} more" if len(shown) > 4 else ""
            return f"only touches {', '.join(shown[:3] if more else shown)}{more}"
    return "changes nothing that stays"


def chain_of_effect(chosen: Slice, effect: int) -> tuple[str, ...]:
    """The reasons for a statement, from its own to ``asked for``."""
    return tuple(_walk(chosen, chosen.causes.get(effect), None))


def chain_of_unit(chosen: Slice, unit: Unit) -> tuple[str, ...]:
    """The reasons for an object, from its own to ``asked for``."""
    return tuple(_walk(chosen, chosen.unit_causes.get(unit), unit))


def _walk(chosen: Slice, cause: Cause | None, about: Unit | None) -> Iterable[str]:
    """One phrase a link. ``about`` is the unit that ``cause`` is the cause of; None for a statement's."""
    trace = chosen.trace
    seen: set[tuple[Unit | None, int | None]] = set()
    while cause is not None and (cause.unit, cause.effect) not in seen:
        seen.add((cause.unit, cause.effect))
        if cause.effect is not None:
            yield f"{cause.how} {_place(chosen, cause.effect)}"
            cause, about = chosen.causes.get(cause.effect), None
        elif cause.unit is not None:
            yield _phrase(cause.how, trace, cause.unit, of_unit=about is not None)
            about = cause.unit
            cause = chosen.unit_causes.get(cause.unit)
        else:
            yield cause.how
            return


def _phrase(how: str, trace: Trace, unit: Unit, *, of_unit: bool) -> str:
    if of_unit and not how.endswith(" by"):
        return f"needed by {trace.units[unit]} ({how})"
    return f"{how} {trace.units[unit]}"


def _place(chosen: Slice, effect: int) -> str:
    found = chosen.trace.effects[effect]
    return f"{chosen.catalog.migrations[found.migration].file}:{found.line}"


def _is_owned(trace: Trace, sequence: Unit) -> bool:
    return any(needs.get(sequence) == "owned sequence" for needs in trace.requires.values())


def _is_relation(project: Project, name: str) -> bool:
    try:
        return bool(select(project.catalog, project.trace, [name]))
    except UnknownTableError:
        return False


def _units_of(project: Project, contract: str) -> set[Unit]:
    chosen = project.selection(contracts=[contract])
    if not chosen.tables:
        return set(relations(project.trace))
    return set(select(project.catalog, project.trace, chosen.tables))
