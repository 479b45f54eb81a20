"""The run of a slice on one connection: read the ledger, plan, lock, execute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import psycopg

from pgslate.catalog.migration import shown
from pgslate.catalog.prelude import run_prelude
from pgslate.dump.kept_snapshot import definitions_of
from pgslate.errors import InterruptedRunError
from pgslate.execution import adoption, extensions, ledger, locks
from pgslate.execution.connection import read_ledger
from pgslate.execution.executor import AppliedMigration, Execution
from pgslate.execution.ledger import Ledger, Server
from pgslate.execution.planner import Plan, plan_of
from pgslate.execution.progress import Progress, Silent
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another run's lock."""


@dataclass(frozen=True)
class RunResult:
    """What a run did: its plan, the migrations that it applied, and the ledger as it found it."""

    plan: Plan
    ledger: Ledger = field(repr=False)
    migrations: tuple[AppliedMigration, ...] = ()


def run(
    slice_: Slice,
    target: Target,
    connection: psycopg.Connection[Any],
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
    adopted_from: str = "",
    progress: Progress | None = None,
) -> RunResult:
    """Apply what of ``slice_`` is not in the ledger; where nothing is pending, take no lock.

    Args:
        slice_: What to apply.
        target: Where ``connection`` leads. The lock takes a second connection to it.
        connection: What the migrations are sent on; in autocommit mode.
        lock_timeout: Seconds to wait for another run to end, and for each lock on a table.
        allow_out_of_order: Run migrations that come below the last applied one, too.
        accept_edited: Migrations whose edit counts as what was applied, by version or file.
        assume_applied: Migrations to record as applied without running them, by version or file.
        adopted_from: The tool that applied what is assumed to be applied, if its table says so.
        progress: Receives each step.

    Raises:
        LedgerError: Catalog and ledger contradict each other; nothing was run.
        MigrationFailedError: A statement failed. PrivilegeError and MissingExtensionError are kinds of it.
        LockTimeoutError: Another run holds the lock.
        InterruptedRunError: Ctrl-C.
    """
    listener = progress or Silent()
    accepted, assumed = tuple(accept_edited), tuple(assume_applied)

    def planned(found: Ledger) -> Plan:
        return plan_of(
            slice_,
            found,
            allow_out_of_order=allow_out_of_order,
            accept_edited=accepted,
            assume_applied=assumed,
            adopted_from=adopted_from,
        )

    found, server = read_ledger(connection)
    first = planned(found)
    if first.is_empty:
        return RunResult(first, found)
    if found.is_empty and server.has_tool_tables and not assumed:
        adoption.refuse_others(connection, slice_)
    listener.planned(first)
    ledger.check_usable(server)
    locks.refuse_poolers(connection, target, server.backend)
    extensions.check(connection, slice_, first)
    with locks.held(target, timeout=lock_timeout, waiting=listener.waiting) as lock:
        locks.take(connection, locks.WORK, timeout=lock_timeout, waiting=listener.waiting)
        found, server = read_ledger(connection)  # another run may have ended meanwhile
        current = planned(found)
        if current.is_empty:
            return RunResult(current, found)
        if [step.migration for step in current.steps] != [step.migration for step in first.steps]:
            listener.planned(current)
        execution = Execution(
            connection,
            lock,
            current,
            found,
            listener,
            label=target.label,
            tool_version=_version(),
            lock_timeout=lock_timeout,
        )
        _execute(execution, connection, slice_, current, server)
    return RunResult(current, found, tuple(execution.done))


def prepare(slice_: Slice, target: Target) -> None:
    """Run the prelude of the slice's project, in an empty database that nobody else prepares."""
    if slice_.prelude:
        with target.connect(settings=slice_.catalog.settings, autocommit=True) as connection:
            run_prelude(connection, slice_.prelude)


def _execute(
    execution: Execution, connection: psycopg.Connection[Any], slice_: Slice, plan: Plan, server: Server
) -> None:
    try:
        if plan.form == "objects" and plan.fresh and plan.steps:
            major = server.version // 10000
            execution.run_definitions([definitions_of(slice_, prelude=slice_.prelude, major=major)])
        else:
            execution.run()
    except KeyboardInterrupt:
        raise _interrupted(execution, connection) from None


def _interrupted(execution: Execution, connection: psycopg.Connection[Any]) -> InterruptedRunError:
    """psycopg has cancelled the statement by now; a COMMIT that was on its way may have made it."""
    stands, part = execution.applied, ""
    try:
        connection.rollback()
        found, _ = ledger.read(connection)
        stands = tuple(row.version for row in found.by_version.values() if row.finished)
        called = shown({row.version: row.file for row in found.by_version.values()})
        begun = [called[row.version] for row in found.by_version.values() if row.begun is not None]
        part = f"; {', '.join(begun)} runs outside a transaction, and may be there in part" if begun else ""
    except psycopg.Error:
        pass  # the connection is gone, and what was not committed with it
    kept = f"applied, and kept: {', '.join(stands)}" if stands else "nothing is applied"
    return InterruptedRunError(
        f"interrupted: what was running was cancelled{part or ', and rolled back'}; {kept}",
        fix="run again: it goes on from there",
        applied=stands,
    )


def _version() -> str:
    try:
        return metadata.version("pgslate")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a source tree that was never installed
