"""The session's own counters, and the settings without which they don't count.

PostgreSQL counts, for each session, the rows that the current transaction wrote to each relation
(pg_stat_get_xact_tuples_*), and its calls of functions. One query reads these counters, the locks that the
transaction holds, and the values of the settings that the observer depends on.

Source: PostgreSQL manual, "The Cumulative Statistics System", "pg_locks".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

SETTINGS = {
    "track_counts": "on",
    "track_functions": "all",
    "quote_all_identifiers": "off",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",  # of PostgreSQL 17
}
"""The settings by which the observer sees, and the values that it needs.

Counts and calls must be counted, names be written in one way, and the session must not end while Python works
out what a statement did. A migration may change each of them, for itself or by ALTER DATABASE.
"""

_OF_SUPERUSERS = frozenset(("track_counts", "track_functions"))
_SINCE_17 = frozenset(("transaction_timeout",))
_VALUES = sql.SQL(", ").join(
    sql.SQL("pg_catalog.current_setting({}, true)").format(sql.Literal(name)) for name in SETTINGS
)


@dataclass(frozen=True, slots=True)
class Counters:
    """The session's counters: rows written and deleted by catalog; of user relations: locks, rows, calls.

    ``inserted``, ``updated`` and ``deleted`` map a catalog's OID to a count that isn't 0; ``locks`` a
    relation's OID to (whether the lock is one for writing, rows written); ``positions`` the OID of a sequence
    that is locked for writing to the last number it gave out, None where it gave out none yet; ``calls`` a
    function's OID to how often it was called; ``path`` is the search path in effect, ``settings`` the values
    of the settings that the observer itself depends on.
    """

    inserted: dict[int, int]
    updated: dict[int, int]
    deleted: dict[int, int]
    locks: dict[int, tuple[bool, int]]
    positions: dict[int, int | None]
    calls: dict[int, int]
    path: tuple[str, ...]
    settings: tuple[str, ...]
    xid: str


def settings_needed(connection: psycopg.Connection[Any]) -> str:
    """The statements that give an observer what it needs, of ``SETTINGS`` those that this role may set."""
    left_out = frozenset[str]()
    if connection.info.server_version < 170000:
        left_out |= _SINCE_17
    if not is_superuser(connection):
        left_out |= _OF_SUPERUSERS
    return "; ".join(f"SET {name} = '{value}'" for name, value in SETTINGS.items() if name not in left_out)


def current_settings(connection: psycopg.Connection[Any]) -> tuple[str, ...]:
    """The values that the settings have now, in the order of ``SETTINGS``."""
    return tuple(connection.execute(sql.SQL("SELECT {}").format(_VALUES)).fetchone() or ())


def is_superuser(connection: psycopg.Connection[Any]) -> bool:
    """Whether the session may do everything; the server reports it without being asked."""
    return connection.info.parameter_status("is_superuser") == "on"


def query(catalogs: Iterable[int]) -> sql.Composed:
    """One expression over an array of OIDs: one for each catalog would take as long to set up as to run."""
    text = sql.SQL(
        "SELECT"
        " (SELECT pg_catalog.array_agg(ARRAY[c.oid::int8, c.inserted, c.updated, c.deleted])"
        "  FROM (SELECT oid, pg_catalog.pg_stat_get_xact_tuples_inserted(oid) AS inserted,"
        "        pg_catalog.pg_stat_get_xact_tuples_updated(oid) AS updated,"
        "        pg_catalog.pg_stat_get_xact_tuples_deleted(oid) AS deleted"
        "        FROM pg_catalog.unnest({catalogs}::oid[]) AS u(oid) OFFSET 0) c"
        "  WHERE c.inserted <> 0 OR c.updated <> 0 OR c.deleted <> 0),"
        " (SELECT pg_catalog.array_agg(ARRAY[l.relation::int8, l.writes::int,"
        "    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation)"
        "    + pg_catalog.pg_stat_get_xact_tuples_updated(l.relation)"
        "    + pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation), (l.may_read)::int,"
        "    CASE WHEN l.may_read THEN pg_catalog.pg_sequence_last_value(l.relation) END])"
        "  FROM (SELECT relation, mode <> 'AccessShareLock' AND mode <> 'RowShareLock' AS writes,"
        "          COALESCE((SELECT pg_catalog.has_sequence_privilege(s.oid, 'USAGE, SELECT')"
        "            FROM pg_catalog.pg_class s WHERE s.oid = relation AND s.relkind = 'S'"
        "            AND mode <> 'AccessShareLock'), false) AS may_read"
        "        FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation'"
        "        AND relation >= 16384) l),"
        " (SELECT pg_catalog.array_agg(ARRAY[oid::int8, pg_catalog.pg_stat_get_xact_function_calls(oid)])"
        "  FROM pg_catalog.pg_proc WHERE oid >= 16384"
        "  AND pg_catalog.pg_stat_get_xact_function_calls(oid) IS NOT NULL),"
        " pg_catalog.current_schemas(true)::text[], ARRAY[{settings}],"
        " pg_catalog.pg_current_xact_id()::xid::text"
    )
    return text.format(catalogs=sql.Literal(list(catalogs)), settings=_VALUES)


def _first_two(lock: list[int]) -> list[int]:
    return lock[:2]


def read(row: tuple[Any, ...] | None) -> Counters:
    assert row is not None
    tuples, locks, calls, path, settings, xid = row
    return Counters(
        {oid: inserted for oid, inserted, _, _ in tuples or () if inserted},
        {oid: updated for oid, _, updated, _ in tuples or () if updated},
        {oid: deleted for oid, _, _, deleted in tuples or () if deleted},
        # A relation is there once for each kind of lock: those for writing last, to win.
        {
            relation: (bool(writes), rows)
            for relation, writes, rows, *_ in sorted(locks or (), key=_first_two)
        },
        {relation: position for relation, _, _, known, position in locks or () if known},
        dict(calls or ()),
        tuple(path),
        tuple(settings),
        xid,
    )
