"""``why``: the reasons for a table (what it needs) or for a migration (which tables need it)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, overload

from pgslate.catalog.migration import Migration
from pgslate.errors import UnknownTableError, UsageError
from pgslate.project.project import Project
from pgslate.slices.reasons import (
    StatementReason,
    chain_of_unit,
    exclusion,
    for_other_files,
    statements_needed,
)
from pgslate.slices.selection import select
from pgslate.slices.slice import Slice, slice_of
from pgslate.trace.effects import Trace, Unit, relations


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


@dataclass(frozen=True, slots=True)
class RelationSize:
    """A relation, and how many migrations its slice has in the files form."""

    name: str
    kind: str
    migrations: int


@dataclass(frozen=True, slots=True)
class WhyRelations:
    """Every relation that the catalog makes; ``migrations`` is how many migrations the catalog has."""

    relations: tuple[RelationSize, ...]
    migrations: int

    def as_json(self) -> dict[str, Any]:
        """``tables: [{table, kind, migrations}]`` and ``migrations``."""
        found = [
            {"table": each.name, "kind": each.kind, "migrations": each.migrations} for each in self.relations
        ]
        return {"tables": found, "migrations": self.migrations}


@overload
def why(about: Slice) -> WhyTable: ...
@overload
def why(about: Project) -> WhyRelations: ...
@overload
def why(about: Project, name: str) -> WhyTable | WhyMigration: ...
def why(about: Slice | Project, name: str | None = None) -> WhyTable | WhyMigration | WhyRelations:
    """Explain a slice, a table, a migration, or how much of the catalog each relation needs.

    Args:
        about: A slice, to explain what its tables need; or a project.
        name: With a project: a table, or a migration's version, file or name. Where it is both, it is the
            table. Without a name every relation is listed with the number of migrations that it needs.

    Raises:
        UnknownTableError: There is neither a table nor a migration of that name.
        UsageError: The name stands for several tables.
    """
    if isinstance(about, Slice):
        return _of_slice(about)
    if name is None:
        return _of_relations(about)
    migration = about.catalog.find(name)
    if migration is not None and not _is_relation(about, name):
        return _of_migration(about, migration)
    selection = about.selection([name])
    if len(selection.tables) != 1:
        raise UsageError("`why` explains one table or migration at a time", fix="name a table")
    return _of_slice(about.slice_for(selection))


def _of_relations(project: Project) -> WhyRelations:
    catalog, trace = project.catalog, project.trace
    found = []
    for unit in relations(trace):
        info = trace.units[unit]
        chosen = slice_of(catalog, trace, [unit], tables=(info.name,))
        found.append(RelationSize(info.name, info.kind, len(chosen.migrations)))
    return WhyRelations(tuple(found), len(catalog))


def _of_slice(chosen: Slice) -> WhyTable:
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
        () if needed else for_other_files(chosen, migration),
    )


def _of_migration(project: Project, migration: Migration) -> WhyMigration:
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
