"""Finds the tables of other migration tools in a database, and what they say of a catalog's migrations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.errors import LedgerError
from pgslate.execution.tool_claim import Claim, claim_of
from pgslate.execution.tool_history import TABLES, tool_of
from pgslate.slices.slice import Slice

# A role that may not read a table learns nothing from it, and isn't stopped by it.
_TABLES: LiteralString = """SELECT n.nspname::text, c.relname::text, pg_catalog.array_agg(a.attname::text)
|| pg_catalog.array_agg(a.attname || ':' || replace(pg_catalog.format_type(a.atttypid, a.atttypmod),
'character varying', 'varchar'))
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') AND c.relname = ANY({}::text[]) AND n.nspname <> 'pgslate'
AND c.relpersistence <> 't' AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
GROUP BY n.nspname, c.relname ORDER BY n.nspname, c.relname"""


@dataclass(frozen=True, slots=True)
class Found:
    """A tool's table in a database, by its qualified name, and what its rows say."""

    tool: str
    table: str
    claim: Claim


def claims(connection: psycopg.Connection[Any], catalog: Catalog) -> tuple[Found, ...]:
    """What each tool's table says that has rows; those that know the catalog's migrations come first."""
    found: list[Found] = []
    for schema, table, columns in connection.execute(sql.SQL(_TABLES).format(list(TABLES))).fetchall():
        tool = tool_of(schema, table, columns)
        if tool is None:
            continue
        query = sql.SQL("SELECT pg_catalog.to_jsonb(t) FROM {} t ORDER BY {}")
        ordered = query.format(sql.Identifier(schema, table), sql.Identifier(tool.order))
        rows = [row for (row,) in connection.execute(ordered)]
        if rows:
            found.append(Found(tool.name, f"{schema}.{table}", claim_of(tool, rows, catalog)))
    return tuple(sorted(found, key=lambda each: not each.claim.migrations))


def migrated_by(connection: psycopg.Connection[Any], catalog: Catalog) -> str:
    """Which tool migrated the database with this catalog, and how far (``Flyway up to 16``), or ""."""
    known = [each.claim.summary for each in claims(connection, catalog) if each.claim.migrations]
    return ", ".join(known)


def refuse_others(connection: psycopg.Connection[Any], slice_: Slice) -> None:
    """Raise LedgerError where another tool has applied migrations of the catalog.

    Where none of the slice's tables is there, that tool's table is of another catalog that counts alike.
    """
    said = migrated_by(connection, slice_.catalog)
    tables = [name for kind, name in slice_.required_names if kind == "table"]
    there = sql.SQL(
        "SELECT pg_catalog.bool_or(pg_catalog.to_regclass(n) IS NOT NULL)"
        " FROM pg_catalog.unnest({}::text[]) n"
    )
    if not said or (tables and not connection.execute(there.format(tables)).fetchall()[0][0]):
        return
    raise LedgerError(
        f"the database was migrated by {said}, and pgslate's ledger is empty",
        fix="let pgslate take over what was applied: pgslate adopt",
    )
