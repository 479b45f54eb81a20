"""Planning: what of a slice would run on a database with this ledger, what would not, and why. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property, partial
from typing import Any

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.statements import Statement, defers
from pgslate.errors import UsageError
from pgslate.execution import growth, ledger_state
from pgslate.execution.ledger import EMPTY, Ledger, LedgerRow
from pgslate.formats.bookkeeping import table_of
from pgslate.schema.identifiers import parts
from pgslate.slices import reasons as why
from pgslate.slices.slice import Slice

EVERY = "all"
"""In place of a migration's name: every one of the catalog, as where another tool applied them all."""

_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Part:
    """Statements of a file that stand or fall together, with their indexes in the file.

    ``atomic`` ones run in a transaction, together with their row in the ledger; ``opening`` holds the SET
    TRANSACTION that it begins with. A part that isn't atomic is one statement, which
    PostgreSQL refuses in a transaction.
    """

    statements: tuple[tuple[int, Statement], ...]
    atomic: bool
    opening: tuple[str, ...] = ()

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
    statements: tuple[int, ...] | None = None
    start: int = 0
    begun: Mapping[str, Any] | None = None
    slice_: Slice | None = field(default=None, repr=False, compare=False)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Why the slice has the migration, one phrase each."""
        if self.slice_ is None:
            return ()
        return why.reasons(self.slice_, self.slice_.catalog.migrations.index(self.migration))

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
                atomic = block.transactional or _may_be_wrapped(chosen[0][1])
                found.append(Part(chosen, atomic, block.opening_to_write))
        return tuple(found)

    @property
    def is_one_transaction(self) -> bool:
        return len(self.parts) <= 1 and all(part.atomic for part in self.parts)

    @cached_property
    def may_leave_settings(self) -> bool:
        """Whether the session may be another after the file: yes, but for plain DDL, which runs no code."""
        return any(not _is_plain(statement) for part in self.parts for _, statement in part.statements)

    def done_before(self, index: int) -> tuple[Statement, ...]:
        """The statements of the file that this step, or one before it, ran before the index."""
        return ledger_state.statements_before(self.migration, index, self.statements)


@dataclass(frozen=True, slots=True)
class Excluded:
    """A migration that would not run, and why not."""

    migration: Migration
    reason: str


@dataclass(frozen=True)
class Plan:
    """What would run, in order, and what would not.

    ``assumed`` are recorded as applied without being run (by the tool ``adopted_from``, if any),
    ``accepted`` are edited files whose checksums the ledger takes over. ``applied`` are the versions that
    stand before the run, ``known`` every version of the catalog; ``fresh`` says that no
    migration stands there yet. ``bookkeeping`` is run first: it makes the
    table of the tool that the catalog is written for, if it isn't there and something speaks of it.
    ``collisions`` say which older files may fail on what newer ones, which are applied, have changed.
    """

    tables: tuple[str, ...]
    form: str
    steps: tuple[Step, ...]
    assumed: tuple[Migration, ...] = ()
    adopted_from: str = ""
    accepted: tuple[Migration, ...] = ()
    applied: tuple[str, ...] = ()
    known: tuple[str, ...] = field(default=(), repr=False)
    fresh: bool = True
    bookkeeping: str = field(default="", repr=False)
    exclusions: Callable[[], Iterable[Excluded]] = field(default=tuple, repr=False, compare=False)
    collisions: tuple[str, ...] = ()

    @cached_property
    def excluded(self) -> tuple[Excluded, ...]:
        """The catalog's other migrations, each with why it would not run."""
        return tuple(self.exclusions())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to run or to record."""
        return not (self.steps or self.assumed or self.accepted)

    @property
    def grows(self) -> bool:
        """Whether a file would run below one that is applied."""
        place = {version: number for number, version in enumerate(self.known)}
        highest = max((place[version] for version in self.applied), default=-1)
        return any(place[step.migration.version] < highest for step in self.steps)

    @cached_property
    def groups(self) -> tuple[tuple[Step, ...], ...]:
        """The steps by the transactions they share: one, where the statements allow it, on a fresh database
        and where it grows, since what is older may fail on what is newer, and then nothing of it should stay.

        A file that is not one transaction stands alone, and so does one with an isolation level of its own.
        So does every file from the first on that defers a constraint: SET CONSTRAINTS, which checks at its
        end what a file deferred, can't be undone within a transaction. Otherwise, on a database that lives,
        each file stands alone.
        """
        groups: list[list[Step]] = []
        together = self.fresh or self.grows
        sharing, deferring = False, False
        for step in self.steps:
            deferring = deferring or _defers(step)
            shares = together and not deferring and _may_share(step)
            if shares and sharing:
                groups[-1].append(step)
            else:
                groups.append([step])
            sharing = shares
        return tuple(map(tuple, groups))

    @property
    def single_transaction(self) -> bool:
        """Whether everything is one transaction."""
        return len(self.groups) == 1 and not _defers(self.steps[0]) and self.steps[0].is_one_transaction


def plan_of(
    slice_: Slice,
    ledger: Ledger = EMPTY,
    *,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
    adopted_from: str = "",
) -> Plan:
    """What to run of ``slice_`` on a database whose ledger is ``ledger`` (by default: none).

    ``accept_edited`` and ``assume_applied`` name migrations by version, file or name, by a pattern of these
    (``2024*``), or as "all". Raises UsageError for a
    name the catalog doesn't have; MissingMigrationError, EditedMigrationError, OutOfOrderError and
    PartlyAppliedError where ledger and catalog contradict each other.
    """
    catalog = slice_.catalog
    accepted = _named(catalog, accept_edited)
    assumed = [m for m in _named(catalog, assume_applied) if not _is_finished(ledger, m)]
    ledger_state.check_missing(catalog, ledger)
    edited = ledger_state.edited(catalog, ledger)
    ledger_state.check_edited([m for m in edited if m not in accepted], ledger)
    pending = [
        index
        for index, migration in zip(slice_.migrations, slice_.files, strict=True)
        if migration not in assumed and _is_pending(migration, ledger.by_version.get(migration.version))
    ]
    ledger_state.check_parts(slice_, ledger, pending)
    if not allow_out_of_order:
        ledger_state.check_order(catalog, ledger, [catalog.migrations[index] for index in pending])
    totals, needed = _counts(slice_)
    return Plan(
        tables=slice_.tables,
        form=slice_.form,
        steps=tuple(_step(slice_, ledger, index, totals[index], needed[index]) for index in pending),
        assumed=tuple(assumed),
        adopted_from=adopted_from,
        accepted=tuple(m for m in edited if m in accepted),
        applied=tuple(m.version for m in catalog.migrations if _is_finished(ledger, m)),
        known=tuple(m.version for m in catalog.migrations),
        fresh=ledger.is_empty,
        bookkeeping=_bookkeeping(slice_, pending),
        exclusions=partial(_excluded, slice_, ledger, pending, assumed),
        collisions=growth.collisions(
            slice_, pending, {version for version, row in ledger.by_version.items() if row.finished}
        ),
    )


def _may_share(step: Step) -> bool:
    """Whether a file may run in a transaction with others."""
    return step.is_one_transaction and not step.start and not any(part.opening for part in step.parts)


def _bookkeeping(slice_: Slice, pending: Iterable[int]) -> str:
    """The statement that makes the migration tool's own table, where what is pending speaks of it."""
    own = slice_.catalog.bookkeeping
    if not own:
        return ""
    table = table_of(own)
    is_named = any(table in slice_.catalog.migrations[index].source for index in pending)
    is_asked = any(parts(slice_.trace.units[unit].name)[-1] == table for unit in slice_.required)
    return own if is_named or is_asked else ""


def _step(slice_: Slice, ledger: Ledger, index: int, of: int, needed: int) -> Step:
    migration = slice_.catalog.migrations[index]
    row = ledger.by_version.get(migration.version)
    begun = row if row is not None and not row.finished else None
    return Step(
        migration=migration,
        of=of,
        needed=needed,
        statements=chosen(slice_, index, of),
        start=begun.next or 0 if begun else 0,
        begun=begun.begun if begun else None,
        slice_=slice_,
    )


def chosen(slice_: Slice, index: int, of: int) -> tuple[int, ...] | None:
    """The statements of a migration that the slice's form runs, None for all."""
    if slice_.form == "files":
        return None
    found = slice_.statements(index)
    return None if len(found) == of else found


def _counts(slice_: Slice) -> tuple[Counter[int], Counter[int]]:
    """How many statements each migration has, and how many of them count for themselves."""
    effects = slice_.trace.effects
    return (
        Counter(effect.migration for effect in effects),
        Counter(effects[index].migration for index in slice_.needed),
    )


def _excluded(
    slice_: Slice, ledger: Ledger, pending: Sequence[int], assumed: Sequence[Migration]
) -> Iterable[Excluded]:
    running, wanted = frozenset(pending), frozenset(slice_.migrations)
    for index, migration in enumerate(slice_.catalog.migrations):
        if index in running:
            continue
        row = ledger.by_version.get(migration.version)
        if migration in assumed:
            yield Excluded(migration, "assumed to be applied, as you asked")
        elif row is not None and row.form == "assumed":
            yield Excluded(migration, f"assumed to be applied since {row.applied_at}")
        elif row is not None and row.form == "adopted":
            yield Excluded(migration, f"applied by {row.applied_by}, adopted at {row.applied_at}")
        elif row is not None:
            part = "" if row.statements is None else f" ({len(row.statements)} of {row.of} statements)"
            yield Excluded(migration, f"applied at {row.applied_at}{part}")
        elif index not in wanted:
            yield Excluded(migration, why.exclusion(slice_, index))


def _named(catalog: Catalog, names: Iterable[str]) -> list[Migration]:
    found = []
    for name in names:
        if name == EVERY or _PATTERN.search(name):
            found += _matching(catalog, name)
            continue
        migration = catalog.find(name)
        if migration is None:
            raise UsageError(
                f"the catalog has no migration {name!r}",
                fix="give its version or file, as `pgslate plan` shows it",
            )
        found.append(migration)
    return found


def _matching(catalog: Catalog, pattern: str) -> list[Migration]:
    """The migrations whose file or version the pattern matches. Raises UsageError where there is none."""
    wanted = "*" if pattern == EVERY else pattern
    found = [m for m in catalog if any(fnmatchcase(n, wanted) for n in (m.file, m.version, m.shown))]
    if not found:
        raise UsageError(
            f"no migration of the catalog matches {pattern!r}",
            fix="give a pattern of versions or files, as `pgslate plan` shows them",
        )
    return found


def _is_finished(ledger: Ledger, migration: Migration) -> bool:
    row = ledger.by_version.get(migration.version)
    return row is not None and row.finished


def _is_pending(migration: Migration, row: LedgerRow | None) -> bool:
    return row is None or not row.finished or ledger_state.is_due_again(migration, row)


def _may_be_wrapped(statement: Statement) -> bool:
    """Whether a statement that a file runs outside transactions may be run in one, with its ledger row.

    A procedure may commit, and then must not.
    """
    return not statement.outside_transaction and statement.kind != "CallStmt"


_PLAIN = frozenset(
    (
        *("CreateStmt", "CreateEnumStmt", "CreateFunctionStmt", "CreateTrigStmt", "ViewStmt", "IndexStmt"),
        *("AlterTableStmt", "AlterEnumStmt", "RenameStmt", "DropStmt", "CommentStmt", "GrantStmt"),
    )
)
_RUNS_CODE = re.compile(r"\b(temp|temporary|default|using|check|generated|validate)\b", re.IGNORECASE)


def _is_plain(statement: Statement) -> bool:
    """Whether a statement neither sets anything for the session nor runs an expression that could."""
    if statement.kind not in _PLAIN:
        return False
    if statement.kind in ("CreateFunctionStmt", "CommentStmt"):
        return True
    if statement.kind == "AlterTableStmt":
        return not _RUNS_CODE.search(statement.text)
    return "temp" not in statement.text.lower()


def _defers(step: Step) -> bool:
    return any(defers(statement) for part in step.parts for _, statement in part.statements)
