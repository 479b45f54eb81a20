"""The hash chain, recomputed: which events and which links are not what they were when they were recorded.

An event whose columns were changed no longer has its hash. An event that was removed, exchanged or added
without a link contradicts the lists of the links. A link that was changed, removed or added no longer fits
the link after it. One loss can't be found from inside the database: that of a lane's last links together
with their events. To find it, keep the result of ``heads`` elsewhere, and compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psycopg
from psycopg.sql import SQL

#: Links looked at in one statement; each may list thousands of events.
STRIDE = 500

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """``what`` is wrong with ``where``: an event's id, or a link as ``lane/position``."""

    what: str
    where: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``retired`` events were dropped with their month; their links still stand.

    ``heads`` are the last position and hash (hexadecimal) of each lane.
    """

    events: int
    links: int
    retired: int
    faults: tuple[Fault, ...]
    heads: dict[int, tuple[int, str]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True where nothing was tampered with."""
        return not self.faults


_LINKS = SQL("""
    SELECT lane, position, encode(link_hash, 'hex') AS link_hash,
           link_hash = audit_chain_link_hash(previous_hash, events_hash, lane, position, event_ids) AS own,
           previous_hash = lag(link_hash, 1, ''::bytea) OVER w AS fits,
           position = lag(position, 1, 0::bigint) OVER w + 1 AS follows
    FROM audit_event_chain
    WINDOW w AS (PARTITION BY lane ORDER BY position)
    ORDER BY lane, position
""")

# The hash of each event as its columns are now; the link's own list says which there should be.
_EVENTS = SQL("""
    SELECT l.lane, l.position, l.first_date, l.last_date, l.events_hash,
           count(e.event_id) AS found,
           cardinality(l.event_ids) AS listed,
           array_agg(id.event_id) FILTER (WHERE e.event_id IS NULL) AS missing,
           array_agg(e.event_id) FILTER (WHERE e.event_hash <> e.now_hash) AS changed,
           l.events_hash = sha256(string_agg(e.event_hash, ''::bytea ORDER BY id.event_id)) AS same
    FROM (
        SELECT * FROM audit_event_chain WHERE lane = %s AND position BETWEEN %s AND %s
    ) AS l
    CROSS JOIN LATERAL unnest(l.event_ids) AS id (event_id)
    LEFT JOIN LATERAL (
        SELECT e.event_id, e.event_hash, audit_event_hash(e) AS now_hash
        FROM audit_events AS e
        WHERE e.event_id = id.event_id AND e.event_date BETWEEN l.first_date AND l.last_date
    ) AS e ON true
    GROUP BY l.lane, l.position, l.first_date, l.last_date, l.events_hash, l.event_ids
    ORDER BY l.position
""")

_UNLINKED = SQL("""
    SELECT event_id FROM audit_events
    EXCEPT ALL
    SELECT unnest(event_ids) FROM audit_event_chain
    LIMIT 1000
""")

# A day without a partition is one that retention dropped: its events may be gone.
_COVERED = SQL("""
    SELECT NOT EXISTS (
        SELECT FROM generate_series(%(first)s::date, %(last)s::date, interval '1 day') AS day
        WHERE NOT EXISTS (
            SELECT FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            CROSS JOIN LATERAL regexp_match(
                pg_get_expr(c.relpartbound, c.oid), $re$FROM \\('([^']+)'\\) TO \\('([^']+)'\\)$re$
            ) AS bound
            WHERE i.inhparent = 'audit_events'::regclass
              AND day >= bound[1]::date AND day < bound[2]::date
        )
    )
""")


def verify_chain(connection: psycopg.Connection, progress: Progress = lambda links: None) -> Verdict:
    """Recomputes everything, as of one moment; ``progress`` gets the number of links done.

    Changes nothing. Raises psycopg's errors, ``UndefinedTable`` where there is no chain.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # One probe of the primary key for each event: the whole table by index beats it only for few lanes.
        connection.execute("SET LOCAL enable_seqscan = off")
        faults: list[Fault] = []
        links = connection.execute(_LINKS).fetchall()
        heads: dict[int, tuple[int, str]] = {}
        for lane, position, link_hash, own, fits, follows in links:
            faults.extend(_faults_of_link(f"{lane}/{position}", own=own, fits=fits, follows=follows))
            heads[lane] = (position, link_hash)
        events = retired = done = 0
        for lane, first, last in _strides(heads):
            for row in connection.execute(_EVENTS, [lane, first, last]):
                found, gone, wrong = _faults_of_events(connection, row)
                events, retired = events + found, retired + gone
                faults.extend(wrong)
                done += 1
            progress(done)
        for (event_id,) in connection.execute(_UNLINKED):
            faults.append(Fault("is in no link: it was put in by another way than an insert", str(event_id)))
    return Verdict(events, len(links), retired, tuple(faults), heads)


def _faults_of_link(where: str, *, own: bool, fits: bool, follows: bool) -> Iterator[Fault]:
    if not own:
        yield Fault("the link was changed: its hash is not that of what it says", where)
    if not follows:
        yield Fault("a link before this one is missing", where)
    elif not fits:
        yield Fault("doesn't fit the link before it", where)


def _faults_of_events(
    connection: psycopg.Connection, row: tuple[object, ...]
) -> tuple[int, int, list[Fault]]:
    """How many events of a link are there, how many went with their month, and what is wrong."""
    lane, position, first, last, _, found, _, missing, changed, same = row
    faults = [Fault("the event was changed", str(one)) for one in _ids(changed)]
    gone = _ids(missing)
    if gone:
        covered = connection.execute(_COVERED, {"first": first, "last": last}).fetchone()
        if covered is not None and not covered[0]:
            return _count(found), len(gone), faults
        faults.extend(Fault("the event was removed", str(one)) for one in gone)
    elif not same and not faults:
        faults.append(Fault("its events' hashes are not those it was made of", f"{lane}/{position}"))
    return _count(found), 0, faults


def _ids(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _strides(heads: dict[int, tuple[int, str]]) -> Iterator[tuple[int, int, int]]:
    for lane, (last, _) in sorted(heads.items()):
        for first in range(1, last + 1, STRIDE):
            yield lane, first, first + STRIDE - 1
