"""Reads what a database holds, in one round trip."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from . import queries, queries_other
from .acl import departures
from .model import Name, Schema, SchemaObject, Value
from .pinned import pinned

if TYPE_CHECKING:  # at run time when it is called: a plan imports this file and needs no driver
    import psycopg
    from psycopg import sql

_OF_RELATIONS = (
    queries.RELATIONS,
    queries.COLUMNS,
    queries.CONSTRAINTS,
    queries.INDEXES,
    queries.TRIGGERS,
    queries.POLICIES,
    queries.STATISTICS,
)
_OF_TYPES = (queries.TYPES, queries.DOMAIN_CONSTRAINTS)
_RELATION_KINDS = frozenset({"table", "view", "materialized view", "foreign table"})
_FUNCTION_KINDS = frozenset({"function", "procedure", "aggregate"})
_ARRAY_TYPES = frozenset({1002, 1003, 1009, 1015})
"""OIDs of "char"[], name[], text[] and varchar[]."""

_ANNOTATED_PARTS = frozenset({"view column", "materialized view column", "composite type column"})
"""Parts that are written down only where they have a comment or label (or rights) of their own."""


def read(
    connection: psycopg.Connection[Any],
    *,
    within: Collection[Name] | None = None,
    exclude_schemas: Sequence[str] = ("pgslate",),
) -> Schema:
    """What the database holds, but for members of extensions and what belongs to PostgreSQL itself.

    ``within`` reads only these top-level objects, each with its parts; names that aren't there are passed
    over. One message with many statements: it costs one round trip, and spells every definition
    the same whatever the session's search_path, DateStyle and TimeZone, which stay as they were. Any role
    may read. Raises psycopg.Error where the connection fails.
    """
    from psycopg.rows import tuple_row

    version = connection.info.server_version
    readings = _readings(within)
    message = _message(readings, within, exclude_schemas, version)
    with connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute(message, prepare=False)
        return _schema(cursor, len(readings), version // 10000)


def _readings(within: Collection[Name] | None) -> tuple[str, ...]:
    """The queries that can find something of what was asked for: planning one costs more than running it."""
    if within is None:
        return (*_OF_RELATIONS, queries.SEQUENCES, queries.FUNCTIONS, *_OF_TYPES, queries_other.OTHERS)
    kinds = {kind for kind, _ in within}
    return (
        *(_OF_RELATIONS if kinds & _RELATION_KINDS else ()),
        queries.SEQUENCES,
        *((queries.FUNCTIONS,) if kinds & _FUNCTION_KINDS else ()),
        *(_OF_TYPES if "type" in kinds else ()),
        *(
            (queries_other.OTHERS,)
            if kinds - _RELATION_KINDS - _FUNCTION_KINDS - {"type", "sequence"}
            else ()
        ),
    )


def _message(
    readings: Sequence[str], within: Collection[Name] | None, exclude_schemas: Sequence[str], version: int
) -> sql.Composed:
    from psycopg import sql

    excluded = sql.Literal(list(exclude_schemas))
    visible = sql.SQL(
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND n.nspname <> ALL ({}::text[])"
    ).format(excluded)
    asked_for = None if within is None else sql.Literal([f"{kind} {name}" for kind, name in within])

    def named(spelled: LiteralString) -> sql.Composable:
        if asked_for is None:
            return sql.SQL("true")
        return sql.SQL("({} = ANY ({}::text[]))").format(sql.SQL(spelled), asked_for)

    fragments: dict[str, sql.Composable] = {
        "excluded": excluded,
        "visible": visible,
        "named_type": named("'type ' || quote_ident(n.nspname) || '.' || quote_ident(t.typname)"),
        "named_sequence": named("'sequence ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)"),
        "named_function": named(
            "CASE p.prokind WHEN 'p' THEN 'procedure ' WHEN 'a' THEN 'aggregate ' ELSE 'function ' END"
            " || o.identity"
        ),
        "named_relation": named(
            queries.RELATION_KIND + " || ' ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname)"
        ),
        "named_other": named("found.kind || ' ' || found.name"),
        "published": sql.SQL(
            queries_other.PUBLISHED_FROM_15 if version >= 150000 else queries_other.PUBLISHED_BEFORE_15
        ),
    }
    fragments["rel"] = _formatted(queries.REL, fragments)
    queried = (queries.CHOOSE_RELATIONS, *readings, queries_other.COMMENTS)
    return pinned(*(_formatted(each, fragments) for each in queried))


def _formatted(query: str, fragments: dict[str, sql.Composable]) -> sql.Composed:
    from psycopg import sql

    return sql.SQL(query).format(**fragments)


def _schema(cursor: psycopg.Cursor[Any], readings: int, major: int) -> Schema:
    cursor.nextset()
    role = str(cursor.fetchall()[0][-1])
    objects: dict[Name, SchemaObject] = {}
    cursor.nextset()
    for _ in range(readings):
        cursor.nextset()
        columns = [(d.name, d.type_code) for d in cursor.description or ()]
        for each in _objects(columns[4:], cursor.fetchall()):
            objects[each.key] = each
    cursor.nextset()
    _annotate(objects, cursor.fetchall())
    return Schema(objects, major, role)


def _objects(columns: list[tuple[str, int]], rows: list[tuple[Any, ...]]) -> Iterable[SchemaObject]:
    names = [name for name, _ in columns]
    arrays = [name for name, oid in columns if oid in _ARRAY_TYPES and name != "acl"]
    for row in rows:
        attributes = {key: value for key, value in zip(names, row[4:], strict=True) if value}
        for array in arrays:
            if array in attributes:
                attributes[array] = tuple(attributes[array])
        if "acl" in attributes:
            owner, *items = attributes.pop("acl")
            middle = items.index("|")
            if acl := departures(owner, items[:middle], items[middle + 1 :]):
                attributes["acl"] = acl
        if "attributes" in attributes:
            attributes |= _flat(attributes.pop("attributes"))
        if "not_valid" in attributes:
            attributes["definition"] = attributes["definition"].removesuffix(" NOT VALID")
        yield SchemaObject(row[0], row[1], row[2:4], attributes)


def _flat(document: dict[str, Any]) -> dict[str, Value]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in sorted(document.items()) if v}


def _annotate(objects: dict[Name, SchemaObject], rows: list[tuple[Any, ...]]) -> None:
    for kind, name, owner_kind, owner_name, attribute, text in rows:
        found = objects.get((kind, name))
        if found is None and kind in _ANNOTATED_PARTS:
            owner = ("type" if owner_kind == "composite type" else owner_kind, owner_name)
            if owner not in objects:
                continue
            found = SchemaObject(kind, name, owner, {})
        if found is not None:
            attributes = {**found.attributes, attribute: text}
            objects[kind, name] = SchemaObject(kind, name, found.owner, attributes)
