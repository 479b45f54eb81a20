"""PostgreSQL's system catalogs: what each row of them belongs to, and the queries that read them. Pure.

A row belongs to an object of its own, or is a part of another's: a column of its table, a comment of what it
describes. Rows are read in two ways. The *wide* one looks at whole catalogs for rows that are younger than a
mark. Most of them grow with the schema, so there is a *narrow* way for these: what is a relation's is looked
up by the relations that the session has locked, dependencies by the objects that have younger rows. It says
how many rows it found; where the counters say that more were written, the wide way has to be gone.

Source: PostgreSQL manual, "System Columns", "System Catalogs".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from psycopg import sql

PG_CLASS = 1259
PG_CONSTRAINT = 2606
PG_PROC = 1255
PG_TYPE = 1247
PG_NAMESPACE = 2615
PG_ENUM = 3501
PG_EXTENSION = 3079
PG_DEPEND = 2608
PG_SHDEPEND = 1214
PG_DESCRIPTION = 2609
PG_SECLABEL = 3596
PG_AUTHID = 1260
PG_DEFAULT_ACL = 826
PG_EVENT_TRIGGER = 3466
PG_INHERITS = 2611

FIRST_USER_OID = 16384
PUBLIC = 2200
"""The schema public: made by initdb, and yet dropped and made again by many a first migration."""


class SystemCatalog(NamedTuple):
    """The SQL expressions that read one system catalog; ``catalog_rows`` has the types of its rows.

    ``oid`` is the row's object, ``owner_class`` and ``owner`` the object that it is a part of. ``named``
    objects have an identity; ``name_as`` is a name of another kind. ``number``, ``other_number`` and ``text``
    are what else there is to a row, and mean something else in each catalog.
    """

    name: str
    oid: str
    owner_class: str = "NULL"
    owner: str = "NULL"
    named: bool = False
    name_as: str = ""
    number: str = "NULL"
    other_number: str = "NULL"
    text: str = "NULL"
    where: str = "true"


# Columns of pg_class that are definition; the others are statistics, storage and flags kept for speed. What
# asks no more of a relation than to be there is apart, in the lower half of the number.
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

# Of a partition, which one it is: of what, and for which values.
_BOUND = (
    "CASE WHEN c.relispartition THEN (SELECT pg_catalog.quote_ident(pn.nspname) || '.'"
    " || pg_catalog.quote_ident(p.relname) FROM pg_catalog.pg_inherits i"
    " JOIN pg_catalog.pg_class p ON p.oid = i.inhparent"
    " JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace WHERE i.inhrelid = c.oid)"
    " || ' ' || pg_catalog.pg_get_expr(c.relpartbound, c.oid) END"
)

CATALOGS = (
    SystemCatalog(
        "pg_class",
        "c.oid",
        "CASE WHEN c.relkind IN ('i', 'I') THEN 1259 END",
        "CASE WHEN c.relkind IN ('i', 'I') THEN (SELECT x.indrelid FROM pg_catalog.pg_index x"
        " WHERE x.indexrelid = c.oid) END",
        named=True,
        number=_RELATION,
        other_number="c.relfilenode",
        text=_BOUND,
        where="c.relnamespace <> ALL (ARRAY(SELECT n.oid FROM pg_catalog.pg_namespace n"
        " WHERE n.nspname LIKE 'pg\\_toast%'))",
    ),
    SystemCatalog("pg_attribute", "c.attrelid", "1259", "c.attrelid", where="c.attnum > 0"),
    SystemCatalog("pg_attrdef", "c.oid", "1259", "c.adrelid"),
    SystemCatalog("pg_index", "c.indexrelid", "1259", "c.indrelid"),
    SystemCatalog(
        "pg_constraint",
        "c.oid",
        "CASE WHEN c.conrelid <> 0 THEN 1259 ELSE 1247 END",
        "CASE WHEN c.conrelid <> 0 THEN c.conrelid ELSE c.contypid END",
        # A foreign key to a partitioned table has a row for each partition it refers to: no definition of its
        # own.
        name_as="CASE WHEN n.nspname LIKE 'pg\\_temp\\_%' THEN 'pg_temp'"
        " ELSE pg_catalog.quote_ident(n.nspname) END || '.' || pg_catalog.quote_ident(c.conname)",
        where="(c.conparentid = 0 OR c.conrelid <> (SELECT p.conrelid FROM pg_catalog.pg_constraint p"
        " WHERE p.oid = c.conparentid))",
    ),
    # A foreign key's triggers sit on the referenced table too; they follow from the constraint.
    SystemCatalog("pg_trigger", "c.oid", "1259", "c.tgrelid", where="NOT c.tgisinternal"),
    SystemCatalog("pg_rewrite", "c.oid", "1259", "c.ev_class"),
    SystemCatalog("pg_policy", "c.oid", "1259", "c.polrelid"),
    SystemCatalog("pg_statistic_ext", "c.oid", "1259", "c.stxrelid", named=True),
    SystemCatalog("pg_inherits", "c.inhrelid", "1259", "c.inhrelid", number="c.inhparent"),
    SystemCatalog("pg_sequence", "c.seqrelid", "1259", "c.seqrelid"),
    SystemCatalog("pg_partitioned_table", "c.partrelid", "1259", "c.partrelid"),
    SystemCatalog("pg_foreign_table", "c.ftrelid", "1259", "c.ftrelid"),
    SystemCatalog(
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
    SystemCatalog("pg_enum", "c.enumtypid", "1247", "c.enumtypid", number="c.oid", text="c.enumlabel"),
    SystemCatalog("pg_proc", "c.oid", named=True, text="c.prosrc || COALESCE(' ' || c.proconfig::text, '')"),
    SystemCatalog("pg_aggregate", "c.aggfnoid", "1255", "c.aggfnoid"),
    SystemCatalog("pg_namespace", "c.oid", named=True, where="c.nspname !~ '^pg_(toast_)?temp_'"),
    SystemCatalog("pg_extension", "c.oid", named=True),
    SystemCatalog("pg_collation", "c.oid", named=True),
    SystemCatalog("pg_conversion", "c.oid", named=True),
    SystemCatalog("pg_language", "c.oid", named=True),
    SystemCatalog("pg_operator", "c.oid", named=True),
    SystemCatalog("pg_opclass", "c.oid", named=True),
    SystemCatalog("pg_opfamily", "c.oid", named=True),
    SystemCatalog("pg_amop", "c.oid", "2753", "c.amopfamily"),
    SystemCatalog("pg_amproc", "c.oid", "2753", "c.amprocfamily"),
    SystemCatalog("pg_am", "c.oid", named=True),
    SystemCatalog("pg_cast", "c.oid", named=True),
    SystemCatalog("pg_transform", "c.oid", named=True),
    SystemCatalog("pg_ts_config", "c.oid", named=True),
    SystemCatalog("pg_ts_config_map", "c.mapcfg", "3602", "c.mapcfg"),
    SystemCatalog("pg_ts_dict", "c.oid", named=True),
    SystemCatalog("pg_ts_parser", "c.oid", named=True),
    SystemCatalog("pg_ts_template", "c.oid", named=True),
    SystemCatalog("pg_foreign_data_wrapper", "c.oid", named=True),
    SystemCatalog("pg_foreign_server", "c.oid", named=True),
    SystemCatalog("pg_user_mapping", "c.oid", named=True),
    SystemCatalog("pg_publication", "c.oid", named=True),
    SystemCatalog("pg_publication_rel", "c.oid", "6104", "c.prpubid"),
    SystemCatalog("pg_event_trigger", "c.oid", named=True),
    SystemCatalog("pg_default_acl", "c.oid", named=True, number="c.defaclnamespace"),
    SystemCatalog("pg_description", "c.objoid", "c.classoid", "c.objoid", number="c.objsubid"),
    SystemCatalog("pg_seclabel", "c.objoid", "c.classoid", "c.objoid", number="c.objsubid"),
    SystemCatalog("pg_authid", "c.oid", named=True),
    SystemCatalog("pg_auth_members", "c.member", "1260", "c.member"),
    SystemCatalog("pg_depend", "c.objid", "c.refclassid", "c.refobjid", number="c.classid", text="c.deptype"),
    SystemCatalog(
        "pg_shdepend",
        "c.objid",
        "c.refclassid",
        "c.refobjid",
        number="c.classid",
        text="c.deptype",
        where="c.refclassid = 1260 AND c.dbid = (SELECT d.oid FROM pg_catalog.pg_database d"
        " WHERE d.datname = pg_catalog.current_database())",
    ),
)

KEYED_BY_OWN_OID = tuple(catalog.name for catalog in CATALOGS if catalog.oid == "c.oid")


def only_marked(before: int | None, after: int | None) -> bool:
    """Whether two definitions of a relation differ in its rights, owner and row security alone."""
    return before is not None and after is not None and before != after and (before ^ after) >> 32 == 0


_USERS = f"({{oid}} >= {FIRST_USER_OID} OR {{oid}} = {PUBLIC})"

Object = tuple[int, int]
"""(OID of the system catalog, OID of the object)."""

Edge = tuple[int, int, int, int]
"""The object that leans, and the one that it leans on."""

_BY_RELATION = {
    "pg_class": "c.oid",
    "pg_attribute": "c.attrelid",
    "pg_attrdef": "c.adrelid",
    "pg_index": "c.indrelid",
    "pg_constraint": "c.conrelid",
    "pg_trigger": "c.tgrelid",
    "pg_rewrite": "c.ev_class",
    "pg_description": "c.classoid = 1259 AND c.objoid",
}
"""The catalogs of which rows can be looked up by their relation, each with what that is compared with."""

NARROW = (*_BY_RELATION, "pg_type", "pg_depend")
"""The catalogs that there is a narrow way for."""

FOR_SUPERUSERS = frozenset(("pg_authid", "pg_user_mapping"))
"""The catalogs that others may not read."""

FOUND = 0
"""Stands in place of a row's catalog where an answer is a ``RowCount``."""

FROM_USERS = _USERS.format(oid="objid")
"""The rows of pg_depend that lead from a user object to another, or to one of PostgreSQL's own."""

_NAMESPACE = ", LATERAL (SELECT nspname FROM pg_catalog.pg_namespace WHERE oid = c.connamespace) n"
_COMMAND = "c.cmin::text::int8"
# In a query of its own, or it would be computed for each row.
_IS_YOUNGER = f"pg_catalog.age(c.xmin) <= (SELECT pg_catalog.age($1)) AND {_COMMAND} > $2"
_LOCKED = (
    "locked AS MATERIALIZED (SELECT pg_catalog.array_agg(relation) AS relations FROM pg_catalog.pg_locks"
    " WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'relation'"
    f" AND relation >= {FIRST_USER_OID})"
)
_IS_LOCKED = "= ANY ((SELECT relations FROM locked)::oid[])"
# A table's row type, and the type of arrays of it.
_IS_ROW_TYPE = (
    "c.oid = ANY (ARRAY(SELECT unnest(ARRAY[t.oid, t.typarray])"
    " FROM pg_catalog.pg_class r JOIN pg_catalog.pg_type t ON t.oid = r.reltype"
    f" WHERE r.oid {_IS_LOCKED}))"
)


def every_row(catalogs: Sequence[SystemCatalog]) -> sql.Composed:
    """All rows of the catalogs, as answers for ``catalog_rows.row_of``."""
    return _union(_branch(catalog, f"pg_catalog.{catalog.name}", _COMMAND, "true") for catalog in catalogs)


def younger_rows(catalogs: Sequence[SystemCatalog]) -> sql.Composed:
    """The rows that are younger than transaction $1 and command $2, the wide way."""
    return _union(
        _branch(catalog, f"pg_catalog.{catalog.name}", _COMMAND, _IS_YOUNGER) for catalog in catalogs
    )


def younger_rows_narrow(catalogs: Sequence[SystemCatalog]) -> sql.Composed:
    """The same, the narrow way where there is one; with rows of ``FOUND``."""
    names = [catalog.name for catalog in catalogs]
    steps, found = [_LOCKED], []
    looked_up = {name: f"{column} {_IS_LOCKED}" for name, column in _BY_RELATION.items() if name in names}
    if "pg_class" in names and "pg_type" in names:  # else the type is no relation's
        looked_up["pg_type"] = _IS_ROW_TYPE
    for name in names:
        if name != "pg_depend":
            rows = _younger(name, looked_up.get(name, "true"))
            steps.append(f"{_step(name)} AS MATERIALIZED ({rows})")
    if "pg_depend" in names:
        objects = " UNION ALL ".join(
            f"SELECT {_oid_of(name)} AS class, oid FROM {_step(name)}"
            for name in names
            if name in KEYED_BY_OWN_OID
        )
        none = "SELECT 0::oid AS class, 0::oid AS oid WHERE false"
        of_object = _younger("pg_depend", "c.classid = o.class AND c.objid = o.oid")
        rows = f"SELECT c.* FROM ({objects or none}) o, LATERAL ({of_object} OFFSET 0) c"
        steps.append(f"{_step('pg_depend')} AS MATERIALIZED ({rows})")
    for name in names:
        if name in looked_up or name == "pg_depend":
            oid, count = f"{_oid_of(name)}::int8", f"(SELECT count(*) FROM {_step(name)})"
            found.append(sql.SQL(f"SELECT {FOUND}, {oid}, NULL, NULL, 0, NULL, NULL, {count}, NULL, NULL"))
    branches = (_branch(catalog, _step(catalog.name), "c.command", "true") for catalog in catalogs)
    return sql.SQL("WITH {} {}").format(sql.SQL(", ").join(map(sql.SQL, steps)), _union([*branches, *found]))


def what_is_left(catalogs: Sequence[SystemCatalog]) -> sql.Composed:
    """Of each catalog, its OID and those of all its user objects."""
    branches = []
    for catalog in catalogs:
        users = _USERS if catalog.name == "pg_namespace" else f"{{oid}} >= {FIRST_USER_OID}"
        rows = f"FROM pg_catalog.{catalog.name} WHERE {users.format(oid='oid')}"
        left = f"COALESCE((SELECT pg_catalog.array_agg(oid::int8) {rows}), '{{}}')"
        branches.append(sql.SQL(f"SELECT {_oid_of(catalog.name)}::int8, {left}"))
    return _union(branches)


def _oid_of(name: str) -> str:
    """An expression for the OID of a system catalog."""
    return f"'pg_catalog.{name}'::pg_catalog.regclass::oid"


def _step(name: str) -> str:
    return f"younger_{name}"


def _younger(name: str, condition: str) -> str:
    rows = f"SELECT c.*, {_COMMAND} AS command FROM pg_catalog.{name} c"
    return f"{rows} WHERE {condition} AND {_IS_YOUNGER}"


def _union(branches: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(" UNION ALL ").join(branches)


def _branch(catalog: SystemCatalog, source: str, command: str, condition: str) -> sql.Composable:
    users = _USERS.format(oid=catalog.oid)
    if catalog.name == "pg_shdepend":
        users += f" AND {_USERS.format(oid='c.refobjid')}"
    own = f"'pg_catalog.{catalog.name}'::regclass, {catalog.oid}, 0"
    identity = f", LATERAL pg_catalog.pg_identify_object({own}) i"
    kind, name = ("i.type", "i.identity") if catalog.named else ("NULL", catalog.name_as or "NULL")
    beside = identity if catalog.named else _NAMESPACE if catalog.name_as else ""
    return sql.SQL(
        f"SELECT {_oid_of(catalog.name)}::int8, {catalog.oid}::int8,"
        f" ({catalog.owner_class})::int8, ({catalog.owner})::int8, {command}, {kind}, {name},"
        f" ({catalog.number})::int8, ({catalog.other_number})::int8, ({catalog.text})::text"
        f" FROM {source} c{beside} WHERE {condition} AND {users} AND {catalog.where}"
    )
