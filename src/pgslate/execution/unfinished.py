"""A statement outside a transaction that a run began and may not have finished: what of it is there.

What was there before it began is noted in the ledger, so that an index that stood before is never taken for
its work, nor a half-built one for another's.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import psycopg
from psycopg import sql as pgsql

from pgslate.catalog import statements
from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import place_of
from pgslate.catalog.statements import Node, Statement
from pgslate.errors import ApplyError, UnfinishedMigrationError

# Their effect is the same the second time.
_REPEATABLE = frozenset(
    {
        *("VacuumStmt", "ClusterStmt", "AlterSystemStmt", "DiscardStmt", "AlterDatabaseStmt"),
        "AlterSubscriptionStmt",
    }
)

# Server-wide objects, by the node that makes or drops them: the catalog to look into, and its column of
# names.
_BY_NAME: Mapping[str, tuple[str, str, str, bool]] = {
    "CreatedbStmt": ("dbname", "pg_database", "datname", True),
    "DropdbStmt": ("dbname", "pg_database", "datname", False),
    "CreateTableSpaceStmt": ("tablespacename", "pg_tablespace", "spcname", True),
    "DropTableSpaceStmt": ("tablespacename", "pg_tablespace", "spcname", False),
    "CreateSubscriptionStmt": ("subname", "pg_subscription", "subname", True),
    "DropSubscriptionStmt": ("subname", "pg_subscription", "subname", False),
}

_LOCAL = re.compile(r"\s*set\s+(local|constraints|transaction)\b", re.IGNORECASE)

_INDEXES = (
    "SELECT i.indexrelid::int8, n.nspname::text, c.relname::text,"
    " i.indisvalid AND i.indisready AND i.indislive"
    " FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
)
_ON_TABLE = pgsql.SQL(_INDEXES + " WHERE i.indrelid = pg_catalog.to_regclass({table})")
_TRANSIENT = pgsql.SQL(_INDEXES + r" WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)\d*$'")


def before(connection: psycopg.Connection[Any], statement: Statement) -> dict[str, Any]:
    """What is there before the statement is begun, for ``is_done`` to compare with: a JSON object."""
    body = _body(statement)
    match statement.kind if body else "":
        case "IndexStmt":
            return {"indexes": [row[0] for row in _indexes(connection, body["relation"])]}
        case "ReindexStmt":
            return {"indexes": [row[0] for row in connection.execute(_TRANSIENT)]}
        case kind if kind in _BY_NAME:
            return {"exists": _exists(connection, kind, body)}
        case _:
            return {}


def refuse_invalid(connection: psycopg.Connection[Any], migration: Migration, statement: Statement) -> None:
    """Raise ApplyError where an INVALID index stands that IF NOT EXISTS would take for a built one."""
    body = _body(statement)
    if statement.kind != "IndexStmt" or not body.get("if_not_exists"):
        return
    for _, schema, name, valid in _indexes(connection, body["relation"]):
        if name == body["idxname"] and not valid:
            index = pgsql.Identifier(schema, name).as_string(connection)
            raise ApplyError(
                f"the index {index} is INVALID: building it failed before, and IF NOT EXISTS would hide that",
                place=place_of(migration, statement),
                fix=f"DROP INDEX CONCURRENTLY {index}, then run again",
            )


def leaves_something(statement: Statement) -> bool:
    """Whether the statement may leave something behind when it fails: an INVALID index, half a detach."""
    return statement.kind in ("IndexStmt", "ReindexStmt", "AlterTableStmt", "DropStmt")


def settings(statements: Iterable[Statement]) -> list[Statement]:
    """Of statements that were run before, those that set something for the session."""
    return [
        each
        for each in statements
        if (each.kind == "VariableSetStmt" and not _LOCAL.match(each.text))
        or (each.kind == "SelectStmt" and "set_config" in each.text.lower())
    ]


def is_done(
    connection: psycopg.Connection[Any],
    migration: Migration,
    statement: Statement,
    begun: Mapping[str, Any],
) -> bool:
    """Whether a statement that was begun is finished. If not, nothing of it is left and it may be run again.

    ``begun`` is what ``before`` found. Raises UnfinishedMigrationError where nobody can tell.
    """
    body = _body(statement)
    match statement.kind if body or statement.kind in _REPEATABLE else "":
        case "IndexStmt":
            return _index_is_built(connection, body, set(begun.get("indexes", ())))
        case "ReindexStmt":
            _drop(
                connection, [row for row in connection.execute(_TRANSIENT) if row[0] not in begun["indexes"]]
            )
            return False
        case "DropStmt":
            return _is_dropped(connection, body)
        case "AlterTableStmt":
            return _is_detached(connection, body)
        case kind if kind in _REPEATABLE:
            return False
        case kind if kind in _BY_NAME and begun.get("exists") is not None:
            made = _BY_NAME[kind][3]
            return _exists(connection, kind, body) is made and begun["exists"] is not made
        case _:
            raise _unknown(migration, statement)


def _index_is_built(connection: psycopg.Connection[Any], body: Node, earlier: set[int]) -> bool:
    named = body.get("idxname")
    new = [
        row
        for row in _indexes(connection, body["relation"])
        if row[0] not in earlier and (named is None or row[2] == named)
    ]
    _drop(connection, [row for row in new if not row[3]])
    return any(row[3] for row in new)


def _indexes(connection: psycopg.Connection[Any], relation: Node) -> list[tuple[int, str, str, bool]]:
    table = pgsql.Literal(_identifier(relation).as_string(connection))
    return connection.execute(_ON_TABLE.format(table=table)).fetchall()


def _drop(connection: psycopg.Connection[Any], rows: Iterable[tuple[int, str, str, bool]]) -> None:
    for _, schema, name, _ in rows:
        connection.execute(
            pgsql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(pgsql.Identifier(schema, name))
        )


def _is_dropped(connection: psycopg.Connection[Any], body: Node) -> bool:
    names = [item["String"]["sval"] for item in body["objects"][0]["List"]["items"]]
    return not _is_there(connection, pgsql.Identifier(*names))


def _is_detached(connection: psycopg.Connection[Any], body: Node) -> bool:
    """Finishes a detach that was cut off after its first transaction; the second needs only FINALIZE."""
    command = next(c["AlterTableCmd"]["def"]["PartitionCmd"] for c in body["cmds"])
    parent, child = _identifier(body["relation"]), _identifier(command["name"])
    row = connection.execute(
        pgsql.SQL(
            "SELECT inhdetachpending FROM pg_catalog.pg_inherits"
            " WHERE inhrelid = pg_catalog.to_regclass({}) AND inhparent = pg_catalog.to_regclass({})"
        ).format(pgsql.Literal(child.as_string(connection)), pgsql.Literal(parent.as_string(connection)))
    ).fetchone()
    if row is None:
        return _is_there(connection, child)
    if row[0]:
        connection.execute(pgsql.SQL("ALTER TABLE {} DETACH PARTITION {} FINALIZE").format(parent, child))
        return True
    return False


def _is_there(connection: psycopg.Connection[Any], name: pgsql.Identifier) -> bool:
    row = connection.execute(
        pgsql.SQL("SELECT pg_catalog.to_regclass({}) IS NOT NULL").format(
            pgsql.Literal(name.as_string(connection))
        )
    ).fetchone()
    return bool(row and row[0])


def _exists(connection: psycopg.Connection[Any], kind: str, body: Node) -> bool:
    field, catalog, column, _ = _BY_NAME[kind]
    row = connection.execute(
        pgsql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} = {})").format(
            pgsql.Identifier("pg_catalog", catalog), pgsql.Identifier(column), body[field]
        )
    ).fetchone()
    return bool(row and row[0])


def _identifier(relation: Node) -> pgsql.Identifier:
    schema = relation.get("schemaname")
    return pgsql.Identifier(*([schema] if schema else []), relation["relname"])


def _body(statement: Statement) -> Node:
    trees = statements.parse(statement.text)
    body: Node = trees[0].get(statement.kind, {}) if trees else {}
    return body


def _unknown(migration: Migration, statement: Statement) -> UnfinishedMigrationError:
    again = (
        pgsql.SQL("UPDATE pgslate.ledger SET begun = NULL WHERE version = {}")
        .format(migration.version)
        .as_string()
    )
    return UnfinishedMigrationError(
        f"an earlier run of {migration.shown} was cut off in this statement, which runs outside a"
        " transaction; nobody can tell from here whether it finished",
        place=place_of(migration, statement),
        fix=f"look at what it left. If nothing of it is there, run {again}, then apply again;"
        f" if all of it is there, and it is the file's last, --assume-applied {shlex.quote(migration.shown)}",
        migrations=(migration.version,),
    )
