"""What a statement did, read from PostgreSQL's own catalogs.

Every effect on a schema is a row written to a system catalog, and every row carries its writer: ``xmin`` is
the transaction, ``cmin`` the command in it. So the rows that are younger than a mark are the statement's
effects, whatever command made them: DDL in a DO block or a function, comments, grants, row security, an
extension's thousand objects. Nothing is installed in the database, and no superuser is needed.

The session's own counters (pg_stat_get_xact_tuples_*) are read in one round trip with the statement, and say
which catalogs it wrote to: only those are looked at, so that a statement which wrote no catalog costs nothing
more. Rows deleted leave no row; the same counters tell that there were some, and then the object identifiers
that are left are read.

Source: PostgreSQL manual, "System Columns", "System Catalogs", "Cumulative Statistics System".
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgslate.slicing.catalogs import (
    BETWEEN_USERS,
    CATALOGS,
    FOUND,
    KEYED_BY_OWN_OID,
    NARROW,
    PG_DEPEND,
    Edge,
    Object,
    Row,
    SystemCatalog,
    every_row,
    what_is_left,
    younger_rows,
    younger_rows_narrow,
)

_EDGE = sql.SQL("SELECT classid::int8, objid::int8, refclassid::int8, refobjid::int8")
_EDGES = sql.SQL("FROM pg_catalog.pg_depend WHERE " + BETWEEN_USERS)


@dataclass(frozen=True, slots=True)
class Mark:
    """What was before a statement: rows younger than this are its effects.

    ``xid`` is the transaction (or, outside one, a transaction before the statement), ``command`` the last
    command seen in it.
    """

    xid: str
    command: int = -1


@dataclass(frozen=True, slots=True)
class Counters:
    """The session's counters: rows written and deleted by catalog; of user relations: locks, rows, calls.

    ``written`` and ``deleted`` map a catalog's OID to a count that isn't 0; ``locks`` a relation's OID to
    (whether the lock is one for writing, rows written); ``calls`` a function's OID to how often it was
    called; ``path`` is the search path in effect.
    """

    written: dict[int, int]
    deleted: dict[int, int]
    locks: dict[int, tuple[bool, int]]
    calls: dict[int, int]
    path: tuple[str, ...]
    xid: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """By catalog OID the user objects that are left; the number of rows behind all edges between them."""

    objects: dict[int, frozenset[int]]
    edges: int = 0


_READ_COUNTERS = b"EXECUTE pgslate_counters"

_WAYS: Mapping[str, tuple[Callable[[Sequence[SystemCatalog]], sql.Composed], str]] = {
    "wide": (younger_rows, "(xid, int8)"),
    "narrow": (younger_rows_narrow, "(xid, int8)"),
    "left": (what_is_left, ""),
}
"""The queries over some of the catalogs that are run again and again, with the types of their parameters."""


class Observer:
    """Reads effects through one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        readable = _readable(connection)
        self.catalogs = tuple(readable.values())
        self._names = {oid: catalog.name for oid, catalog in readable.items()}
        self._cursor = connection.cursor(binary=True)
        self._as_superuser = _is_superuser(connection)
        # Prepared by SQL and not by psycopg, which forgets its own at every DROP.
        self._prepared: dict[tuple[str, tuple[str, ...]], int] = {}
        self._prepare("pgslate_counters", "", _counters_query(readable))

    def counters(self) -> Counters:
        """The counters as they are now; in a transaction this gives it its identifier."""
        self._cursor.execute(_READ_COUNTERS, prepare=False)
        return _to_counters(self._cursor.fetchone())

    def run(self, statement: str) -> Counters:
        """Run a statement in the open transaction and read the counters, in one round trip."""
        cursor = self.connection.cursor()
        cursor.execute(f"{statement}\n;\n".encode() + _READ_COUNTERS, prepare=False)
        while cursor.nextset():
            pass
        return _to_counters(cursor.fetchone())

    def written(self, before: Counters, after: Counters) -> dict[str, int]:
        """The catalogs that were written to between two readings of the counters, with how many rows."""
        return self._differing(before.written, after.written)

    def deleted(self, before: Counters, after: Counters) -> dict[str, int]:
        """The catalogs that rows were deleted from between two readings of the counters, with how many."""
        return self._differing(before.deleted, after.deleted)

    def _differing(self, then: Mapping[int, int], now: Mapping[int, int]) -> dict[str, int]:
        changed = ((name, now.get(oid, 0) - then.get(oid, 0)) for oid, name in self._names.items())
        return {name: count for name, count in changed if count}

    def unknown(self) -> dict[int, int]:
        """Counts that differ from any: for a statement that the counters say nothing about."""
        return dict.fromkeys(self._names, -1)

    def rows(self, mark: Mark, written: Mapping[str, int] | None = None) -> list[Row]:
        """The rows that are younger than ``mark``, of the catalogs ``written`` to (None: of all).

        ``written`` says how many rows each of them should have.
        """
        if written is None:
            return self._younger(mark, tuple(catalog.name for catalog in self.catalogs), narrow=False)
        chosen = tuple(written)
        if written.keys().isdisjoint(NARROW):
            return self._younger(mark, chosen, narrow=False)
        rows = self._younger(mark, chosen, narrow=True)
        found = {row.oid: row.digest for row in rows if row.catalog == FOUND}
        missed = tuple(
            name
            for oid, name in self._names.items()
            if name in written and name in NARROW and found[oid] != written[name]
        )
        if missed:
            wide = self._younger(mark, missed, narrow=False)
            again = {oid for oid, name in self._names.items() if name in missed}
            rows = [row for row in rows if row.catalog not in again] + wide
        return [row for row in rows if row.catalog != FOUND]

    def _younger(self, mark: Mark, chosen: tuple[str, ...], *, narrow: bool) -> list[Row]:
        if not chosen:
            return []
        with self._as_ourselves():
            name = self._prepared_for("narrow" if narrow else "wide", chosen)
            self._cursor.execute(b"EXECUTE %b('%d', %d)" % (name, int(mark.xid), mark.command), prepare=False)
            return list(map(Row._make, self._cursor.fetchall()))

    def _prepared_for(self, way: str, chosen: tuple[str, ...]) -> bytes:
        """The name of the statement that reads these catalogs in this way, prepared when first asked for."""
        number = self._prepared.get((way, chosen))
        if number is None:
            number = len(self._prepared)
            catalogs = [catalog for catalog in self.catalogs if catalog.name in chosen]
            query, types = _WAYS[way]
            self._prepare(f"pgslate_{number}", types, query(catalogs))
            self._prepared[way, chosen] = number
        return f"pgslate_{number}".encode()

    def everything(self) -> list[Row]:
        """The rows of all catalogs, whoever wrote them."""
        self._cursor.execute(every_row(self.catalogs), prepare=False)
        return list(map(Row._make, self._cursor.fetchall()))

    def _prepare(self, name: str, types: str, query: sql.Composed) -> None:
        self.connection.execute(
            sql.SQL("PREPARE {}{} AS {}").format(sql.Identifier(name), sql.SQL(types), query), prepare=False
        )

    def remaining(self, catalogs: Collection[str]) -> Remaining:
        """What is left in those of ``catalogs`` whose rows are objects, and how many edges, if asked for."""
        chosen = tuple(name for name in catalogs if name in KEYED_BY_OWN_OID or name == "pg_depend")
        if not chosen:
            return Remaining({})
        with self._as_ourselves():
            self._cursor.execute(b"EXECUTE " + self._prepared_for("left", chosen), prepare=False)
            found: dict[int, list[int]] = dict(self._cursor.fetchall())
        edges = found.pop(PG_DEPEND, [0])[0]
        return Remaining({catalog: frozenset(oids) for catalog, oids in found.items()}, edges)

    @contextlib.contextmanager
    def _as_ourselves(self) -> Iterator[None]:
        """Read as the superuser that the session began as, where a migration goes on as a lesser role.

        Such a role may not read pg_authid and pg_user_mapping. The settings are rolled back, so that the
        migration's own are what they were; the server reports ``is_superuser`` without being asked.
        """
        if not self._as_superuser or _is_superuser(self.connection):
            yield
            return
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(b"SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE")
            yield

    def edges(self) -> Counter[Edge]:
        """Every edge between user objects, with how many rows it has."""
        self._cursor.execute(sql.SQL("{} {}").format(_EDGE, _EDGES))
        return Counter(self._cursor.fetchall())

    def edges_of(self, objects: Collection[Object]) -> Counter[Edge]:
        """Those that begin with one of ``objects``."""
        some = sql.SQL(
            "SELECT e.* FROM ROWS FROM (unnest(%s::int8[]), unnest(%s::int8[])) AS o(class, object),"
            " LATERAL ({} {} AND classid = o.class::oid AND objid = o.object::oid OFFSET 0) e"
        ).format(_EDGE, _EDGES)
        self._cursor.execute(some, ([c for c, _ in objects], [o for _, o in objects]))
        return Counter(self._cursor.fetchall())

    def row_counts(self) -> dict[int, int]:
        """By user table, how many rows were ever written to it: for what is not one transaction.

        Before PostgreSQL 15 the counts come too late to tell, and none are given.
        """
        if self.connection.info.server_version < 150000:
            return {}
        self._cursor.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
        self._cursor.execute(
            "SELECT relid::int8, n_tup_ins + n_tup_upd + n_tup_del FROM pg_catalog.pg_stat_user_tables"
        )
        return dict(self._cursor.fetchall())

    def described(self) -> set[tuple[int, int, int]]:
        """The (class, object, column) of every comment on a user object."""
        self._cursor.execute(
            "SELECT classoid::int8, objoid::int8, objsubid::int8 FROM pg_catalog.pg_description"
            " WHERE objoid >= 16384 OR objoid = 2200",
        )
        return set(self._cursor.fetchall())

    def identities(self, objects: Sequence[tuple[int, int]]) -> list[tuple[int, int, str, str]]:
        """(class, object, kind, name) of those of ``objects`` that are there."""
        self._cursor.execute(
            "SELECT o.class, o.object, i.type, i.identity"
            " FROM ROWS FROM (unnest(%s::int8[]), unnest(%s::int8[])) AS o(class, object),"
            " LATERAL pg_catalog.pg_identify_object(o.class::oid, o.object::oid, 0) i"
            " WHERE i.identity IS NOT NULL",
            ([c for c, _ in objects], [o for _, o in objects]),
        )
        return self._cursor.fetchall()


def _is_superuser(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.parameter_status("is_superuser") == "on"


def _readable(connection: psycopg.Connection[Any]) -> dict[int, SystemCatalog]:
    """The catalogs that this role may read, by OID: pg_authid and pg_user_mapping are the superuser's."""
    may = connection.execute(
        "SELECT relname, oid::int8 FROM pg_catalog.pg_class WHERE relnamespace = 11 AND relname = ANY(%s)"
        " AND pg_catalog.has_table_privilege(oid, 'SELECT')",
        ([catalog.name for catalog in CATALOGS],),
    ).fetchall()
    oids = dict(may)
    return {oids[catalog.name]: catalog for catalog in CATALOGS if catalog.name in oids}


def _counters_query(catalogs: Iterable[int]) -> sql.Composed:
    """One expression over an array of OIDs: one for each catalog would take as long to set up as to run."""
    return sql.SQL(
        "SELECT"
        " (SELECT pg_catalog.array_agg(ARRAY[c.oid::int8, c.written, c.deleted])"
        "  FROM (SELECT oid, pg_catalog.pg_stat_get_xact_tuples_inserted(oid)"
        "        + pg_catalog.pg_stat_get_xact_tuples_updated(oid) AS written,"
        "        pg_catalog.pg_stat_get_xact_tuples_deleted(oid) AS deleted"
        "        FROM pg_catalog.unnest({catalogs}::oid[]) AS u(oid) OFFSET 0) c"
        "  WHERE c.written <> 0 OR c.deleted <> 0),"
        " (SELECT pg_catalog.array_agg(ARRAY[l.relation::int8, l.writes::int,"
        "    pg_catalog.pg_stat_get_xact_tuples_inserted(l.relation)"
        "    + pg_catalog.pg_stat_get_xact_tuples_updated(l.relation)"
        "    + pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation)])"
        "  FROM (SELECT relation,"
        "        pg_catalog.bool_or(mode <> 'AccessShareLock' AND mode <> 'RowShareLock') AS writes"
        "        FROM pg_catalog.pg_locks WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation'"
        "        AND relation >= 16384 GROUP BY relation) l),"
        " (SELECT pg_catalog.array_agg(ARRAY[oid::int8, pg_catalog.pg_stat_get_xact_function_calls(oid)])"
        "  FROM pg_catalog.pg_proc WHERE oid >= 16384"
        "  AND pg_catalog.pg_stat_get_xact_function_calls(oid) IS NOT NULL),"
        " pg_catalog.current_schemas(true)::text[], pg_catalog.pg_current_xact_id()::xid::text"
    ).format(catalogs=sql.Literal(list(catalogs)))


def _to_counters(row: tuple[Any, ...] | None) -> Counters:
    assert row is not None
    tuples, locks, calls, path, xid = row
    return Counters(
        {oid: written for oid, written, _ in tuples or () if written},
        {oid: deleted for oid, _, deleted in tuples or () if deleted},
        {relation: (bool(writes), rows) for relation, writes, rows in locks or ()},
        dict(calls or ()),
        tuple(path),
        xid,
    )
