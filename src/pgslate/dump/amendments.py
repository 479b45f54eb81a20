"""Statements that have to follow a relation's own, where pg_dump's alone would make another relation.

- A column without a default, whose parent's has one. pg_dump writes DEFAULT NULL, which PostgreSQL keeps as
  a default if the type has a length; and it does so only after all tables, so that grandchildren take over
  what their parent doesn't have.
- An identity column's sequence of another type than the column: CREATE TABLE ... (LIKE ... INCLUDING ALL)
  makes one, and ADD GENERATED can't.

Source: ``flagInhAttrs``, ``dumpTableSchema`` and ``dumpSequence`` in src/bin/pg_dump.
"""

from __future__ import annotations

from typing import Any

import psycopg

_AMENDMENTS = """
SELECT c.oid::int8, pg_catalog.format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I DROP DEFAULT;',
    n.nspname, c.relname, a.attname)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped AND NOT a.atthasdef
    AND EXISTS (SELECT FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_attribute p ON p.attrelid = i.inhparent AND p.attname = a.attname
        WHERE i.inhrelid = c.oid AND p.atthasdef AND p.attgenerated = '' AND NOT p.attisdropped)
UNION ALL
SELECT c.oid::int8, pg_catalog.format('ALTER SEQUENCE %I.%I AS %s MINVALUE %s MAXVALUE %s;',
    n.nspname, c.relname, pg_catalog.format_type(s.seqtypid, NULL), s.seqmin, s.seqmax)
FROM pg_catalog.pg_sequence s
JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
    AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.seqtypid <> a.atttypid
ORDER BY 1, 2"""


def amendments(connection: psycopg.Connection[Any]) -> dict[int, str]:
    """By the OID of a relation, the statements that have to follow its own."""
    found: dict[int, str] = {}
    for oid, text in connection.execute(_AMENDMENTS).fetchall():
        found[oid] = f"{found[oid]}\n{text}" if oid in found else text
    return found
