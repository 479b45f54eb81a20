"""Reuse of a database: the proof that a test changed nothing but rows of its own, and the removal of those
rows.

PostgreSQL itself gives the proof. From version 15 on, every session adds up what it did to each relation in
counters in shared memory, at the latest when it ends, and also when it rolled back; the counters of a new
database begin at zero. If no system catalog was written to, there was no DDL, TRUNCATE or GRANT, no temporary
table and no large object. If rows were written only to tables that are empty in the template, then deleting
all rows of these tables gives the database its former contents.

``undo_changes`` removes the rows and the files that held them, sets the sequences back, and resets what the
planner knows of the tables. Indexes keep the size that they have grown to; OIDs and transaction numbers go
on.

A superuser's session may switch the counters off (``track_counts``). Rows that it wrote then are noticed by
the size of their table; anything else that it did is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

#: A table with more bytes is not emptied: a new database is quicker, and the indexes would stay large.
LARGEST = 1 << 20

#: The settings of a session that reads the state of a database or resets it.
SETTINGS = {
    "search_path": "pg_catalog",
    "session_replication_role": "replica",
    "synchronous_commit": "off",
    "statement_timeout": "0",
    "default_transaction_read_only": "off",
    "jit": "off",
}


class NotReusableError(Exception):
    """The database can't be reset and is to be dropped; the message says why."""


@dataclass(frozen=True, slots=True)
class TemplateState:
    """The state of a new copy of a template, by OIDs, which all copies share.

    Attributes:
        shape: the database's row in pg_database, its settings, comment and labels.
        sizes: the bytes of each table that holds rows or has planner statistics.
        sequences: ``last_value`` and ``is_called`` of each sequence.
        unusual: tables where DELETE may remove more or less than the rows: with triggers or rules that always
            fire, or with an access method that isn't PostgreSQL's own.
        uncounted: some function switches the counters off.
    """

    shape: Any
    sizes: Mapping[int, int]
    sequences: Mapping[int, tuple[int, bool]]
    unusual: frozenset[int] = frozenset()
    uncounted: bool = False

    def as_json(self) -> dict[str, Any]:
        """The state as JSON, for the registry."""
        return {
            "shape": self.shape,
            "sizes": {str(oid): size for oid, size in self.sizes.items()},
            "sequences": {str(oid): list(position) for oid, position in self.sequences.items()},
            "unusual": sorted(self.unusual),
            "uncounted": self.uncounted,
        }

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> TemplateState:
        """The state that ``as_json`` gave."""
        return cls(
            document["shape"],
            {int(oid): size for oid, size in document["sizes"].items()},
            {int(oid): (last, called) for oid, (last, called) in document["sequences"].items()},
            frozenset(document["unusual"]),
            document["uncounted"],
        )


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """A database as the rest of the server sees it.

    Attributes:
        oid, shape: as in ``TemplateState``.
        since: when its counters were last reset.
        started: when the server was started.
        hindrance: the reason why the database can't be reused, if it shows here.
    """

    oid: int
    shape: Any
    since: datetime | None
    started: datetime
    hindrance: str | None = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that was used, or that has rows.

    Attributes:
        name: quoted, and qualified if necessary.
        kind: pg_class.relkind.
        catalog: it is a system catalog.
        written: rows were inserted, updated or deleted, rolled back or not.
        maintained: it was vacuumed or analyzed, also by autovacuum.
        size: bytes; only for tables of users, and for TOAST tables that were written to.
    """

    oid: int
    name: str
    kind: str
    catalog: bool = False
    written: bool = False
    maintained: bool = False
    size: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes of a test: the tables that it wrote to, and the sequences that it read or advanced."""

    tables: tuple[Relation, ...] = ()
    sequences: tuple[Relation, ...] = ()


def require_unaltered(
    template: TemplateState, state: DatabaseState, *, oid: int, since: datetime | None, named: datetime
) -> None:
    """Raise NotReusableError if the database itself was altered, or if its counters may be incomplete.

    Args:
        template: the state of a new copy of its template.
        state: the database's state now.
        oid: the OID that it was made with.
        since: when its counters were last reset, according to the registry.
        named: when it got its name; it has been in use since then.
    """
    if state.oid != oid:
        raise NotReusableError("it is another database of the same name")
    if state.hindrance:
        raise NotReusableError(state.hindrance)
    if template.uncounted:
        raise NotReusableError("a function in it switches the counters off")
    if state.started > named:
        raise NotReusableError("the server has been restarted, and may have lost its counters")
    if state.since != since:
        raise NotReusableError("its counters were reset")
    if state.shape != template.shape:
        raise NotReusableError("the database itself was altered")


def changes(template: TemplateState, found: Iterable[Relation]) -> Changes:
    """The changes to undo, from every relation that was used or has rows.

    Raises NotReusableError if there is more to undo than rows in tables that are empty in the template.

    >>> template = TemplateState({}, {}, {})
    >>> changes(template, [Relation(1, "public.orders", "r", written=True, size=8192)]).tables[0].name
    'public.orders'
    >>> changes(template, [Relation(2, "pg_proc", "r", catalog=True, written=True)])
    Traceback (most recent call last):
    ...
    pgslate.clones.reuse.NotReusableError: pg_proc was written to
    """
    tables: list[Relation] = []
    sequences: list[Relation] = []
    absent = {oid for oid, size in template.sizes.items() if size}
    for each in found:
        absent.discard(each.oid)
        if each.maintained:
            raise NotReusableError(f"{each.name} was vacuumed or analyzed")
        if each.catalog:
            if each.written:
                raise NotReusableError(f"{each.name} was written to")
        elif each.kind == "S":
            if each.oid not in template.sequences:
                raise NotReusableError(f"{each.name} is new")
            sequences.append(each)
        elif each.kind == "t":
            _require_small(each)  # written to together with its table
        elif each.written:
            _require_ordinary(template, each)
            tables.append(each)
        elif each.size != template.sizes.get(each.oid, 0):
            raise NotReusableError(f"{each.name} has another size, and nothing was counted")
    if absent:
        raise NotReusableError(f"tables that have rows in the template are empty: {sorted(absent)}")
    return Changes(tuple(tables), tuple(sequences))


def _require_ordinary(template: TemplateState, table: Relation) -> None:
    if table.kind != "r":
        raise NotReusableError(f"{table.name} was written to, and is not an ordinary table")
    if table.oid in template.sizes:
        raise NotReusableError(f"{table.name} was written to, and the template has rows in it")
    if table.oid in template.unusual:
        raise NotReusableError(f"{table.name} was written to, and DELETE may not undo that")
    _require_small(table)


def _require_small(table: Relation) -> None:
    if table.size > LARGEST:
        raise NotReusableError(f"{table.name} has {table.size} bytes")


# -- the database as the rest of the server sees it

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
                     AND setconfig::text ~* 'track_counts') THEN 'the sessions of a role are not counted' END
FROM pg_catalog.pg_database d WHERE datname = %(name)s"""


def read_database_state(
    connection: psycopg.Connection[Any], name: str, *, template: str, origin: int
) -> DatabaseState:
    """Read the state of the database ``name``, a copy of ``template``, whose OID is ``origin``.

    ``connection`` leads to any database of the server. Raises NotReusableError if the database is gone.
    """
    values = {"name": name, "template": template, "origin": origin}
    row = connection.execute(_STATE, values).fetchone()
    if row is None:
        raise NotReusableError("it is gone")
    return DatabaseState(*row)


# -- in the database

# pg_stat_file instead of pg_relation_size, which opens each relation and takes three times as long.
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


def read_template_state(connection: psycopg.Connection[Any], shape: Any) -> TemplateState:
    """Read the state of a new copy of a template.

    ``connection`` has the ``SETTINGS`` and leads to a clone that nobody has used yet.
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
    positions = connection.execute(each.encode()).fetchall() if each else []
    return TemplateState(
        shape,
        sizes,
        {oid: (last, called) for oid, last, called in positions},
        unusual,
        bool(uncounted and uncounted[0]),
    )


def undo_changes(connection: psycopg.Connection[Any], template: TemplateState) -> None:
    """Undo the changes of a test, and reset the counters of the database.

    ``connection`` has the ``SETTINGS``, and nobody else is connected. Raises NotReusableError if the test did
    more than write rows, and psycopg.Error if the server refuses; then the database is to be dropped.
    """
    rows = connection.execute(_RELATIONS.encode(), prepare=False).fetchall()
    found = changes(template, [Relation(*row) for row in rows])
    statements = [f"DELETE FROM ONLY {table.name}" for table in found.tables]  # noqa: S608  quoted there
    for sequence in found.sequences:
        last, called = template.sequences[sequence.oid]
        statements.append(f"SELECT setval({sequence.oid}::oid::regclass, {last}, {called})")
    if statements:
        connection.execute("; ".join(statements).encode(), prepare=False)  # in one transaction
    if found.tables:
        _truncate_files(connection, found.tables)
    connection.execute("SELECT pg_stat_force_next_flush()")  # count what this session did, before the reset
    connection.execute("SELECT pg_stat_reset()")


def _truncate_files(connection: psycopg.Connection[Any], tables: tuple[Relation, ...]) -> None:
    """Truncate the files of emptied tables, and reset what the planner knows of them."""
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
