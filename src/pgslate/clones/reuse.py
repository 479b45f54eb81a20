"""Reuse: the proof that a test changed nothing but rows of its own making, and taking those away again.

The proof is PostgreSQL's own. From 15 on each session adds what it did to every relation to counters in shared
memory, at the latest when it ends, rolled back or not; a new database begins without any. So where no system
catalog was written to, there was no DDL, no TRUNCATE, no GRANT, no temporary table and no large object. Where
only tables were that the template has no rows in, deleting their rows makes the database what it was.

What is undone: rows, with the files that held them; where sequences stand; what the planner knows of the
tables. What stays: indexes are as large as they have become, and system columns count on.

A superuser's session may switch the counting off (``track_counts``). Rows that it wrote show by their tables'
size; what else it did doesn't.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

#: Bytes from which on a table is not emptied: making a new database is quicker, and indexes stay large.
LARGEST = 1 << 20


class NotReusableError(Exception):
    """The database is to be dropped; why, in words."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a new copy of a template is like, by the OIDs that all its copies share.

    ``sizes`` are the bytes of the tables that hold rows, or that the planner knows something of. ``sequences``
    are their ``last_value`` and ``is_called``. ``shape`` is the database as others see it (``shape_of``).
    ``uncounted`` says that a function in it switches counting off.
    """

    sizes: Mapping[int, int]
    sequences: Mapping[int, tuple[int, bool]]
    shape: Any
    uncounted: bool = False

    def as_json(self) -> dict[str, Any]:
        """For the book."""
        return {
            "sizes": {str(oid): size for oid, size in self.sizes.items()},
            "sequences": {str(oid): list(stands) for oid, stands in self.sequences.items()},
            "shape": self.shape,
            "uncounted": self.uncounted,
        }

    @classmethod
    def of_json(cls, said: Mapping[str, Any]) -> Fresh:
        """What ``as_json`` gave."""
        return cls(
            {int(oid): size for oid, size in said["sizes"].items()},
            {int(oid): (last, called) for oid, (last, called) in said["sequences"].items()},
            said["shape"],
            said["uncounted"],
        )


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation about which there is something to say; ``name`` is qualified, and quoted.

    ``kind`` is pg_class.relkind. ``maintained``: vacuumed or analyzed, by whomever. ``size`` is that of a
    table of a user's, in bytes. ``unusual``: deleting its rows may do more than that.
    """

    oid: int
    name: str
    kind: str
    catalog: bool = False
    written: bool = False
    maintained: bool = False
    size: int = 0
    unusual: bool = False


@dataclass(frozen=True, slots=True)
class Used:
    """What a test left in a database: the tables it wrote to, and the sequences it looked at or moved."""

    tables: tuple[Relation, ...] = ()
    sequences: tuple[Relation, ...] = field(default=())


def used(fresh: Fresh, found: Iterable[Relation]) -> Used:
    """What is to be undone, from every relation about which there is something to say.

    Raises NotReusableError where that is more than rows in tables that were empty.

    >>> nothing = Fresh({}, {}, None)
    >>> used(nothing, [Relation(1, "public.orders", "r", written=True, size=8192)]).tables[0].name
    'public.orders'
    >>> used(nothing, [Relation(2, "pg_catalog.pg_proc", "r", catalog=True, written=True)])
    Traceback (most recent call last):
    ...
    pgslate.clones.reuse.NotReusableError: pg_catalog.pg_proc was written to
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
            pass  # written to together with its table
        elif each.written:
            _require_ordinary(fresh, each)
            tables.append(each)
        elif each.size != fresh.sizes.get(each.oid, 0):
            raise NotReusableError(f"{each.name} has another size, and nothing was counted")
    if unseen:
        raise NotReusableError(f"relations of the template are empty: {sorted(unseen)}")
    return Used(tuple(tables), tuple(sequences))


def _require_ordinary(fresh: Fresh, table: Relation) -> None:
    if table.kind != "r":
        raise NotReusableError(f"{table.name} was written to, and is no ordinary table")
    if table.oid in fresh.sizes:
        raise NotReusableError(f"{table.name} was written to, and the template has rows in it")
    if table.unusual:
        raise NotReusableError(f"{table.name} was written to, and deleting from it may do more")
    if table.size > LARGEST:
        raise NotReusableError(f"{table.name} has {table.size} bytes")


# -- the database, as the rest of the server sees it

_SHAPE = """
SELECT jsonb_build_object(
        'database', to_jsonb(d) - 'oid' - 'datname' - 'datfrozenxid' - 'datminmxid',
        'settings', (SELECT jsonb_agg(to_jsonb(s) - 'setdatabase' ORDER BY setrole)
                     FROM pg_catalog.pg_db_role_setting s WHERE setdatabase = d.oid),
        'comment', (SELECT jsonb_agg(description) FROM pg_catalog.pg_shdescription
                    WHERE objoid = d.oid AND classoid = 'pg_catalog.pg_database'::regclass),
        'labels', (SELECT jsonb_agg(jsonb_build_array(provider, label) ORDER BY provider)
                   FROM pg_catalog.pg_shseclabel
                   WHERE objoid = d.oid AND classoid = 'pg_catalog.pg_database'::regclass)),
    CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_subscription WHERE subdbid = d.oid) THEN 'it has a subscription'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_replication_slots WHERE database = d.datname)
            THEN 'it has a replication slot'
        WHEN to_jsonb(d) ->> 'datahasloginevt' = 'true' THEN 'it has a trigger on login'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_db_role_setting WHERE setdatabase IN (0, d.oid)
                     AND setconfig::text ~* 'track_counts')
            THEN 'a role''s sessions are not counted' END
FROM pg_catalog.pg_database d WHERE datname = %s"""


def shape_of(connection: psycopg.Connection[Any], name: str) -> Any:
    """What the server says of a database: its owner, rights, limits, settings, comment and labels.

    ``connection`` leads to any database. Raises NotReusableError where something of it is elsewhere.
    """
    row = connection.execute(_SHAPE, [name]).fetchone()
    if row is None:
        raise NotReusableError("it is gone")
    shape, hindrance = row
    if hindrance:
        raise NotReusableError(hindrance)
    return shape


# -- in the database

_BEGIN = """
SET search_path = pg_catalog;
SET session_replication_role = replica;
SET synchronous_commit = off;
SET statement_timeout = 0;
SET default_transaction_read_only = off;
SET default_transaction_isolation = 'read committed';
"""

# Put together from constants of ours, no values among them.
_WRITTEN = """(coalesce(pg_stat_get_tuples_inserted(c.oid), 0) + coalesce(pg_stat_get_tuples_updated(c.oid), 0)
    + coalesce(pg_stat_get_tuples_deleted(c.oid), 0)) > 0"""

_MAINTAINED = """(coalesce(pg_stat_get_vacuum_count(c.oid), 0) + coalesce(pg_stat_get_autovacuum_count(c.oid), 0)
    + coalesce(pg_stat_get_analyze_count(c.oid), 0)
    + coalesce(pg_stat_get_autoanalyze_count(c.oid), 0)) > 0"""

_RELATIONS = f"""
WITH c AS MATERIALIZED (
    SELECT c.oid, c.relname, c.relkind, c.relam, n.nspname, n.nspname = 'pg_catalog' AS catalog,
        {_WRITTEN} AS written, {_MAINTAINED} AS maintained,
        c.relkind = 'S' AND coalesce(pg_stat_get_blocks_fetched(c.oid), 0) > 0 AS read,
        CASE WHEN c.relkind IN ('r', 'm') AND n.nspname <> 'pg_catalog'
            THEN coalesce(pg_relation_size(c.oid), 0) ELSE 0 END AS size
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT c.relisshared AND c.relkind IN ('r', 'm', 't', 'S', 'p', 'f'))
SELECT oid::int8, format('%I.%I', nspname, relname), relkind::text, catalog, written, maintained, size,
    written AND (relam <> 2  -- heap
        OR EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND tgenabled IN ('A', 'R'))
        OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND ev_enabled IN ('A', 'R'))
        OR EXISTS (SELECT FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
                   WHERE i.indrelid = c.oid AND x.relam >= 16384))  -- not PostgreSQL's own
FROM c WHERE written OR maintained OR read OR size > 0"""  # noqa: S608

_SIZES = """
SELECT c.oid::int8, pg_relation_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname <> 'pg_catalog'
    AND (pg_relation_size(c.oid) > 0 OR (c.relpages, c.reltuples, c.relallvisible) <> (0, -1, 0))"""

_SEQUENCES = """
SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S'"""

_UNCOUNTED = "SELECT EXISTS (SELECT FROM pg_proc WHERE proconfig::text ~* 'track_counts')"

_COUNTED_SINCE = """
SELECT pg_stat_get_db_stat_reset_time(oid), pg_postmaster_start_time()
FROM pg_database WHERE datname = current_database()"""


def look(connection: psycopg.Connection[Any], shape: Any) -> Fresh:
    """What a new copy of a template is like; ``connection`` leads to one that nobody has had yet."""
    connection.execute(_BEGIN.encode(), prepare=False)
    sizes = dict(connection.execute(_SIZES).fetchall())
    named = connection.execute(_SEQUENCES.encode()).fetchall()
    uncounted = connection.execute(_UNCOUNTED).fetchone()
    stands: dict[int, tuple[int, bool]] = {}
    if named:
        each = " UNION ALL ".join(
            f"SELECT {oid}::int8, last_value, is_called FROM {name}" for oid, name in named
        )
        stands = {oid: (last, called) for oid, last, called in connection.execute(each.encode())}
    return Fresh(sizes, stands, shape, bool(uncounted and uncounted[0]))


def put_back(
    connection: psycopg.Connection[Any], fresh: Fresh, *, since: datetime | None, named: datetime
) -> datetime | None:
    """Make the database what it was when it was new; when its counters began anew, None if they never did.

    ``since`` is when they began the last time, and ``named`` when the database got its name. Nobody else may
    be connected. Raises NotReusableError where the test did more than write rows, psycopg.Error where the
    server refuses; the database is to be dropped then.
    """
    connection.execute(_BEGIN.encode(), prepare=False)
    counted = _counted_since(connection, named)
    if counted != since:
        raise NotReusableError("its counters were reset")
    if fresh.uncounted:
        raise NotReusableError("a function in it switches counting off")
    found = [Relation(*row) for row in connection.execute(_RELATIONS.encode(), prepare=False).fetchall()]
    left = used(fresh, found)
    if not (left.tables or left.sequences):
        return counted
    _undo(connection, fresh, left)
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT pg_stat_reset()")
    began = _counted_since(connection, named)
    if began is None or began == since:
        raise NotReusableError("its counters could not be reset")
    return began


def _counted_since(connection: psycopg.Connection[Any], named: datetime) -> datetime | None:
    """When the counters began; a restart of the server may have lost them."""
    row = connection.execute(_COUNTED_SINCE).fetchone()
    assert row is not None, "we are in that database"
    since, started = row
    if started > named:
        raise NotReusableError("the server has been restarted")
    found: datetime | None = since
    return found


def _undo(connection: psycopg.Connection[Any], fresh: Fresh, left: Used) -> None:
    statements = [f"DELETE FROM ONLY {table.name}" for table in left.tables]
    for sequence in left.sequences:
        last, called = fresh.sequences[sequence.oid]
        statements.append(f"SELECT setval({sequence.oid}::oid::regclass, {last}, {called})")
    connection.execute("; ".join(statements).encode(), prepare=False)  # in one transaction
    if left.tables:
        _give_up_files(connection, left.tables)


def _give_up_files(connection: psycopg.Connection[Any], tables: Sequence[Relation]) -> None:
    """Have the files of emptied tables, and what the planner knows of them, be those of new ones."""
    new = connection.info.server_version >= 160000
    options = f"INDEX_CLEANUP ON, TRUNCATE ON, SKIP_LOCKED{', SKIP_DATABASE_STATS' if new else ''}"
    vacuum = f"VACUUM ({options}) {', '.join(table.name for table in tables)}"
    connection.execute(vacuum.encode(), prepare=False)
    oids = [table.oid for table in tables]
    frozen = ", relallfrozen = 0" if connection.info.server_version >= 180000 else ""
    connection.execute(
        sql.SQL(
            f"UPDATE pg_class SET relpages = 0, reltuples = -1, relallvisible = 0{frozen}"  # noqa: S608
            " WHERE oid = ANY(%s::oid[])"
        ),
        [oids],
    )
    row = connection.execute(
        "SELECT coalesce(sum(pg_relation_size(oid) + coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0)), 0)"
        " FROM pg_class WHERE oid = ANY(%s::oid[])",
        [oids],
    ).fetchone()
    if row is None or row[0]:
        raise NotReusableError("emptied tables still have pages")
