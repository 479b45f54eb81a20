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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

PG_CLASS = 1259
PG_CONSTRAINT = 2606
PG_PROC = 1255
PG_TYPE = 1247
PG_NAMESPACE = 2615
PG_EXTENSION = 3079
PG_DEPEND = 2608
PG_SHDEPEND = 1214
PG_DESCRIPTION = 2609
PG_AUTHID = 1260
PG_DEFAULT_ACL = 826
PG_EVENT_TRIGGER = 3466

FIRST_USER_OID = 16384
PUBLIC = 2200
"""The schema public: made by initdb, and yet dropped and made again by many a first migration."""


class _Catalog(NamedTuple):
    """How to read one system catalog: ``own`` object, or a part of another's."""

    name: str
    oid: str  # the row's object
    part_class: str = "NULL"  # the catalog of the object that this one is a part of
    part_oid: str = "NULL"
    named: bool = False
    name_as: str = ""  # an expression for the name, where it is not pg_identify_object's identity
    digest: str = "NULL"  # over the columns that are definition, where others are not
    source: str = "NULL"
    where: str = "true"
    shared: bool = False


# Columns of pg_class that are definition; the others are statistics, storage and flags kept for speed. What
# asks no more of a relation than to be there is apart, in the digest's lower half.
_SHAPE = (
    "ROW(c.relname, c.relnamespace, c.reloftype, c.relam, c.reltablespace, c.relpersistence, c.relkind,"
    " c.relnatts, c.relchecks, c.relispopulated, c.relreplident, c.relispartition, c.reloptions,"
    " c.relpartbound::text)"
)
_MARKS = "ROW(c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity)"
_RELATION = (
    f"(pg_catalog.hashtext({_SHAPE}::text)::int8 << 32)"
    f" | (pg_catalog.hashtext({_MARKS}::text)::int8 & 4294967295)"
)

_CATALOGS = (
    _Catalog(
        "pg_class",
        "c.oid",
        "CASE WHEN c.relkind IN ('i', 'I') THEN 1259 END",
        "CASE WHEN c.relkind IN ('i', 'I') THEN (SELECT x.indrelid FROM pg_catalog.pg_index x"
        " WHERE x.indexrelid = c.oid) END",
        named=True,
        digest=_RELATION,
        where="c.relnamespace <> ALL (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n"
        " WHERE n.nspname LIKE 'pg\\_toast%'))",
    ),
    _Catalog("pg_attribute", "c.attrelid", "1259", "c.attrelid", where="c.attnum > 0"),
    _Catalog("pg_attrdef", "c.oid", "1259", "c.adrelid"),
    _Catalog("pg_index", "c.indexrelid", "1259", "c.indrelid"),
    _Catalog(
        "pg_constraint",
        "c.oid",
        "CASE WHEN c.conrelid <> 0 THEN 1259 ELSE 1247 END",
        "CASE WHEN c.conrelid <> 0 THEN c.conrelid ELSE c.contypid END",
        # A foreign key to a partitioned table has a row for each partition it refers to: no definition of its
        # own.
        name_as="pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.conname)",
        where="(c.conparentid = 0 OR c.conrelid <> (SELECT p.conrelid FROM pg_catalog.pg_constraint p"
        " WHERE p.oid = c.conparentid))",
    ),
    # A foreign key's triggers sit on the referenced table too; they follow from the constraint.
    _Catalog("pg_trigger", "c.oid", "1259", "c.tgrelid", where="NOT c.tgisinternal"),
    _Catalog("pg_rewrite", "c.oid", "1259", "c.ev_class"),
    _Catalog("pg_policy", "c.oid", "1259", "c.polrelid"),
    _Catalog("pg_statistic_ext", "c.oid", "1259", "c.stxrelid", named=True),
    _Catalog("pg_inherits", "c.inhrelid", "1259", "c.inhrelid"),
    _Catalog("pg_sequence", "c.seqrelid", "1259", "c.seqrelid"),
    _Catalog("pg_partitioned_table", "c.partrelid", "1259", "c.partrelid"),
    _Catalog("pg_foreign_table", "c.ftrelid", "1259", "c.ftrelid"),
    _Catalog(
        "pg_type",
        "c.oid",
        "CASE WHEN c.typrelid <> 0 THEN 1259 WHEN c.typtype = 'm' THEN 1247"
        " WHEN c.typelem <> 0 AND c.typcategory = 'A' THEN 1247 END",
        "CASE WHEN c.typrelid <> 0 THEN c.typrelid"
        " WHEN c.typtype = 'm'"
        " THEN (SELECT r.rngtypid FROM pg_catalog.pg_range r WHERE r.rngmultitypid = c.oid)"
        " WHEN c.typelem <> 0 AND c.typcategory = 'A' THEN c.typelem END",
        named=True,
    ),
    _Catalog("pg_enum", "c.enumtypid", "1247", "c.enumtypid"),
    _Catalog("pg_proc", "c.oid", named=True, source="c.prosrc"),
    _Catalog("pg_aggregate", "c.aggfnoid", "1255", "c.aggfnoid"),
    _Catalog("pg_namespace", "c.oid", named=True, where="c.nspname !~ '^pg_(toast_)?temp_'"),
    _Catalog("pg_extension", "c.oid", named=True),
    _Catalog("pg_collation", "c.oid", named=True),
    _Catalog("pg_conversion", "c.oid", named=True),
    _Catalog("pg_language", "c.oid", named=True),
    _Catalog("pg_operator", "c.oid", named=True),
    _Catalog("pg_opclass", "c.oid", named=True),
    _Catalog("pg_opfamily", "c.oid", named=True),
    _Catalog("pg_amop", "c.oid", "2753", "c.amopfamily"),
    _Catalog("pg_amproc", "c.oid", "2753", "c.amprocfamily"),
    _Catalog("pg_am", "c.oid", named=True),
    _Catalog("pg_cast", "c.oid", named=True),
    _Catalog("pg_transform", "c.oid", named=True),
    _Catalog("pg_ts_config", "c.oid", named=True),
    _Catalog("pg_ts_config_map", "c.mapcfg", "3602", "c.mapcfg"),
    _Catalog("pg_ts_dict", "c.oid", named=True),
    _Catalog("pg_ts_parser", "c.oid", named=True),
    _Catalog("pg_ts_template", "c.oid", named=True),
    _Catalog("pg_foreign_data_wrapper", "c.oid", named=True),
    _Catalog("pg_foreign_server", "c.oid", named=True),
    _Catalog("pg_user_mapping", "c.oid", named=True),
    _Catalog("pg_publication", "c.oid", named=True),
    _Catalog("pg_publication_rel", "c.oid", "6104", "c.prpubid"),
    _Catalog("pg_event_trigger", "c.oid", named=True),
    _Catalog("pg_default_acl", "c.oid", named=True, digest="c.defaclnamespace"),
    _Catalog("pg_description", "c.objoid", "c.classoid", "c.objoid", digest="c.objsubid"),
    _Catalog("pg_seclabel", "c.objoid", "c.classoid", "c.objoid", digest="c.objsubid"),
    _Catalog("pg_authid", "c.oid", named=True, shared=True),
    _Catalog("pg_auth_members", "c.member", "1260", "c.member", shared=True),
    _Catalog("pg_depend", "c.objid", "c.refclassid", "c.refobjid", digest="c.classid"),
    _Catalog(
        "pg_shdepend",
        "c.objid",
        "c.refclassid",
        "c.refobjid",
        digest="c.classid",
        where="c.refclassid = 1260 AND c.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
        " WHERE d.datname = pg_catalog.current_database())",
        shared=True,
    ),
)

_KEYED_BY_OWN_OID = tuple(catalog.name for catalog in _CATALOGS if catalog.oid == "c.oid")


def only_marked(before: int | None, after: int | None) -> bool:
    """Whether two digests of a relation differ in its rights, owner and row security alone."""
    return before is not None and after is not None and before != after and (before ^ after) >> 32 == 0


class Row(NamedTuple):
    """One row of a system catalog, as ``_rows_query`` selects it."""

    catalog: int
    oid: int
    part_class: int | None
    part_oid: int | None
    digest: int | None
    command: int
    kind: str | None
    name: str | None
    source: str | None
    deptype: str | None


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


_READ_COUNTERS = b"EXECUTE pgslate_counters"


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
        self._prepared: dict[tuple[str, ...], int] = {}
        self._prepare("pgslate_counters", "", _counters_query(readable))

    def counters(self) -> Counters:
        """The counters as they are now; in a transaction this gives it its identifier."""
        self._cursor.execute(_READ_COUNTERS, prepare=False)
        return _to_counters(self._cursor.fetchone())

    def run(self, statement: str) -> Counters:
        """Run a statement in the open transaction and read the counters, in one round trip."""
        failed: psycopg.Error | None = None
        with contextlib.suppress(psycopg.errors.PipelineAborted), self.connection.pipeline():
            try:
                plain = self.connection.cursor()
                plain.execute(statement.encode(), prepare=False)
                self._cursor.execute(_READ_COUNTERS, prepare=False)
            except psycopg.Error as error:
                failed = error  # raised in here, psycopg would log that the pipeline was aborted
        if failed is not None:
            raise failed
        return _to_counters(self._cursor.fetchone())

    def written(self, before: Counters, after: Counters) -> tuple[str, ...]:
        """The catalogs that were written to between two readings of the counters."""
        return self._differing(before.written, after.written)

    def deleted(self, before: Counters, after: Counters) -> tuple[str, ...]:
        """The catalogs that rows were deleted from between two readings of the counters."""
        return self._differing(before.deleted, after.deleted)

    def _differing(self, then: Mapping[int, int], now: Mapping[int, int]) -> tuple[str, ...]:
        return tuple(name for oid, name in self._names.items() if then.get(oid, 0) != now.get(oid, 0))

    def unknown(self) -> dict[int, int]:
        """Counts that differ from any: for a statement that the counters say nothing about."""
        return dict.fromkeys(self._names, -1)

    def rows(self, mark: Mark, catalogs: tuple[str, ...] | None = None) -> list[Row]:
        """The rows of ``catalogs`` (None: of all) that are younger than ``mark``."""
        if catalogs == ():
            return []
        chosen = catalogs or tuple(catalog.name for catalog in self.catalogs)
        number = self._prepared.get(chosen)
        if number is None:
            number = self._prepared[chosen] = len(self._prepared)
            query = _rows_query([c for c in self.catalogs if c.name in chosen], _YOUNGER)
            self._prepare(f"pgslate_rows_{number}", "(xid, int8)", query)
        with self._as_ourselves():
            asked = f"EXECUTE pgslate_rows_{number}('{int(mark.xid)}', {mark.command})"
            self._cursor.execute(asked.encode(), prepare=False)
            return list(map(Row._make, self._cursor.fetchall()))

    def everything(self) -> list[Row]:
        """The rows of all catalogs, whoever wrote them."""
        self._cursor.execute(_rows_query(self.catalogs, sql.SQL("true")), prepare=False)
        return list(map(Row._make, self._cursor.fetchall()))

    def _prepare(self, name: str, types: str, query: sql.Composed) -> None:
        self.connection.execute(
            sql.SQL("PREPARE {}{} AS {}").format(sql.Identifier(name), sql.SQL(types), query), prepare=False
        )

    def remaining(self, catalogs: Collection[str]) -> dict[int, frozenset[int]]:
        """By catalog OID, the user objects that are left in each of ``catalogs``."""
        chosen = [name for name in catalogs if name in _KEYED_BY_OWN_OID]
        if not chosen:
            return {}
        query = sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "SELECT {literal}::pg_catalog.regclass::oid::int8,"
                " COALESCE(pg_catalog.array_agg(oid::int8), '{{}}') FROM pg_catalog.{catalog}"
                " WHERE oid >= 16384 OR oid = 2200"
            ).format(literal=sql.Literal(f"pg_catalog.{name}"), catalog=sql.Identifier(name))
            for name in chosen
        )
        with self._as_ourselves():
            self._cursor.execute(query)
            return {catalog: frozenset(oids) for catalog, oids in self._cursor.fetchall()}

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

    def edges(self) -> Counter[tuple[int, int, int, int]]:
        """Every (class, object, referenced class, referenced object) between user objects, with its rows."""
        self._cursor.execute(
            "SELECT classid::int8, objid::int8, refclassid::int8, refobjid::int8 FROM pg_catalog.pg_depend"
            f" WHERE {_BETWEEN_USERS}"
        )
        return Counter(self._cursor.fetchall())

    def count_edges(self) -> int:
        """How many rows are behind ``edges``."""
        self._cursor.execute(f"SELECT count(*) FROM pg_catalog.pg_depend WHERE {_BETWEEN_USERS}")
        row = self._cursor.fetchone()
        assert row is not None
        return int(row[0])

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


def _readable(connection: psycopg.Connection[Any]) -> dict[int, _Catalog]:
    """The catalogs that this role may read, by OID: pg_authid and pg_user_mapping are the superuser's."""
    may = connection.execute(
        "SELECT relname, oid::int8 FROM pg_catalog.pg_class WHERE relnamespace = 11 AND relname = ANY(%s)"
        " AND pg_catalog.has_table_privilege(oid, 'SELECT')",
        ([catalog.name for catalog in _CATALOGS],),
    ).fetchall()
    oids = dict(may)
    return {oids[catalog.name]: catalog for catalog in _CATALOGS if catalog.name in oids}


_NAMESPACE = ", LATERAL (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = c.connamespace) n"
_BETWEEN_USERS = "objid >= 16384 AND (refobjid >= 16384 OR refobjid = 2200)"
_YOUNGER = sql.SQL("pg_catalog.age(c.xmin) <= pg_catalog.age($1) AND c.cmin::text::int8 > $2")


def _rows_query(catalogs: Sequence[_Catalog], condition: sql.SQL) -> sql.Composed:
    """One branch a catalog."""
    branches = []
    for catalog in catalogs:
        edges = catalog.name in ("pg_depend", "pg_shdepend")
        users = (
            "c.objid >= 16384 AND (c.refobjid >= 16384 OR c.refobjid = 2200)"
            if edges
            else f"({catalog.oid} >= 16384 OR {catalog.oid} = 2200)"
        )
        own = f"'pg_catalog.{catalog.name}'::regclass, {catalog.oid}, 0"
        identity = f", LATERAL pg_catalog.pg_identify_object({own}) i"
        branches.append(
            sql.SQL(
                "SELECT {literal}::pg_catalog.regclass::oid::int8, {oid}::int8, ({part_class})::int8,"
                " ({part_oid})::int8, ({digest})::int8, c.cmin::text::int8,"
                " {kind}, {name}, {source}::text, {deptype}"
                " FROM pg_catalog.{catalog} c {identity} WHERE {condition} AND {users} AND {where}"
            ).format(
                literal=sql.Literal(f"pg_catalog.{catalog.name}"),
                oid=sql.SQL(catalog.oid),
                part_class=sql.SQL(catalog.part_class),
                part_oid=sql.SQL(catalog.part_oid),
                digest=sql.SQL(catalog.digest),
                kind=sql.SQL("i.type" if catalog.named else "NULL"),
                name=sql.SQL("i.identity" if catalog.named else catalog.name_as or "NULL"),
                source=sql.SQL(catalog.source),
                deptype=sql.SQL("c.deptype::text" if edges else "NULL"),
                catalog=sql.Identifier(catalog.name),
                identity=sql.SQL(identity if catalog.named else _NAMESPACE if catalog.name_as else ""),
                condition=condition,
                users=sql.SQL(users),
                where=sql.SQL(catalog.where),
            )
        )
    return sql.SQL(" UNION ALL ").join(branches)


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
