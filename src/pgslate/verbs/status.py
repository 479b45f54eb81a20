"""Status: what the ledger holds, and what the catalog has beyond it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.execution import ledger_state
from pgslate.execution.adoption import migrated_by
from pgslate.execution.connection import connected, read_ledger
from pgslate.execution.ledger import Ledger, LedgerRow, LedgerRun
from pgslate.project.project import Project
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class StatusResult:
    """How a database stands to a catalog.

    ``applied`` are the ledger's finished rows in the catalog's order, ``unfinished`` those that were cut off;
    ``pending`` are migrations newer than any run, those of a run of everything that was cut off, and
    repeatable ones that were applied and have changed since, which are among ``applied`` too;
    ``left_out`` are those that runs knew and didn't need;
    ``edited`` differ from what was applied; ``missing`` are rows whose files the catalog no longer has.
    ``shown`` maps each version to the name that reports show.
    ``migrated_by`` says, where pgslate's ledger is empty, which other tool applied migrations of the catalog,
    and how far: "Flyway up to 16".
    """

    database: str
    applied: tuple[LedgerRow, ...]
    unfinished: tuple[LedgerRow, ...]
    pending: tuple[Migration, ...]
    left_out: tuple[Migration, ...]
    edited: tuple[Migration, ...]
    missing: tuple[LedgerRow, ...]
    runs: tuple[LedgerRun, ...]
    shown: Mapping[str, str]
    migrated_by: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether nothing was cut off, edited or lost."""
        return not (self.unfinished or self.edited or self.missing)

    def within(self, migrations: Collection[Migration]) -> StatusResult:
        """The same for those who need only some migrations: these are pending, and others are left out."""
        to_run = (*self.pending, *self.left_out)
        applied = {row.version for row in self.applied}
        return replace(
            self,
            pending=tuple(m for m in migrations if m in to_run),
            left_out=tuple(m for m in to_run if m not in migrations and m.version not in applied),
        )

    def as_json(self) -> dict[str, Any]:
        """For programs: lists of ``{version, file, ...}``."""
        return {
            "database": self.database,
            "applied": [_applied(row) for row in self.applied],
            "unfinished": [{**_applied(row), "next": row.next} for row in self.unfinished],
            "pending": [{"version": m.version, "file": m.file} for m in self.pending],
            "left_out": [{"version": m.version, "file": m.file} for m in self.left_out],
            "edited": [{"version": m.version, "file": m.file} for m in self.edited],
            "missing": [{"version": row.version, "file": row.file} for row in self.missing],
            "migrated_by": self.migrated_by,
        }


def status(about: Project | Slice, target: Target) -> StatusResult:
    """What ``target``'s ledger holds of a project; only reads. For a slice, only its migrations are pending.

    Raises TargetError, PrivilegeError, LedgerError.
    """
    with connected(target) as connection:
        ledger, server = read_ledger(connection)
        unknown = ledger.is_empty and server.has_tool_tables
        other = migrated_by(connection, about.catalog) if unknown else ""
    found = replace(status_of(about.catalog, ledger, server.database), migrated_by=other)
    return found.within(about.files) if isinstance(about, Slice) else found


def status_of(catalog: Catalog, ledger: Ledger, database: str) -> StatusResult:
    """The status from a ledger that was read. Pure."""
    rows = [row for m in catalog.migrations if (row := ledger.by_version.get(m.version))]
    everything = {version for run in ledger.runs if not run.tables for version in run.versions}
    known = {version for run in ledger.runs for version in run.versions} - everything
    absent = [m for m in catalog.migrations if m.version not in ledger.by_version]
    return StatusResult(
        database=database,
        applied=tuple(row for row in rows if row.finished),
        unfinished=tuple(row for row in rows if not row.finished),
        pending=tuple(
            m for m in catalog.migrations if _is_pending(m, ledger.by_version.get(m.version), known)
        ),
        left_out=tuple(m for m in absent if m.version in known),
        edited=ledger_state.edited(catalog, ledger),
        missing=ledger_state.missing(catalog, ledger),
        runs=ledger.runs,
        shown=ledger_state.shown_rows(catalog, ledger),
    )


def _is_pending(migration: Migration, row: LedgerRow | None, left_out: Collection[str]) -> bool:
    if row is None:
        return migration.version not in left_out
    return ledger_state.is_due_again(migration, row)


def _applied(row: LedgerRow) -> dict[str, Any]:
    return {
        "version": row.version,
        "file": row.file,
        "form": row.form,
        "statements": None if row.statements is None else list(row.statements),
        "of": row.of,
        "applied_at": row.applied_at,
        "applied_by": row.applied_by,
        "duration_ms": row.duration_ms,
    }
