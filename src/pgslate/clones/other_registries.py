"""Other versions' books: what they say is still somebody's is not for this version's reaper.

The book's schema has a number, which changes with its tables. Whatever the number, each version's book has
``clone (name, template, state, runner, until)`` and ``template (name, used)``, and means the same by them:
that is what one version reads of another's. It writes ``done`` to what it is going to drop, as all do.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones.registry import IS_DUE
from pgslate.clones.registry_tables import SCHEMA


def needed_elsewhere(
    connection: psycopg.Connection[Any], *, unused_for: float, kept: bool, force: bool
) -> frozenset[str]:
    """The clones and templates that another version's book, on the same server, says are not due.

    ``connection`` leads to the book's database; the arguments are those of ``reap_in``.
    """
    asked = {"kept": kept, "force": force, "unused_for": unused_for}
    found: set[str] = set()
    for book in _books(connection):
        found.update(row[0] for row in connection.execute(sql.SQL(_NEEDED).format(schema=book), asked))
    return frozenset(found)


def claim(connection: psycopg.Connection[Any], name: str, *, kept: bool, force: bool) -> bool:
    """Make a clone ours to drop, as far as another version's book knows it; False where it is not due there.

    It may have been taken since it was looked at.
    """
    asked = {"name": name, "kept": kept, "force": force}
    for book in _books(connection):
        row = connection.execute(sql.SQL(_CLAIM).format(schema=book), asked).fetchone()
        if row is not None and not row[0]:
            return False
    return True


def _books(connection: psycopg.Connection[Any]) -> list[sql.Identifier]:
    return [sql.Identifier(row[0]) for row in connection.execute(_BOOKS, [SCHEMA])]


_BOOKS = r"""
SELECT n.nspname::text FROM pg_catalog.pg_namespace n
WHERE n.nspname ~ '^pgslate(_\d+)?$' AND n.nspname <> %s AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
    AND (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid
         AND c.relname IN ('clone', 'template')
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT, UPDATE')) = 2"""

# Put together from constants of ours; the schema is quoted by the driver.
_NEEDED = f"""
SELECT unnest(ARRAY[name, template]) FROM {{schema}}.clone WHERE NOT {IS_DUE}
UNION SELECT name FROM {{schema}}.template
WHERE used >= clock_timestamp() - %(unused_for)s * interval '1 second'"""  # noqa: S608

_CLAIM = f"""
WITH claimed AS (UPDATE {{schema}}.clone SET state = 'done' WHERE name = %(name)s AND {IS_DUE} RETURNING name)
SELECT EXISTS (SELECT FROM claimed) FROM {{schema}}.clone WHERE name = %(name)s"""  # noqa: S608
