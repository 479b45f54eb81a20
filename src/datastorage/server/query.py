"""Reading events: filters, and pages by keyset, so that page a thousand costs what page one does.

The rows leave PostgreSQL as JSON text and pass through: nothing is decoded and encoded again.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Composed, Identifier

from datastorage.events import FIELDS
from datastorage.server.problems import Problem
from datastorage.server.store import Store

_COLUMNS = SQL(", ").join(
    [
        *(SQL("e.{}").format(Identifier(name)) for name in ("event_id", "event_date")),
        *(SQL("e.{}").format(Identifier(name)) for name in FIELDS if name != "event_id"),
        SQL("encode(e.event_hash, 'hex') AS event_hash"),
    ]
)

#: The filters that are an equality on the column of their name.
EQUALITIES = ("correlation_id", "event_category", "event_outcome", "severity", "namespace")
_PAIRS = {"actor": ("actor_type", "actor_id"), "resource": ("resource_type", "resource_id")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which events; None leaves a filter out.

    ``event_type`` may end in ``*``. ``actor`` and ``resource`` are ``TYPE:ID``, or a bare id. ``since`` is
    part of the range, ``until`` is not.
    """

    correlation_id: str | None = None
    event_type: str | None = None
    event_category: str | None = None
    event_outcome: str | None = None
    severity: str | None = None
    namespace: str | None = None
    actor: str | None = None
    resource: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page starts: after this event, going back in time."""

    timestamp: dt.datetime
    event_id: uuid.UUID

    def encode(self) -> str:
        """The cursor as the opaque text that clients hand back."""
        plain = f"{self.timestamp.astimezone(dt.UTC).isoformat()} {self.event_id}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The cursor behind ``text``; raises Problem 422 where it isn't one of ours."""
        try:
            padded = text + "=" * (-len(text) % 4)
            plain = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
            stamp, _, event_id = plain.partition(" ")
            timestamp = dt.datetime.fromisoformat(stamp).astimezone(dt.UTC)
            return cls(timestamp, uuid.UUID(event_id))
        except (ValueError, OverflowError, binascii.Error):
            raise Problem(422, "invalid-cursor", "take the cursor from the page before, unchanged") from None


def select_events(filters: Filters, cursor: Cursor | None, limit: int) -> tuple[Composed, list[object]]:
    """The statement for one page, newest first, and its parameters; pure.

    It selects ``limit`` events and one more, which tells that there is a next page; each row is the event's
    JSON, its timestamp and its id.
    """
    conditions: list[Composable] = []
    parameters: list[object] = []

    def where(condition: str, *values: object, **names: Composable) -> None:
        conditions.append(SQL(condition).format(**names))
        parameters.extend(values)

    for name in EQUALITIES:
        if (value := getattr(filters, name)) is not None:
            where("e.{column} = %s", value, column=Identifier(name))
    for name, (type_column, id_column) in _PAIRS.items():
        if (value := getattr(filters, name)) is not None:
            kind, colon, identity = value.partition(":")
            where("e.{column} = %s", identity if colon else value, column=Identifier(id_column))
            if colon:
                where("e.{column} = %s", kind, column=Identifier(type_column))
    if filters.event_type is not None:
        if filters.event_type.endswith("*"):
            where("e.event_type LIKE %s", _like(filters.event_type[:-1]) + "%")
        else:
            where("e.event_type = %s", filters.event_type)
    # Each bound on the time bounds the day too: that is what lets PostgreSQL leave partitions out.
    if filters.since is not None:
        day = filters.since.astimezone(dt.UTC).date()
        where("e.event_timestamp >= %s AND e.event_date >= %s", filters.since, day)
    if filters.until is not None:
        day = filters.until.astimezone(dt.UTC).date()
        where("e.event_timestamp < %s AND e.event_date <= %s", filters.until, day)
    if cursor is not None:
        where(
            "(e.event_timestamp, e.event_id) < (%s, %s) AND e.event_timestamp <= %s AND e.event_date <= %s",
            cursor.timestamp,
            cursor.event_id,
            cursor.timestamp,
            cursor.timestamp.date(),
        )
    statement = SQL(
        "SELECT (SELECT row_to_json(r)::text FROM (SELECT {columns}) AS r), e.event_timestamp, e.event_id"
        " FROM audit_events AS e {where} ORDER BY e.event_timestamp DESC, e.event_id DESC LIMIT %s"
    ).format(
        columns=_COLUMNS,
        where=SQL("WHERE {}").format(SQL(" AND ").join(conditions)) if conditions else SQL(""),
    )
    return statement, [*parameters, limit + 1]


async def page(store: Store, filters: Filters, cursor: Cursor | None, limit: int) -> str:
    """One page as a JSON document: ``data`` and ``pagination`` (``limit``, ``has_more``, ``next_cursor``)."""
    statement, parameters = select_events(filters, cursor, limit)
    rows = await store.fetch(statement, parameters)
    more = len(rows) > limit
    rows = rows[:limit]
    pagination = {
        "limit": limit,
        "has_more": more,
        "next_cursor": Cursor(rows[-1][1], rows[-1][2]).encode() if more else None,
    }
    return f'{{"data":[{",".join(row[0] for row in rows)}],"pagination":{json.dumps(pagination)}}}'


async def by_id(store: Store, event_id: uuid.UUID) -> str | None:
    """One event as a JSON document, or None."""
    statement = SQL(
        "SELECT (SELECT row_to_json(r)::text FROM (SELECT {columns}) AS r)"
        " FROM audit_events AS e WHERE e.event_id = %s LIMIT 1"
    ).format(columns=_COLUMNS)
    rows = await store.fetch(statement, [event_id])
    return rows[0][0] if rows else None


def zoned(name: str, time: dt.datetime | None) -> dt.datetime | None:
    """The time as it is; raises Problem 422 where it has no time zone."""
    if time is not None and (time.tzinfo is None or not dt.MINYEAR < time.year < dt.MAXYEAR):
        wrong = {"field": name, "message": "give a time zone, such as Z, and a year between 2 and 9998"}
        raise Problem(422, "invalid-request", f"{name} can't be used", errors=[wrong])
    return time


def _like(prefix: str) -> str:
    return prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
