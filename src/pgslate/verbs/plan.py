"""``plan``: what would run for a slice, and why; what would not, and why not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgslate.slices.reasons import exclusion, reasons
from pgslate.slices.slice import Slice

if TYPE_CHECKING:  # a plan for an empty database needs no driver
    from pgslate.execution.planner import Plan
    from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """A migration that would run: ``statements`` of it count for themselves, ``of`` is how many it has."""

    version: str
    file: str
    statements: int
    of: int
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The migration for programs."""
        return {
            "version": self.version,
            "file": self.file,
            "statements": self.statements,
            "of": self.of,
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True)
class ExcludedMigration:
    """A migration that would not run, and why not."""

    version: str
    file: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The migration for programs."""
        return {"version": self.version, "file": self.file, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What would run on a database, in order, and what would not.

    ``partitions`` are those that were asked for by name, and are made by policy. ``widened`` says what a
    failed proof added to the slice, ``changing`` which columns hang on time or chance,
    ``collisions`` which older migrations may fail on what newer ones, applied before them, have changed.
    """

    tables: tuple[str, ...]
    form: str
    migrations: tuple[PlannedMigration, ...]
    excluded: tuple[ExcludedMigration, ...]
    partitions: tuple[str, ...] = ()
    widened: tuple[str, ...] = ()
    changing: tuple[str, ...] = ()
    collisions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """``tables``, ``form``, ``migrations: [{version, file, statements, of, reasons}]``, ``excluded:
        [{version, file, reason}]``, ``partitions``, ``widened``, ``changing`` and ``collisions``;
        ``statements`` and ``of`` are counts."""
        return {
            "tables": list(self.tables),
            "form": self.form,
            "migrations": [each.as_json() for each in self.migrations],
            "excluded": [each.as_json() for each in self.excluded],
            "partitions": list(self.partitions),
            "widened": list(self.widened),
            "changing": list(self.changing),
            "collisions": list(self.collisions),
        }


def plan(
    slice_: Slice,
    target: Target | None = None,
    *,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
) -> PlanResult:
    """What ``apply`` would do with ``slice_`` now; only reads.

    Args:
        slice_: What would be applied.
        target: The database; without one the plan is for an empty database, and needs no server.
        allow_out_of_order: Plan migrations that come below the last applied one, too.
        accept_edited: Migrations whose edit counts as what was applied, by version or file.
        assume_applied: Migrations that would be recorded without being run, by version or file.

    Raises:
        LedgerError: Catalog and ledger contradict each other.
        UsageError: The catalog has no migration of a name that was given.
        ServerNotReadyError: There is no connection.
    """
    assumed = tuple(assume_applied)
    collisions: tuple[str, ...] = ()
    if target is None and not assumed:
        migrations, excluded = _for_an_empty_database(slice_)
    else:
        from pgslate.execution.planner import plan_of

        found = plan_of(
            slice_,
            _ledger_of(slice_, target, refusing=not assumed),
            allow_out_of_order=allow_out_of_order,
            accept_edited=accept_edited,
            assume_applied=assumed,
        )
        migrations, excluded = _from_plan(found)
        collisions = found.collisions
    return PlanResult(
        tables=slice_.tables,
        form=slice_.form,
        migrations=migrations,
        excluded=excluded,
        partitions=tuple(name for names in slice_.partitions.values() for name in names),
        widened=slice_.widened,
        changing=slice_.changing,
        collisions=collisions,
    )


_Parts = tuple[tuple[PlannedMigration, ...], tuple[ExcludedMigration, ...]]


def _ledger_of(slice_: Slice, target: Target | None, *, refusing: bool) -> Any:
    from pgslate.execution.adoption import refuse_others
    from pgslate.execution.connection import connected, read_ledger
    from pgslate.execution.ledger import EMPTY

    if target is None:
        return EMPTY
    with connected(target) as connection:
        found, server = read_ledger(connection)
        if refusing and found.is_empty and server.has_tool_tables:
            refuse_others(connection, slice_)
        return found


def _from_plan(found: Plan) -> _Parts:
    migrations = tuple(
        PlannedMigration(step.migration.version, step.migration.file, step.needed, step.of, step.reasons)
        for step in found.steps
    )
    return migrations, tuple(
        ExcludedMigration(each.migration.version, each.migration.file, each.reason) for each in found.excluded
    )


def _for_an_empty_database(slice_: Slice) -> _Parts:
    totals = Counter(effect.migration for effect in slice_.trace.effects)
    wanted = frozenset(slice_.migrations)
    catalog = slice_.catalog.migrations
    migrations = tuple(
        PlannedMigration(
            catalog[index].version,
            catalog[index].file,
            len(slice_.statements(index, needed=True)),
            totals[index],
            reasons(slice_, index),
        )
        for index in slice_.migrations
    )
    return migrations, tuple(
        ExcludedMigration(migration.version, migration.file, exclusion(slice_, index))
        for index, migration in enumerate(catalog)
        if index not in wanted
    )
