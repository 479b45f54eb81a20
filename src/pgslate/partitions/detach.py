"""Detaches partitions without stopping traffic, and finishes a detaching that was interrupted."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from pgslate.errors import LockTimeoutError, UsageError
from pgslate.partitions.existing import Partition, PartitionedTable, list_partitions
from pgslate.partitions.lock_timeout import ATTEMPT, PAUSE, lock_timeout

if TYPE_CHECKING:
    from pgslate.targets.target import Target


def detach(target: Target, table: str, partition: str, *, timeout: float = 30.0) -> None:
    """Detach a partition (bare or qualified name), which stays as a table of its own.

    CONCURRENTLY, on a connection of its own, since that can't be part of a transaction; reads and writes go
    on. Beside a DEFAULT partition PostgreSQL has no concurrent way: then it is plain, and waits for its
    users. One that was begun before is finished.

    Raises UsageError where the table has no such partition, LockTimeoutError where its users don't let go of
    it within ``timeout`` seconds; what was begun then is finished by running again.
    """
    with target.connect(autocommit=True) as connection:
        parent = list_partitions(connection, table)
        found = _find(parent, partition)
        _detach(connection, parent, found, timeout)


def finish_detaching(
    connection: psycopg.Connection[Any], table: str, *, timeout: float = 30.0
) -> tuple[str, ...]:
    """Finish what DETACH CONCURRENTLY began and didn't end; returns the qualified names of the partitions.

    Raises LockTimeoutError where one is being detached right now, or in use, for longer than ``timeout`` s.
    """
    parent = list_partitions(connection, table)
    for each in parent.detaching:
        _detach(connection, parent, each, timeout)
    return tuple(each.qualified for each in parent.detaching)


def _find(parent: PartitionedTable, name: str) -> Partition:
    for each in parent.partitions:
        if name in (each.name, each.qualified):
            return each
    raise UsageError(
        f"{name} is no partition of {parent.qualified}",
        fix="its partitions: " + (", ".join(each.name for each in parent.partitions) or "none"),
    )


def _detach(
    connection: psycopg.Connection[Any], parent: PartitionedTable, each: Partition, timeout: float
) -> None:
    """Detach a partition, whatever of it was done before, or is done by somebody else meanwhile."""
    deadline = time.monotonic() + timeout
    while True:
        if each.detaching:
            how, wait = sql.SQL(" FINALIZE"), ATTEMPT
        elif parent.default:
            how, wait = sql.SQL(""), ATTEMPT
        else:  # it queues for nothing that reads and writes wait for, so that it may wait for long
            how, wait = sql.SQL(" CONCURRENTLY"), max(deadline - time.monotonic(), ATTEMPT)
        statement = sql.SQL("ALTER TABLE {} DETACH PARTITION {}{}").format(
            sql.Identifier(parent.schema, parent.name), sql.Identifier(each.schema, each.name), how
        )
        try:
            _run(connection, statement, wait)
        except _PERHAPS_LATER as error:
            if time.monotonic() > deadline:
                raise _timed_out(parent, each, timeout) from error
            time.sleep(PAUSE)
        else:
            return
        parent = list_partitions(connection, (parent.schema, parent.name))
        found = next((p for p in parent.partitions if p.qualified == each.qualified), None)
        if found is None:
            return
        each = found


_PERHAPS_LATER = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.UndefinedTable,
)
"""What detaching raises where somebody is in the way, or did it meanwhile."""


def _run(connection: psycopg.Connection[Any], statement: sql.Composed, wait: float) -> None:
    in_one = connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE
    with nullcontext() if in_one else connection.transaction(), lock_timeout(connection, wait):
        connection.execute(statement)


def _timed_out(parent: PartitionedTable, each: Partition, timeout: float) -> LockTimeoutError:
    return LockTimeoutError(
        f"{each.qualified} could not be detached from {parent.qualified} within {timeout:g} s:"
        " transactions that use it go on",
        fix="run again when they are done: what was begun is then finished",
        holder="",
    )
