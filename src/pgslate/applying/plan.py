"""Planning: what of a slice would run on a database with this ledger, what would not, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pgslate import reasons as why
from pgslate.applying import standing
from pgslate.applying.ledger import EMPTY, Ledger, Row
from pgslate.catalog import Catalog, Migration
from pgslate.errors import UsageError
from pgslate.slicing.slice import Slice
from pgslate.sql import Statement


@dataclass(frozen=True, slots=True)
class Part:
    """Statements of a file that stand or fall together, with their indexes in the file.

    ``atomic`` ones run in a transaction, with what the ledger says of them. Another is one statement that
    PostgreSQL refuses in a transaction.
    """

    statements: tuple[tuple[int, Statement], ...]
    atomic: bool

    @property
    def first(self) -> int:
        return self.statements[0][0]


@dataclass(frozen=True)
class Step:
    """A migration to run.

    ``statements`` are the indexes in the file of those that run, None for all ``of`` them; ``needed`` is how
    many count for themselves. ``start`` is where a file that was cut off goes on, ``begun`` what the ledger
    noted when it began that statement, None where it had not.
    """

    migration: Migration
    of: int
    needed: int
    reasons: tuple[str, ...]
    statements: tuple[int, ...] | None = None
    start: int = 0
    begun: Mapping[str, Any] | None = None

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What is left to run, in order."""
        found = []
        for block in self.migration.blocks:
            chosen = tuple(
                (index, statement)
                for index, statement in enumerate(block.statements, start=block.first)
                if index >= self.start and (self.statements is None or index in self.statements)
            )
            if chosen:
                found.append(Part(chosen, block.transactional or _may_be_wrapped(chosen[0][1])))
        return tuple(found)

    @property
    def is_one_transaction(self) -> bool:
        return len(self.parts) <= 1 and all(part.atomic for part in self.parts)

    def done_before(self, index: int) -> tuple[Statement, ...]:
        """The statements of the file that this step, or one before it, ran before the index."""
        return standing.statements_before(self.migration, index, self.statements)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A migration that would not run, and why not."""

    migration: Migration
    reason: str


@dataclass(frozen=True)
class Plan:
    """What would run, in order, and what would not.

    ``assumed`` are recorded as applied without being run, ``accepted`` are edited files whose checksums the
    ledger takes over. ``applied`` are the versions that stand before the run, ``known`` every version of the
    catalog; ``fresh`` says that no migration stands there yet.
    """

    tables: tuple[str, ...]
    form: str
    steps: tuple[Step, ...]
    excluded: tuple[Excluded, ...]
    assumed: tuple[Migration, ...] = ()
    accepted: tuple[Migration, ...] = ()
    applied: tuple[str, ...] = ()
    known: tuple[str, ...] = field(default=(), repr=False)
    fresh: bool = True

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run or to record."""
        return not (self.steps or self.assumed or self.accepted)

    @cached_property
    def single_transaction(self) -> bool:
        """Whether all steps may share one transaction.

        Only on a fresh database, only where every file is one transaction, and where no constraint is
        deferred: SET CONSTRAINTS, which checks what a file left to its end, can't be undone within a
        transaction.
        """
        return self.fresh and all(step.is_one_transaction and not _defers(step) for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        """``tables``, ``form``, ``migrations: [{version, file, statements, of, reasons}]`` and ``excluded:
        [{version, file, reason}]``; ``statements`` and ``of`` are counts.
        """
        return {
            "tables": list(self.tables),
            "form": self.form,
            "migrations": [
                {
                    "version": step.migration.version,
                    "file": step.migration.file,
                    "statements": step.needed,
                    "of": step.of,
                    "reasons": list(step.reasons),
                }
                for step in self.steps
            ],
            "excluded": [
                {"version": each.migration.version, "file": each.migration.file, "reason": each.reason}
                for each in self.excluded
            ],
        }


def plan(
    slice_: Slice,
    ledger: Ledger = EMPTY,
    *,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
) -> Plan:
    """What to run of ``slice_`` on a database whose ledger is ``ledger`` (by default: none).

    ``accept_edited`` and ``assume_applied`` name migrations by version, file or name. Raises UsageError for a
    name the catalog doesn't have; MissingMigrationError, EditedMigrationError, OutOfOrderError and
    PartlyAppliedError where ledger and catalog contradict each other.
    """
    catalog = slice_.catalog
    accepted = _named(catalog, accept_edited)
    assumed = [m for m in _named(catalog, assume_applied) if not _is_finished(ledger, m)]
    standing.check_missing(catalog, ledger)
    edited = standing.edited(catalog, ledger)
    standing.check_edited([m for m in edited if m not in accepted], ledger)
    pending = [
        index
        for index, migration in zip(slice_.migrations, slice_.files, strict=True)
        if migration not in assumed and _is_pending(migration, ledger.by_version.get(migration.version))
    ]
    standing.check_parts(slice_, ledger, pending)
    if not allow_out_of_order:
        standing.check_order(catalog, ledger, [catalog.migrations[index] for index in pending])
    totals = _totals(slice_)
    return Plan(
        tables=slice_.tables,
        form=slice_.form,
        steps=tuple(_step(slice_, ledger, index, totals.get(index, 0)) for index in pending),
        excluded=tuple(_excluded(slice_, ledger, pending, assumed)),
        assumed=tuple(assumed),
        accepted=tuple(m for m in edited if m in accepted),
        applied=tuple(m.version for m in catalog.migrations if _is_finished(ledger, m)),
        known=tuple(m.version for m in catalog.migrations),
        fresh=ledger.is_empty,
    )


def _step(slice_: Slice, ledger: Ledger, index: int, of: int) -> Step:
    migration = slice_.catalog.migrations[index]
    row = ledger.by_version.get(migration.version)
    begun = row if row is not None and not row.finished else None
    return Step(
        migration=migration,
        of=of,
        needed=len(slice_.statements(index, needed=True)),
        reasons=why.reasons(slice_, index),
        statements=chosen(slice_, index, of),
        start=begun.next or 0 if begun else 0,
        begun=begun.begun if begun else None,
    )


def chosen(slice_: Slice, index: int, of: int) -> tuple[int, ...] | None:
    """The statements of a migration that the slice's form runs, None for all."""
    if slice_.form == "files":
        return None
    found = slice_.statements(index)
    return None if len(found) == of else found


def _totals(slice_: Slice) -> dict[int, int]:
    totals: dict[int, int] = {}
    for effect in slice_.trace.effects:
        totals[effect.migration] = totals.get(effect.migration, 0) + 1
    return totals


def _excluded(
    slice_: Slice, ledger: Ledger, pending: Sequence[int], assumed: Sequence[Migration]
) -> Iterable[Excluded]:
    running, wanted = frozenset(pending), frozenset(slice_.migrations)
    for index, migration in enumerate(slice_.catalog.migrations):
        if index in running:
            continue
        row = ledger.by_version.get(migration.version)
        if migration in assumed:
            yield Excluded(migration, "assumed to be applied, as you said")
        elif row is not None and row.form == "assumed":
            yield Excluded(migration, f"assumed to be applied since {row.applied_at}")
        elif row is not None:
            part = "" if row.statements is None else f" ({len(row.statements)} of {row.of} statements)"
            yield Excluded(migration, f"applied at {row.applied_at}{part}")
        elif index not in wanted:
            yield Excluded(migration, why.exclusion(slice_, index))


def _named(catalog: Catalog, names: Iterable[str]) -> list[Migration]:
    found = []
    for name in names:
        migration = catalog.find(name)
        if migration is None:
            raise UsageError(
                f"the catalog has no migration {name!r}",
                fix="give its version or file, as `pgslate plan` shows it",
            )
        found.append(migration)
    return found


def _is_finished(ledger: Ledger, migration: Migration) -> bool:
    row = ledger.by_version.get(migration.version)
    return row is not None and row.finished


def _is_pending(migration: Migration, row: Row | None) -> bool:
    if row is None or not row.finished:
        return True
    return migration.repeatable and row.checksum != migration.checksum


def _may_be_wrapped(statement: Statement) -> bool:
    """Whether a statement that a file runs outside transactions may be run in one, with its ledger row.

    A procedure may commit, and then must not.
    """
    return not statement.outside_transaction and statement.kind != "CallStmt"


def _defers(step: Step) -> bool:
    return any("deferr" in statement.text.lower() for part in step.parts for _, statement in part.statements)
