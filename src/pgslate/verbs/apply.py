"""``apply``: apply what a slice needs, verify it, and make the partitions that are due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgslate.execution.connection import connected
from pgslate.execution.executor import AppliedMigration
from pgslate.execution.progress import Progress
from pgslate.execution.slice_run import LOCK_TIMEOUT, run
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.verbs.verify import verify_objects


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What was done to a database.

    ``applied`` are the migrations that were run, ``recorded`` the files of those that were recorded without
    being run (assumed to be applied, or edited and accepted), ``before`` the versions that were applied
    earlier, ``partitions`` the names of those that were made.
    """

    tables: tuple[str, ...]
    form: str
    applied: tuple[AppliedMigration, ...] = ()
    recorded: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        """Whether the database had everything already."""
        return not (self.applied or self.recorded or self.partitions)

    def as_json(self) -> dict[str, Any]:
        """``tables``, ``form``, ``applied: [{version, file, statements, duration_ms}]``, ``recorded``,
        ``before``, ``partitions``, ``nothing_to_do`` and ``verified``."""
        return {
            "tables": list(self.tables),
            "form": self.form,
            "applied": [
                {
                    "version": each.version,
                    "file": each.file,
                    "statements": each.statements,
                    "duration_ms": round(each.seconds * 1000, 3),
                }
                for each in self.applied
            ],
            "recorded": list(self.recorded),
            "before": list(self.before),
            "partitions": list(self.partitions),
            "nothing_to_do": self.nothing_to_do,
            "verified": True,  # else an error was raised
        }


def apply(
    slice_: Slice,
    target: Target,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    statement_timeout: float | None = None,
    allow_out_of_order: bool = False,
    accept_edited: Iterable[str] = (),
    assume_applied: Iterable[str] = (),
    as_of: datetime | None = None,
    progress: Progress | None = None,
) -> ApplyResult:
    """Apply what of ``slice_`` the database lacks, verify it, and make the partitions that are due.

    Where nothing is pending no lock is taken; the database is verified all the same, since somebody may have
    changed it.

    Args:
        slice_: What to apply, with its project's partition policies.
        target: The database.
        lock_timeout: Seconds to wait for another run, and for each lock that others hold on a table.
        statement_timeout: Seconds that each statement may take; by default as the server says.
        allow_out_of_order: Run migrations that come below the last applied one, too.
        accept_edited: Migrations whose edit counts as what was applied, by version or file.
        assume_applied: Migrations to record as applied without running them, by version or file.
        as_of: The moment (UTC) that partition policies count from; by default the server's clock.
        progress: Called for each step.

    Raises:
        LedgerError: Catalog and ledger contradict each other; nothing was run.
        MigrationFailedError: A statement failed. PrivilegeError and MissingExtensionError are kinds of it.
        LockTimeoutError: Another run, or another session, holds a lock.
        InterruptedRunError: Ctrl-C.
        VerificationError: Something is not as it should be.
        PartitionBlockedError: Something is in the way of a partition.
        ServerNotReadyError: There is no connection.
    """
    settings = slice_.catalog.settings
    with connected(target, settings=settings, statement_timeout=statement_timeout) as connection:
        done = run(
            slice_,
            target,
            connection,
            lock_timeout=lock_timeout,
            allow_out_of_order=allow_out_of_order,
            accept_edited=accept_edited,
            assume_applied=assume_applied,
            progress=progress,
        )
        ledger = done.ledger if done.plan.is_empty else None
        verify_objects(slice_, connection, ledger).raise_for_differences()
    return ApplyResult(
        tables=slice_.tables,
        form=slice_.form,
        applied=done.migrations,
        recorded=tuple(migration.file for migration in (*done.plan.assumed, *done.plan.accepted)),
        before=done.plan.applied,
        partitions=_make_partitions(slice_, target, as_of, lock_timeout),
    )


def _make_partitions(
    slice_: Slice, target: Target, as_of: datetime | None, timeout: float
) -> tuple[str, ...]:
    """Make what the policies ask for, and the partitions that were asked for by name; their names."""
    if not slice_.policies:
        return ()
    from pgslate.partitions.ensure import ensure

    made: list[str] = []
    with target.connect(autocommit=True) as connection:
        for policy in slice_.policies:
            also = slice_.partitions.get(policy.table, ())
            made += ensure(connection, policy, as_of=as_of, also=also, timeout=timeout).made
    return tuple(made)
