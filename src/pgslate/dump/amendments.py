"""Statements that have to follow a relation's own, where pg_dump's alone would make another relation.

- A column without a default, whose parent's has one. pg_dump writes DEFAULT NULL, which PostgreSQL keeps as
  a default if the type has a length; and it does so only after all tables, so that grandchildren take over
  what their parent doesn't have.
- A parent's column that came after a child's own ones. A child that is made anew has its parent's columns
  first, so the parent's column is dropped and added again, to be the last. So are the child's own columns
  that came after it.
- An identity column's sequence of another type than the column: CREATE TABLE ... (LIKE ... INCLUDING ALL)
  makes one, and ADD GENERATED can't.

Source: ``flagInhAttrs``, ``dumpTableSchema`` and ``dumpSequence`` in src/bin/pg_dump.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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

# Columns that a child has from a parent behind a column of its own, with the parent that they are of; and the
# child's own columns behind these.
_LATE_COLUMNS = """
WITH RECURSIVE above AS (
    SELECT inhrelid AS child, inhparent AS parent FROM pg_catalog.pg_inherits
    UNION SELECT a.child, i.inhparent FROM above a JOIN pg_catalog.pg_inherits i ON i.inhrelid = a.parent),
own AS (
    SELECT attrelid, attnum, attname FROM pg_catalog.pg_attribute
    WHERE attnum > 0 AND NOT attisdropped AND attislocal AND attinhcount = 0 AND attidentity = ''),
inherited AS (
    SELECT c.oid AS child, b.attnum AS place, x.attrelid AS owner, x.attnum AS number
    FROM pg_catalog.pg_class c
    JOIN above ON above.child = c.oid
    JOIN own x ON x.attrelid = above.parent
    JOIN pg_catalog.pg_attribute b ON b.attrelid = c.oid AND b.attname = x.attname AND NOT b.attislocal
    WHERE NOT c.relispartition AND c.relkind = 'r' AND EXISTS (SELECT FROM pg_catalog.pg_attribute l
        WHERE l.attrelid = c.oid AND l.attnum > 0 AND l.attnum < b.attnum AND NOT l.attisdropped
            AND l.attislocal AND l.attinhcount = 0)),
late AS (
    SELECT * FROM inherited
    UNION ALL SELECT o.attrelid, o.attnum, o.attrelid, o.attnum FROM own o
    WHERE o.attnum > (SELECT min(i.place) FROM inherited i WHERE i.child = o.attrelid))
SELECT late.child::int8,
    pg_catalog.format('ALTER TABLE %I.%I DROP COLUMN %I;', n.nspname, p.relname, x.attname),
    pg_catalog.format('ALTER TABLE %I.%I ADD COLUMN %I %s', n.nspname, p.relname, x.attname,
        pg_catalog.format_type(x.atttypid, x.atttypmod))
    || CASE WHEN x.attcollation <> t.typcollation THEN (SELECT pg_catalog.format(' COLLATE %I.%I',
        kn.nspname, k.collname) FROM pg_catalog.pg_collation k
        JOIN pg_catalog.pg_namespace kn ON kn.oid = k.collnamespace WHERE k.oid = x.attcollation) ELSE '' END
    || CASE x.attgenerated WHEN 's' THEN pg_catalog.format(' GENERATED ALWAYS AS (%s) STORED', e.value)
        WHEN 'v' THEN pg_catalog.format(' GENERATED ALWAYS AS (%s) VIRTUAL', e.value)
        ELSE COALESCE(' DEFAULT ' || e.value, '') END
    || CASE WHEN x.attnotnull THEN ' NOT NULL' ELSE '' END || ';'
FROM late
JOIN pg_catalog.pg_class p ON p.oid = late.owner
JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
JOIN pg_catalog.pg_attribute x ON x.attrelid = late.owner AND x.attnum = late.number
JOIN pg_catalog.pg_type t ON t.oid = x.atttypid
LEFT JOIN LATERAL (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS value
    FROM pg_catalog.pg_attrdef d WHERE d.adrelid = x.attrelid AND d.adnum = x.attnum) e ON true
ORDER BY late.child, late.place"""

# Children whose columns are all their own, too, for ALTER TABLE made them inherit; where a column that no
# parent has comes before one that a parent has.
_ATTACHED = """
SELECT c.oid::int8,
    pg_catalog.string_agg(pg_catalog.format('%I.%I', n.nspname, p.relname), ', ' ORDER BY i.inhseqno),
    (SELECT pg_catalog.string_agg(pg_catalog.format('ALTER TABLE ONLY %I.%I ALTER COLUMN %I SET NOT NULL;',
            m.nspname, c.relname, a.attname), pg_catalog.chr(10)) FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attnotnull AND a.attinhcount > 0),
    pg_catalog.string_agg(pg_catalog.format('ALTER TABLE %I.%I INHERIT %I.%I;', m.nspname, c.relname,
        n.nspname, p.relname), pg_catalog.chr(10) ORDER BY i.inhseqno)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace
JOIN pg_catalog.pg_inherits i ON i.inhrelid = c.oid
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace n ON n.oid = p.relnamespace
WHERE NOT c.relispartition AND c.relkind = 'r'
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
        AND NOT a.attisdropped AND (NOT a.attislocal OR a.attinhcount > 0 AND a.attgenerated <> ''))
    AND EXISTS (SELECT FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_attribute l ON l.attrelid = c.oid AND l.attnum > 0 AND l.attnum < a.attnum
        WHERE a.attrelid = c.oid AND a.attinhcount > 0 AND l.attinhcount = 0 AND NOT l.attisdropped)
GROUP BY c.oid, c.relname, m.nspname"""


@dataclass(frozen=True)
class Amendments:
    """By the OID of a relation: the statements that have to follow its own, and its clause INHERITS.

    ``inherits`` has only children whose clause is to become statements that follow.
    """

    statements: Mapping[int, str]
    inherits: Mapping[int, str]

    def of(self, oid: int, create: str) -> str:
        """The SQL of a relation, amended; ``create`` is pg_dump's."""
        clause = self.inherits.get(oid, "")
        before, found, after = create.rpartition(clause) if clause else ("", "", "")
        return "\n".join(filter(None, (before + after if found else create, self.statements.get(oid, ""))))


def amendments(connection: psycopg.Connection[Any]) -> Amendments:
    """What has to be amended in the database of ``connection``."""
    found: dict[int, list[str]] = {}
    inherits: dict[int, str] = {}
    with connection.transaction():
        connection.execute("SET LOCAL search_path = ''")
        for oid, parents, not_null, inherit in connection.execute(_ATTACHED).fetchall():
            inherits[oid] = f"\nINHERITS ({parents})"
            found[oid] = [*filter(None, (not_null, inherit))]
        for oid, drop, add in connection.execute(_LATE_COLUMNS).fetchall():
            found.setdefault(oid, []).extend((drop, add))
        for oid, text in connection.execute(_AMENDMENTS).fetchall():
            found.setdefault(oid, []).append(text)
    return Amendments({oid: "\n".join(texts) for oid, texts in found.items()}, inherits)
