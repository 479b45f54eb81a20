"""Retention: whole months are dropped when every event in them may go."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL, Identifier

from pgslate.partitions.detach import detach
from pgslate.partitions.existing import Partition, list_partitions
from pgslate.targets.target import Target

TABLE = "audit_events"


@dataclass(frozen=True, slots=True)
class Month:
    """A partition, and why it has to stay; without a reason it may go."""

    name: str
    first_day: dt.date
    after: dt.date
    events: int
    reason: str | None


# retention_days counts from the event's own day. A parent in this month of an event in another keeps it: the
# foreign key says RESTRICT.
_LOOK = SQL("""
    SELECT count(*),
           max(e.event_date + e.retention_days),
           count(*) FILTER (WHERE e.legal_hold),
           count(*) FILTER (WHERE e.correlation_id IN (SELECT correlation_id FROM
           audit_correlations_on_hold)), (SELECT count(*) FROM audit_events AS child
            WHERE child.parent_event_date >= %(first)s AND child.parent_event_date < %(after)s
              AND NOT (child.event_date >= %(first)s AND child.event_date < %(after)s)
              AND child.event_date <> ALL (%(going)s))
    FROM {partition} AS e
""")
# Of every event that is gone, whichever run dropped it.
_FREE_IDS = SQL("""
    DELETE FROM audit_event_ids AS i
    WHERE NOT EXISTS (
        SELECT FROM audit_events AS e WHERE e.event_id = i.event_id AND e.event_date = i.event_date
    )
""")
_TODAY = SQL("SELECT (now() AT TIME ZONE 'UTC')::date")


def plan_retention(connection: psycopg.Connection, *, as_of: dt.date | None = None) -> list[Month]:
    """Every month of audit_events, newest first, each with the reason why it stays; changes nothing.

    ``as_of`` is a day in UTC; by default the server's. Raises psycopg's errors and pgslate's.
    """
    (today,) = connection.execute(_TODAY).fetchone() or (dt.date.min,)
    as_of = as_of or today
    months: list[Month] = []
    going: list[dt.date] = []
    # From the newest: a month that goes takes its references to older ones along.
    for partition in reversed(list_partitions(connection, TABLE).partitions):
        if partition.lower is None or partition.upper is None:
            continue
        month = _look(connection, partition, as_of, going)
        months.append(month)
        if month.reason is None:
            days = (month.after - month.first_day).days
            going.extend(month.first_day + dt.timedelta(days=n) for n in range(days))
    return months


def drop_expired(target: Target, *, as_of: dt.date | None = None, timeout: float = 30.0) -> list[Month]:
    """Drops the months that may go, newest first; gives all months as they were found.

    Nobody can place a hold meanwhile. Writers go on: a month is detached concurrently, and then dropped. A
    run that was interrupted is finished by the next. Raises psycopg's errors, and pgslate's where a month is
    in use for longer than ``timeout`` seconds.
    """
    with target.connect() as guard, target.connect(autocommit=True) as connection:
        guard.execute("LOCK TABLE audit_legal_holds IN SHARE MODE")
        months = plan_retention(connection, as_of=as_of)
        for month in months:
            if month.reason is None:
                detach(target, TABLE, month.name, timeout=timeout)
                connection.execute(SQL("DROP TABLE {}").format(Identifier(month.name)))
        connection.execute(_FREE_IDS)
    return months


def _look(
    connection: psycopg.Connection, partition: Partition, as_of: dt.date, going: list[dt.date]
) -> Month:
    assert partition.lower is not None  # both have been looked at
    assert partition.upper is not None
    first, after = partition.lower.date(), partition.upper.date()
    row = connection.execute(
        _LOOK.format(partition=Identifier(partition.schema, partition.name)),
        {"first": first, "after": after, "going": going},
    ).fetchone()
    events, keep_until, born_on_hold, on_hold, children = row or (0, None, 0, 0, 0)
    reason = None
    if after > as_of:
        reason = "it is not over"
    elif keep_until is not None and keep_until > as_of:
        reason = f"events are kept until {keep_until}"
    elif born_on_hold or on_hold:
        reason = f"{max(born_on_hold, on_hold)} events are on legal hold"
    elif children:
        reason = f"{children} events of other months name a parent in it"
    elif not events and (as_of - after).days < 2555:
        reason = "it is empty, and may yet be written to"
    return Month(partition.name, first, after, events, reason)
