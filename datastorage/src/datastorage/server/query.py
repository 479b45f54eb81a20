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
from functools import lru_cache

from psycopg.sql import SQL, Identifier

from datastorage.events import FIELDS
from datastorage.server.problems import Problem
from datastorage.server.store import Store

#: An event as it is answered, of ``audit_events AS e``.
COLUMNS = SQL(", ").join(
    [
        *(SQL("e.{}").format(Identifier(name)) for name in ("event_id", "event_date")),
        *(SQL("e.{}").format(Identifier(name)) for name in FIELDS if name != "event_id"),
        SQL("encode(e.event_hash, 'hex') AS event_hash"),
    ]
)

#: Sorts after whatever may follow a prefix, byte by byte.
LAST_CHARACTER = "\U0010ffff"

#: The filters that are an equality on the column of their name.
EQUALITIES = ("correlation_id", "event_category", "event_outcome", "severity", "namespace")

# Each bound on the time bounds the day too: that is what lets PostgreSQL leave partitions out.
_CONDITIONS = {
    **{name: SQL("e.{} = %s").format(Identifier(name)) for name in EQUALITIES},
    # Not an equality, which would make the order below one that the index on the time alone gives too: in a
    # month of which PostgreSQL knows nothing yet, it would then read all of it.
    "correlation_id": SQL("e.correlation_id = ANY (%s::text[])"),
    "event_type": SQL("e.event_type = %s"),
    # LIKE 'prefix%', written as text_pattern_ops reads it: one plan then serves every prefix.
    "event_type_prefix": SQL("e.event_type ~>=~ %s AND e.event_type ~<~ %s"),
    "actor_type": SQL("e.actor_type = %s"),
    "actor_id": SQL("e.actor_id = %s"),
    "resource_type": SQL("e.resource_type = %s"),
    "resource_id": SQL("e.resource_id = %s"),
    "since": SQL("e.event_timestamp >= %s AND e.event_date >= %s"),
    "until": SQL("e.event_timestamp < %s AND e.event_date <= %s"),
    "cursor": SQL(
        "(e.event_timestamp, e.event_id) < (%s, %s) AND e.event_timestamp <= %s AND e.event_date <= %s"
    ),
}


_BY_ID = (
    SQL(
        "SELECT (SELECT row_to_json(r)::text FROM (SELECT {columns}) AS r)"
        " FROM audit_events AS e JOIN audit_event_ids AS i USING (event_id, event_date) WHERE i.event_id = %s"
    )
    .format(columns=COLUMNS)
    .as_bytes()
)


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


def select_events(filters: Filters, cursor: Cursor | None, limit: int) -> tuple[bytes, list[object]]:
    """The statement for one page, newest first, and its parameters; pure.

    It selects ``limit`` events and one more, which tells that there is a next page; each row is the event's
    JSON, its timestamp and its id.
    """
    given: dict[str, tuple[object, ...]] = {}
    for name in EQUALITIES:
        if (value := getattr(filters, name)) is not None:
            given[name] = ([value] if name == "correlation_id" else value,)
    for name in ("actor", "resource"):
        if (value := getattr(filters, name)) is not None:
            kind, colon, identity = value.partition(":")
            given[f"{name}_id"] = (identity if colon else value,)
            if colon:
                given[f"{name}_type"] = (kind,)
    if filters.event_type is not None:
        if filters.event_type.endswith("*"):
            prefix = filters.event_type[:-1]
            given["event_type_prefix"] = (prefix, prefix + LAST_CHARACTER)
        else:
            given["event_type"] = (filters.event_type,)
    if filters.since is not None:
        given["since"] = (filters.since, filters.since.astimezone(dt.UTC).date())
    if filters.until is not None:
        given["until"] = (filters.until, filters.until.astimezone(dt.UTC).date())
    if cursor is not None:
        moment = cursor.timestamp
        given["cursor"] = (moment, cursor.event_id, moment, moment.date())
    parameters = [value for values in given.values() for value in values]
    return _statement(tuple(given)), [*parameters, limit + 1]


@lru_cache(maxsize=512)
def _statement(conditions: tuple[str, ...]) -> bytes:
    where = SQL(" AND ").join(_CONDITIONS[name] for name in conditions)
    return (
        SQL(
            "SELECT (SELECT row_to_json(r)::text FROM (SELECT {columns}) AS r), e.event_timestamp, e.event_id"
            " FROM audit_events AS e {where} ORDER BY {first}e.event_timestamp DESC, e.event_id DESC LIMIT %s"
        )
        .format(
            columns=COLUMNS,
            where=SQL("WHERE {}").format(where) if conditions else SQL(""),
            first=SQL("e.correlation_id, " if "correlation_id" in conditions else ""),
        )
        .as_bytes()
    )


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
    rows = await store.fetch(_BY_ID, [event_id])
    return rows[0][0] if rows else None


def zoned(name: str, time: dt.datetime | None) -> dt.datetime | None:
    """The time as it is; raises Problem 422 where it has no time zone."""
    if time is not None and (time.tzinfo is None or not dt.MINYEAR < time.year < dt.MAXYEAR):
        wrong = {"field": name, "message": "give a time zone, such as Z, and a year between 2 and 9998"}
        raise Problem(422, "invalid-request", f"{name} can't be used", errors=[wrong])
    return time
