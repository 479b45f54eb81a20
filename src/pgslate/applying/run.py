"""Applying a slice to a target: read the ledger, plan, lock, run, verify."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from typing import Any

import psycopg

from pgslate.applying import extensions, ledger, locks
from pgslate.applying.connecting import connected, read_ledger
from pgslate.applying.executing import AppliedMigration, Execution
from pgslate.applying.ledger import Ledger
from pgslate.applying.plan import Plan, plan
from pgslate.applying.progress import Progress, Silent
from pgslate.errors import InterruptedRunError, UsageError, VerificationError
from pgslate.schema.compare import Difference, compare
from pgslate.schema.read import read
from pgslate.slicing.slice import Slice
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
    as_of: date | None = None,
    policies: Sequence[Any] = (),
) -> Applied:
    """Apply what of ``slice_`` is not in ``target``'s ledger, then verify what is there.

    Timeouts are in seconds: ``lock_timeout`` for another run to end, ``statement_timeout`` for each
    statement. ``definitions`` gives the final DDL for the objects form, asked for only when it is to be run.
    ``as_of`` (UTC) and ``policies`` are for the partitions that should be there.

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

    with connected(target, statement_timeout=statement_timeout) as connection:
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
            _run(execution, connection, current, definitions)
        differences = _verify(slice_, connection)
    applied = Applied(current, tuple(execution.done), verified=True)
    if differences:
        raise VerificationError(
            f"everything was applied, but {len(differences)} things are not as they should be:\n"
            + "\n".join(f"  {each}" for each in differences),
            fix=differences[0].fix,
            differences=differences,
            applied=applied,
        )
    return applied


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
    definitions: Callable[[], Sequence[str]] | None,
) -> None:
    try:
        if current.form == "objects" and current.fresh and current.steps:
            if definitions is None:
                raise UsageError("the objects form needs its definitions", fix="use another form here")
            execution.run_definitions(definitions())
        else:
            execution.run()
    except KeyboardInterrupt:
        raise _interrupted(execution, connection) from None


def _interrupted(execution: Execution, connection: psycopg.Connection[Any]) -> InterruptedRunError:
    """psycopg has cancelled the statement by now; a COMMIT that was on its way may have made it."""
    stands = execution.stands
    try:
        connection.rollback()
        standing, _ = ledger.read(connection)
        stands = tuple(row.version for row in standing.by_version.values() if row.finished)
    except psycopg.Error:
        pass  # the connection is gone, and what was not committed with it
    kept = f"applied, and kept: {', '.join(stands)}" if stands else "nothing is applied"
    return InterruptedRunError(
        f"interrupted: what was running was cancelled and rolled back; {kept}",
        fix="run again: it goes on from there",
        applied=stands,
    )


def _verify(slice_: Slice, connection: psycopg.Connection[Any]) -> tuple[Difference, ...]:
    expected = slice_.expected
    within = [each.key for each in expected.top_level()]
    return compare(expected, read(connection, within=within))


def _version() -> str:
    try:
        return metadata.version("pgslate")
    except metadata.PackageNotFoundError:
        return "unknown"  # run from a source tree that was never installed
