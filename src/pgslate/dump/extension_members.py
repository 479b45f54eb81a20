"""Objects that ALTER EXTENSION gave to an extension, or took from it.

pg_dump writes CREATE EXTENSION alone: of what belongs to it, no word. An extension that is made anew shows
which members are its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgslate.dump.entries import quoted_name
from pgslate.trace.system_catalogs import Object

_ALTERS = re.compile(r"\balter\s+extension\b", re.IGNORECASE)

_EXTENSIONS = """
SELECT e.extname, n.nspname, e.extversion FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql' ORDER BY e.oid"""

# A table's row type, and types of arrays and multiranges, are what their table or type is.
_MEMBERS = """
SELECT e.extname, i.type, i.identity, d.classid::int8, d.objid::int8
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid,
    LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid) i
WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' AND e.extname <> 'plpgsql'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
        WHERE d.classid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objid
            AND (c.relkind <> 'c' OR t.typelem <> 0 AND t.typcategory = 'A' OR t.typtype = 'm'))
ORDER BY d.objid"""


@dataclass(frozen=True, slots=True)
class Membership:
    """How the members differ from the extensions' own.

    ``added`` are objects with the statement that adds each again; ``removed`` are statements by extension.
    """

    added: dict[Object, str]
    removed: dict[str, str]


def is_altered(texts: Iterable[str]) -> bool:
    """Whether some SQL may alter an extension."""
    return any(_ALTERS.search(text) for text in texts)


def take_out(connection: psycopg.Connection[Any], fresh: psycopg.Connection[Any]) -> Membership:
    """Take the members that were added out of their extensions, so that pg_dump writes them.

    Args:
        connection: To the database that is to be dumped, which nobody else needs.
        fresh: To an empty database, in which the same extensions are made; it is left as it was.
    """
    there = {tuple(row[:3]): (row[3], row[4]) for row in connection.execute(_MEMBERS).fetchall()}
    with fresh.transaction(force_rollback=True):
        for name, schema, version in connection.execute(_EXTENSIONS).fetchall():
            inside = sql.Identifier(schema)
            fresh.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(inside))
            make = "CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} VERSION {} CASCADE"
            fresh.execute(sql.SQL(make).format(sql.Identifier(name), inside, sql.Literal(version)))
        own = {tuple(row[:3]) for row in fresh.execute(_MEMBERS).fetchall()}
    added: dict[Object, str] = {}
    removed: dict[str, str] = {}
    for member, obj in there.items():
        if member not in own:
            extension, type_, identity = member
            connection.execute(f"ALTER EXTENSION {quoted_name(extension)} DROP {type_} {identity}".encode())
            added[obj] = f"ALTER EXTENSION {quoted_name(extension)} ADD {type_} {identity};"
    for extension, type_, identity in sorted(own - set(there)):
        out = f"ALTER EXTENSION {quoted_name(extension)} DROP {type_} {identity};\nDROP {type_} {identity};"
        removed[extension] = f"{removed[extension]}\n{out}" if extension in removed else out
    return Membership(added, removed)
