"""Applying a slice to a target: read the ledger, plan, lock, run, verify."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from typing import Any

import psycopg

from pgslate.catalog.migration import shown
from pgslate.errors import InterruptedRunError
from pgslate.execution import extensions, ledger, locks
from pgslate.execution.connection import connected, read_ledger
from pgslate.execution.executor import AppliedMigration, Execution
from pgslate.execution.ledger import Ledger, Server
from pgslate.execution.planner import Plan, plan
from pgslate.execution.progress import Progress, Silent
from pgslate.execution.verification import VerifyResult, require, verify
from pgslate.partitions.policy import PartitionPolicy
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target

#: Seconds to wait for another run's lock.
LOCK_TIMEOUT = 60.0


@dataclass(frozen=True)
class Applied:
    """What a run did: its plan, the migrations it applied, and whether what is there was verified.

    ``verified`` is False only where there was nothing to do: a run that does something ends by verifying.
    """

    plan: Plan
    migrations: tuple[AppliedMigration, ...]
    verified: bool

    @property
    def nothing_to_do(self) -> bool:
        return self.plan.is_empty


def apply(
    slice_: Slice,
    target: Target,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    statement_timeout: float | None = None,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
    progress: Progress | None = None,
    definitions: Callable[[], Sequence[str]] | None = None,
    policies: Collection[PartitionPolicy] = (),
    as_of: datetime | None = None,
) -> Applied:
    """Apply what of ``slice_`` is not in ``target``'s ledger, then verify what is there.

    Timeouts are in seconds: ``lock_timeout`` for another run to end, ``statement_timeout`` for each
    statement. ``definitions`` gives the final DDL for the objects form, asked for only when it is to be run;
    by default it is taken from the catalog, without a prelude, on a scratch server.
    The verification covers the windows of ``policies`` at ``as_of`` (UTC; the server's clock if None), too.

    Where nothing is pending it takes no lock and one round trip, and doesn't verify. Raises LedgerError and
    its kinds before anything is run, MigrationFailedError, PrivilegeError, MissingExtensionError or
    TargetError when a statement fails, LockTimeoutError, InterruptedRunError on Ctrl-C, VerificationError.
    """
    told = progress or Silent()
    accepted, assumed = tuple(accept_edited), tuple(assume_applied)

    def planned(standing: Ledger) -> Plan:
        return plan(
            slice_,
            standing,
            allow_out_of_order=allow_out_of_order,
            accept_edited=accepted,
            assume_applied=assumed,
        )

    settings = slice_.catalog.settings
    with connected(target, settings=settings, statement_timeout=statement_timeout) as connection:
        standing, server = read_ledger(connection)
        first = planned(standing)
        if first.is_empty:
            return Applied(first, (), verified=False)
        told.planned(first)
        ledger.check_usable(server)
        locks.refuse_poolers(connection, target, server.backend)
        extensions.check(connection, slice_, first)
        with locks.held(target, timeout=lock_timeout, waiting=told.waiting) as lock:
            locks.take(connection, locks.WORK, timeout=lock_timeout, waiting=told.waiting)
            standing, server = read_ledger(connection)
            current = planned(standing)
            if current.is_empty:
                return Applied(current, (), verified=False)
            if [s.migration for s in current.steps] != [s.migration for s in first.steps]:
                told.planned(current)
            execution = Execution(
                connection,
                lock,
                current,
                standing,
                told,
                label=target.label,
                tool_version=_version(),
            )
            _run(execution, connection, current, definitions or (lambda: _definitions(slice_, server)))
        require(_verify(slice_, connection, policies, as_of))
    return Applied(current, tuple(execution.done), verified=True)


def plan_for(
    slice_: Slice,
    target: Target,
    *,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
) -> Plan:
    """What ``apply`` would do now. Only reads; raises what ``apply`` raises before anything is run."""
    with connected(target) as connection:
        standing, _ = read_ledger(connection)
    return plan(
        slice_,
        standing,
        allow_out_of_order=allow_out_of_order,
        accept_edited=accept_edited,
        assume_applied=assume_applied,
    )


def _run(
    execution: Execution,
    connection: psycopg.Connection[Any],
    current: Plan,
    definitions: Callable[[], Sequence[str]],
) -> None:
    try:
        if current.form == "objects" and current.fresh and current.steps:
            execution.run_definitions(definitions())
        else:
            execution.run()
    except KeyboardInterrupt:
        raise _interrupted(execution, connection) from None


def _definitions(slice_: Slice, server: Server) -> list[str]:
    from pgslate.dump.kept_snapshot import definitions_of

    return [definitions_of(slice_, major=server.version // 10000)]


def _interrupted(execution: Execution, connection: psycopg.Connection[Any]) -> InterruptedRunError:
    """psycopg has cancelled the statement by now; a COMMIT that was on its way may have made it."""
    stands, part = execution.stands, ""
    try:
        connection.rollback()
        standing, _ = ledger.read(connection)
        stands = tuple(row.version for row in standing.by_version.values() if row.finished)
        called = shown({row.version: row.file for row in standing.by_version.values()})
        begun = [called[row.version] for row in standing.by_version.values() if row.begun is not None]
        part = f"; {', '.join(begun)} runs outside a transaction, and may be there in part" if begun else ""
    except psycopg.Error:
        pass  # the connection is gone, and what was not committed with it
    kept = f"applied, and kept: {', '.join(stands)}" if stands else "nothing is applied"
    return InterruptedRunError(
        f"interrupted: what was running was cancelled{part or ', and rolled back'}; {kept}",
        fix="run again: it goes on from there",
        applied=stands,
    )


def _verify(
    slice_: Slice,
    connection: psycopg.Connection[Any],
    policies: Collection[PartitionPolicy],
    as_of: datetime | None,
) -> VerifyResult:
    units = (slice_.trace.units[unit] for unit in slice_.required)
    required = [(u.kind, u.name) for u in units]
    return verify(slice_.expected, connection, required, policies, as_of, as_found=slice_.as_found)


def _version() -> str:
    try:
        return metadata.version("pgslate")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a source tree that was never installed
