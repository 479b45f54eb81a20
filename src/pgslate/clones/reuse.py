"""Reuse: the proof that a test changed nothing but rows of its own making, and taking those away again.

The proof is PostgreSQL's own. From 15 on each session adds what it did to every relation to counters in
shared memory, at the latest when it ends, rolled back or not; a new database begins without any. So where no
system catalog was written to, there was no DDL, no TRUNCATE, no GRANT, no temporary table, no large object.
Where only tables were that the template has no rows in, deleting their rows makes the database what it was.

What is undone: rows, with the files that held them; where sequences stand; what the planner knows of the
tables. What stays: indexes are as large as they have become, and OIDs and transaction numbers count on.

A superuser's session may switch the counting off (``track_counts``). Rows that it wrote then show by the size
of their table; what else it did doesn't.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

#: Bytes from which on a table is not emptied: making a new database is quicker, and its indexes stay large.
LARGEST = 1 << 20

#: What a session begins with that looks into a database, or puts it back.
SETTINGS = {
    "search_path": "pg_catalog",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "statement_timeout": "0",
    "default_transaction_read_only": "off",
    "jit": "off",
}


class NotReusableError(Exception):
    """The database is to be dropped; why, in words."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new copy of a template is like, by the OIDs that all its copies share.

    ``shape`` is the database as others see it. ``sizes`` are the bytes of the tables that hold rows, or that
    the planner knows something of. ``sequences`` are their ``last_value`` and ``is_called``. ``unusual`` are
    tables from which more may go than what is deleted, or less. ``uncounted``: a function in it switches
    counting off.
    """

    shape: Any
    sizes: Mapping[int, int]
    sequences: Mapping[int, tuple[int, bool]]
    unusual: frozenset[int] = frozenset()
    uncounted: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the book."""
        return {
            "shape": self.shape,
            "sizes": {str(oid): size for oid, size in self.sizes.items()},
            "sequences": {str(oid): list(stands) for oid, stands in self.sequences.items()},
            "unusual": sorted(self.unusual),
            "uncounted": self.uncounted,
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Fresh:
        """What ``as_json`` gave."""
        return cls(
            said["shape"],
            {int(oid): size for oid, size in said["sizes"].items()},
            {int(oid): (last, called) for oid, (last, called) in said["sequences"].items()},
            frozenset(said["unusual"]),
            said["uncounted"],
        )


@dataclass(frozen=True, slots=True)
class State:
    """A database as others see it: its ``oid`` and ``shape``, and since when its counters count.

    ``hindrance``: why it is not to be reused, if that shows here; ``started`` is when the server did.
    """

    oid: int
    shape: Any
    since: datetime | None
    started: datetime
    hindrance: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation about which there is something to say; ``name`` is quoted, and qualified where need be.

    ``kind`` is pg_class.relkind. ``maintained``: vacuumed or analyzed, by whomever. ``size`` is that of a
    user's table, or of what is stored out of line and was written to, in bytes.
    """

    oid: int
    name: str
    kind: str
    catalog: bool = False
    written: bool = False
    maintained: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class Used:
    """What a test left in a database: the tables it wrote to, and the sequences it looked at or moved."""

    tables: tuple[Relation, ...] = ()
    sequences: tuple[Relation, ...] = ()


def require_same(fresh: Fresh, state: State, *, oid: int, since: datetime | None, named: datetime) -> None:
    """Raise NotReusableError where the database itself changed, or its counters may not tell everything.

    ``oid`` is what it was made with, ``since`` when they began as far as is known, and ``named`` when it got
    its name.
    """
    if state.oid != oid:
        raise NotReusableError("it is another database of the same name")
    if state.hindrance:
        raise NotReusableError(state.hindrance)
    if fresh.uncounted:
        raise NotReusableError("a function in it switches counting off")
    if state.started > named:
        raise NotReusableError("the server has been restarted, and may have lost its counters")
    if state.since != since:
        raise NotReusableError("its counters were reset")
    if state.shape != fresh.shape:
        raise NotReusableError("the database itself was altered")


def used(fresh: Fresh, found: Iterable[Relation]) -> Used:
    """What is to be undone, from every relation about which there is something to say.

    Raises NotReusableError where that is more than rows in tables that were empty.

    >>> fresh = Fresh({}, {}, {})
    >>> used(fresh, [Relation(1, "public.orders", "r", written=True, size=8192)]).tables[0].name
    'public.orders'
    >>> used(fresh, [Relation(2, "pg_proc", "r", catalog=True, written=True)])
    Traceback (most recent call last):
    ...
    pgslate.clones.reuse.NotReusableError: pg_proc was written to
    """
    tables: list[Relation] = []
    sequences: list[Relation] = []
    unseen = {oid for oid, size in fresh.sizes.items() if size}
    for each in found:
        unseen.discard(each.oid)
        if each.maintained:
            raise NotReusableError(f"{each.name} was vacuumed or analyzed")
        if each.catalog:
            if each.written:
                raise NotReusableError(f"{each.name} was written to")
        elif each.kind == "S":
            if each.oid not in fresh.sequences:
                raise NotReusableError(f"{each.name} is new")
            sequences.append(each)
        elif each.kind == "t":
            _require_small(each)  # written to together with its table
        elif each.written:
            _require_ordinary(fresh, each)
            tables.append(each)
        elif each.size != fresh.sizes.get(each.oid, 0):
            raise NotReusableError(f"{each.name} has another size, and nothing was counted")
    if unseen:
        raise NotReusableError(f"tables of the template are empty: {sorted(unseen)}")
    return Used(tuple(tables), tuple(sequences))


def _require_ordinary(fresh: Fresh, table: Relation) -> None:
    if table.kind != "r":
        raise NotReusableError(f"{table.name} was written to, and is no ordinary table")
    if table.oid in fresh.sizes:
        raise NotReusableError(f"{table.name} was written to, and the template has rows in it")
    if table.oid in fresh.unusual:
        raise NotReusableError(f"{table.name} was written to, and deleting from it may not be all")
    _require_small(table)


def _require_small(table: Relation) -> None:
    if table.size > LARGEST:
        raise NotReusableError(f"{table.name} has {table.size} bytes")


# -- the database, as the rest of the server sees it

_STATE = """
SELECT d.oid::int8, jsonb_build_object(
        'database', to_jsonb(d) - 'oid' - 'datname' - 'datfrozenxid' - 'datminmxid',
        'settings', (SELECT jsonb_agg(to_jsonb(s) - 'setdatabase' ORDER BY setrole)
                     FROM pg_catalog.pg_db_role_setting s WHERE setdatabase = d.oid),
        'comment', (SELECT jsonb_agg(description) FROM pg_catalog.pg_shdescription
                    WHERE objoid = d.oid AND classoid = 'pg_catalog.pg_database'::regclass),
        'labels', (SELECT jsonb_agg(jsonb_build_array(provider, label) ORDER BY provider)
                   FROM pg_catalog.pg_shseclabel
                   WHERE objoid = d.oid AND classoid = 'pg_catalog.pg_database'::regclass)),
    pg_catalog.pg_stat_get_db_stat_reset_time(d.oid), pg_catalog.pg_postmaster_start_time(),
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subdbid = d.oid)
            THEN 'it has a subscription'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE database = d.datname)
            THEN 'it has a replication slot'
        WHEN NOT EXISTS (SELECT FROM pg_catalog.pg_database t WHERE t.datname = %(template)s
                         AND t.oid::int8 = %(origin)s AND t.datistemplate AND NOT t.datallowconn)
            THEN 'its template is another one now'
        WHEN to_jsonb(d) ->> 'datahasloginevt' = 'true' THEN 'it has a trigger on login'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_db_role_setting WHERE setdatabase IN (0, d.oid)
                     AND setconfig::text ~* 'track_counts') THEN 'sessions of a role are not counted' END
FROM pg_catalog.pg_database d WHERE datname = %(name)s"""


def state_of(connection: psycopg.Connection[Any], name: str, *, template: str, origin: int) -> State:
    """What the server says of a database, a copy of the template with the OID ``origin``.

    ``connection`` leads to any database. Raises NotReusableError if it is gone.
    """
    asked = {"name": name, "template": template, "origin": origin}
    row = connection.execute(_STATE, asked).fetchone()
    if row is None:
        raise NotReusableError("it is gone")
    return State(*row)


# -- in the database

# A file's size is asked for, not pg_relation_size: that opens each relation, which takes thrice as long.
_SIZE = "coalesce((pg_stat_file(pg_relation_filepath(c.oid), true)).size, 0)"

_RELATIONS = f"""
SELECT c.oid::int8, c.oid::regclass::text, kind::text, catalog, written, maintained,
    CASE WHEN written AND kind = 't' THEN {_SIZE} ELSE size END
FROM (
    SELECT c.oid, c.relkind AS kind, c.relnamespace = 11 AS catalog,
        coalesce(pg_stat_get_tuples_inserted(c.oid), 0) + coalesce(pg_stat_get_tuples_updated(c.oid), 0)
            + coalesce(pg_stat_get_tuples_deleted(c.oid), 0) > 0 AS written,
        coalesce(pg_stat_get_vacuum_count(c.oid), 0) + coalesce(pg_stat_get_autovacuum_count(c.oid), 0)
            + coalesce(pg_stat_get_analyze_count(c.oid), 0)
            + coalesce(pg_stat_get_autoanalyze_count(c.oid), 0) > 0 AS maintained,
        c.relkind = 'S' AND coalesce(pg_stat_get_blocks_fetched(c.oid), 0) > 0 AS looked_at,
        CASE WHEN c.relkind IN ('r', 'm') AND c.relnamespace <> 11 THEN {_SIZE} ELSE 0 END AS size
    FROM pg_class c WHERE NOT c.relisshared AND c.relkind IN ('r', 'm', 't', 'S', 'p', 'f') OFFSET 0) c
WHERE written OR maintained OR looked_at OR size > 0 ORDER BY c.oid"""  # noqa: S608  a constant of ours

_SIZES = f"""
SELECT c.oid::int8, {_SIZE} FROM pg_class c WHERE c.relkind IN ('r', 'm') AND c.relnamespace <> 11
    AND ({_SIZE} > 0 OR (c.relpages, c.reltuples, c.relallvisible) <> (0, -1, 0))"""  # noqa: S608  the same

_UNUSUAL = """
SELECT c.oid::int8 FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace <> 11 AND (
    c.relam <> 2 OR EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                            WHERE i.indrelid = c.oid AND x.relam >= 16384)  -- not PostgreSQL's own
    OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled IN ('A', 'R'))
    OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_enabled IN ('A', 'R')))"""


def look(connection: psycopg.Connection[Any], shape: Any) -> Fresh:
    """What a new copy of a template is like.

    ``connection``, with the ``SETTINGS``, leads to one that nobody has had yet.
    """
    sizes = dict(connection.execute(_SIZES.encode()).fetchall())
    unusual = frozenset(row[0] for row in connection.execute(_UNUSUAL))
    uncounted = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_proc WHERE proconfig::text ~* 'track_counts')"
    ).fetchone()
    sequences = connection.execute("SELECT oid::int8, oid::regclass::text FROM pg_class WHERE relkind = 'S'")
    each = " UNION ALL ".join(
        f"SELECT {oid}::int8, last_value, is_called FROM {name}"  # noqa: S608  quoted by PostgreSQL
        for oid, name in sequences
    )
    stands = connection.execute(each.encode()).fetchall() if each else []
    return Fresh(
        shape,
        sizes,
        {oid: (last, called) for oid, last, called in stands},
        unusual,
        bool(uncounted and uncounted[0]),
    )


def put_back(connection: psycopg.Connection[Any], fresh: Fresh) -> None:
    """Make the database what it was when it was new; its counters begin anew.

    Nobody else may be connected, and ``connection`` has the ``SETTINGS``. Raises NotReusableError where the
    test did more than write rows, psycopg.Error where the server refuses; the database is to be dropped then.
    """
    rows = connection.execute(_RELATIONS.encode(), prepare=False).fetchall()
    left = used(fresh, [Relation(*row) for row in rows])
    statements = [f"DELETE FROM ONLY {table.name}" for table in left.tables]  # noqa: S608  quoted there
    for sequence in left.sequences:
        last, called = fresh.sequences[sequence.oid]
        statements.append(f"SELECT setval({sequence.oid}::oid::regclass, {last}, {called})")
    if statements:
        connection.execute("; ".join(statements).encode(), prepare=False)  # in one transaction
    if left.tables:
        _give_up_files(connection, left.tables)
    connection.execute("SELECT pg_stat_force_next_flush()")  # what we did ourselves, when this is over
    connection.execute("SELECT pg_stat_reset()")


def _give_up_files(connection: psycopg.Connection[Any], tables: tuple[Relation, ...]) -> None:
    """Have the files of emptied tables, and what the planner knows of them, be those of new ones."""
    version = connection.info.server_version
    options = f"INDEX_CLEANUP ON, SKIP_LOCKED{', SKIP_DATABASE_STATS' if version >= 160000 else ''}"
    named = ", ".join(table.name for table in tables)
    connection.execute(f"VACUUM (TRUNCATE ON, {options}) {named}".encode(), prepare=False)
    frozen = ", relallfrozen = 0" if version >= 180000 else ""
    oids = ", ".join(str(table.oid) for table in tables)
    emptied = connection.execute(
        (
            f"UPDATE pg_class SET relpages = 0, reltuples = -1, relallvisible = 0{frozen}"  # noqa: S608
            f" WHERE oid IN ({oids}) RETURNING pg_relation_size(oid) = 0"
            " AND coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) = 0"
        ).encode()
    ).fetchall()
    if not (len(emptied) == len(tables) and all(is_empty for (is_empty,) in emptied)):
        raise NotReusableError("tables that were emptied still have pages")
