"""Makes the partitions that a policy asks for, safely beside other runners and beside traffic."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from pgslate.errors import LockTimeoutError, PartitionBlockedError, PrivilegeError, UsageError
from pgslate.partitions.coverage import Survey, survey_of
from pgslate.partitions.detach import finish_detaching
from pgslate.partitions.existing import PartitionedTable, list_partitions
from pgslate.partitions.lock_timeout import ATTEMPT, PAUSE, lock_timeout
from pgslate.partitions.new_partition import make_default, make_partition, raise_if_in_the_way
from pgslate.partitions.policy import PartitionPolicy, Planned, Window


@dataclass(frozen=True, slots=True)
class Ensured:
    """What ``ensure`` did: the partitions it ``made`` and whose detaching it ``finished``, by qualified name.

    ``survey`` is how the table stands now.
    """

    made: tuple[str, ...]
    finished: tuple[str, ...]
    survey: Survey

    def as_json(self) -> dict[str, Any]:
        """The result for programs: the survey's, and ``made`` and ``finished``."""
        return {**self.survey.as_json(), "made": list(self.made), "finished": list(self.finished)}


def survey(
    connection: psycopg.Connection[Any],
    policy: PartitionPolicy,
    *,
    as_of: datetime | None = None,
    also: Iterable[str | Window] = (),
) -> Survey:
    """How the policy's table stands, at ``as_of`` (UTC) or else by the server's clock; changes nothing.

    ``also`` are partitions wanted besides the policy's: windows, or names that its template gives. Raises
    what ``list_partitions`` raises, and UsageError for a name that the template doesn't give.
    """
    windows = [each if isinstance(each, Window) else window_named(policy, each) for each in also]
    with _own_transaction(connection):
        return survey_of(list_partitions(connection, policy.table), policy, as_of=as_of, also=windows)


def ensure(
    connection: psycopg.Connection[Any],
    policy: PartitionPolicy,
    *,
    as_of: datetime | None = None,
    also: Iterable[str | Window] = (),
    timeout: float = 30.0,
) -> Ensured:
    """Make the partitions that the policy asks for, and finish a DETACH CONCURRENTLY that was interrupted.

    Where nothing is missing it is one round trip, without a lock. Else one runner at a time makes what is
    missing, all of it in one transaction (a savepoint, inside of the caller's): where nobody uses the table
    each as PARTITION OF, and where it is busy as a table like it that is then attached, which lets reads and
    writes go on. A lock that isn't there within half a second is given up and tried again, so that nobody
    queues behind us, until ``timeout`` seconds are over.

    Raises PartitionBlockedError, which names what is in the way; LockTimeoutError, which says who holds the
    lock; PrivilegeError; and what ``survey`` raises.
    """
    also = tuple(also)
    deadline = time.monotonic() + timeout
    made: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()
    while True:
        now = survey(connection, policy, as_of=as_of, also=also)
        if now.ok:
            return Ensured(made, finished, now)
        if now.table.detaching:
            finished += finish_detaching(
                connection, policy.table, timeout=max(deadline - time.monotonic(), 0.1)
            )
            continue
        raise_if_in_the_way(now)
        try:
            made += _make_what_is_missing(connection, policy, as_of, also)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, _OtherRunner):
            if time.monotonic() > deadline:
                raise _timed_out(connection, now.table, timeout) from None
            time.sleep(PAUSE)


class _OtherRunner(Exception):  # noqa: N818  # a signal within this file, not an error that anyone sees
    """Another runner makes partitions of this table right now."""


def _make_what_is_missing(
    connection: psycopg.Connection[Any],
    policy: PartitionPolicy,
    as_of: datetime | None,
    also: tuple[str | Window, ...],
) -> tuple[str, ...]:
    made: list[str] = []
    with connection.transaction(), lock_timeout(connection, ATTEMPT):
        table = list_partitions(connection, policy.table)
        row = connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('pgslate.partitions', %s))", [table.oid]
        ).fetchone()
        if not row or not row[0]:
            raise _OtherRunner
        now = survey(connection, policy, as_of=as_of, also=also)
        raise_if_in_the_way(now)
        planned: Planned | None = None
        try:
            for planned in (each.planned for each in now.windows if each.state == "missing"):
                made.append(make_partition(connection, now.table, planned))
            planned = None
            if policy.default and now.table.default is None:
                made.append(make_default(connection, now.table, policy.default_name))
        except (psycopg.errors.CheckViolation, psycopg.errors.InvalidObjectDefinition) as error:
            raise _refused(error, now.table, planned) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise PrivilegeError(
                f"no partition of {table.qualified} can be made: {error.diag.message_primary}",
                fix=f"run as the owner of {table.qualified}, with CREATE on schema {table.schema}",
                right="ownership, and CREATE on the schema",
                on=table.qualified,
            ) from error
    return tuple(made)


def window_named(policy: PartitionPolicy, name: str) -> Window:
    """The window of a partition that is asked for by name; UsageError where the policy names none so."""
    window = policy.window_of(name)
    if window is None:
        raise UsageError(
            f"{name} is no partition that the policy of {policy.table} would make",
            fix=f"its partitions are named {policy.name}, one for every {policy.every}",
        )
    return window


def _refused(error: psycopg.Error, table: PartitionedTable, planned: Planned | None) -> PartitionBlockedError:
    name = planned.name if planned else "the DEFAULT partition"
    blocker = table.default.qualified if table.default else table.qualified
    return PartitionBlockedError(
        f"{name} of {table.qualified} can't be made: {error.diag.message_primary}",
        fix=f"move the rows out of {blocker}, or detach what overlaps, then run again",
        partition=name,
        blockers=(blocker,),
    )


def _timed_out(
    connection: psycopg.Connection[Any], table: PartitionedTable, timeout: float
) -> LockTimeoutError:
    with _own_transaction(connection):
        rows = connection.execute(_HOLDERS, {"table": table.oid}).fetchall()
    holder = (
        "; ".join(f"pid {pid} ({name or 'no name'}, {state})" for pid, name, state in rows) or "nobody now"
    )
    return LockTimeoutError(
        f"no lock on {table.qualified} within {timeout:g} s, to make partitions; held by {holder}",
        fix="run again when that session is done, or end it with pg_terminate_backend(pid)",
        holder=holder,
    )


_HOLDERS = """
WITH involved AS (
    SELECT %(table)s::bigint::oid AS oid
    UNION SELECT inhrelid FROM pg_inherits WHERE inhparent = %(table)s::bigint::oid
    UNION SELECT confrelid FROM pg_constraint WHERE conrelid = %(table)s::bigint::oid AND contype = 'f'
)
SELECT DISTINCT l.pid, a.application_name, coalesce(a.state, '')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.granted AND l.pid <> pg_backend_pid()
    AND (l.locktype = 'relation' AND l.relation IN (SELECT oid FROM involved)
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
         OR l.locktype = 'advisory' AND l.objsubid = 1
            AND (l.classid::bigint << 32) | l.objid::bigint
                = hashtextextended('pgslate.partitions', %(table)s::bigint))
ORDER BY l.pid"""


def _own_transaction(connection: psycopg.Connection[Any]) -> AbstractContextManager[Any]:
    """A transaction for a look at things, where psycopg would otherwise leave one open."""
    idle = connection.info.transaction_status == TransactionStatus.IDLE
    return connection.transaction() if idle and not connection.autocommit else nullcontext()
