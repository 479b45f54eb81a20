"""The catalog queries that read a schema: one for each kind of object, all sent in one message.

Every query returns ``kind, name, owner_kind, owner_name`` and then one column for each attribute, null (or
false, or empty) where the object has PostgreSQL's default. Columns that not every major has are reached
through ``to_jsonb(row) ->> 'column'``, which is null where there is no such column.

``{rel}``, ``{visible}`` and ``{named_...}`` stand for the fragments of ``read.py`` that select what was asked
for; no query has another brace.
"""

# ruff: noqa: E501, S608
# SQL is laid out as SQL; what is joined into it are constants of this package, never input.

from __future__ import annotations


def acl(stored: str, default: str, owner: str) -> str:
    """The owner, the ACL, "|" and the ACL it departs from, as text[]; null where nothing was ever granted.

    ``default`` is the letter that acldefault() knows the kind by, or another aclitem[].
    """
    plain = f"acldefault('{default}', {owner})" if len(default) == 1 else default
    return (
        f"CASE WHEN {stored} IS NOT NULL THEN "
        f"pg_get_userbyid({owner})::text || {stored}::text[] || '|'::text || ({plain})::text[] END"
    )


def role(oid: str) -> str:
    """The name of a role, or null where it is the one that reads."""
    return f"NULLIF(pg_get_userbyid({oid}), current_user)"


def given(options: str) -> str:
    """Of an array of ``name=value``, what statements gave; null where they gave nothing.

    What the server keeps there for itself is left out: its names begin with ``pg_``. (Debian's 15.20 writes
    pg_attver=N into the options of each new column, another N each time, and no statement can change it.)
    """
    return f"NULLIF(ARRAY(SELECT o FROM unnest({options}) o WHERE o !~ '^pg_[^.=]*='), '{{{{}}}}')"


COLUMN_OPTIONS = (
    "NULLIF(ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o ~ '^n_distinct(_inherited)?='), '{{}}')"
)
"""The options of a column that ALTER TABLE can set: any other is the server's own."""


def extension_member(catalog: str, oid: str) -> str:
    return (
        f"EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.classid = 'pg_catalog.{catalog}'::regclass "
        f"AND e.objid = {oid} AND e.deptype = 'e')"
    )


RELATION_KIND = """CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
    WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'
    ELSE 'table' END"""

TYPE_OF_EXTENSION = extension_member("pg_type", "t.oid")

CHOOSE_RELATIONS = f"""SELECT set_config('pgslate.relations', coalesce(array_agg(c.oid), ARRAY[]::oid[])::text, true)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND {{visible}} AND {{named_relation}}
    AND NOT {extension_member("pg_class", "c.oid")}"""
"""What was asked for of the relations that have columns, kept in a setting until the message ends."""

REL = f"""WITH rel AS MATERIALIZED (
    SELECT c.*, {RELATION_KIND} AS kind, c.oid::regclass::text AS name
    FROM unnest(current_setting('pgslate.relations')::oid[]) AS chosen (oid)
    JOIN pg_class c ON c.oid = chosen.oid
)"""
"""Those relations; with an empty search_path the text of a regclass is qualified."""

RELATIONS = f"""{{rel}}
SELECT rel.kind, rel.name, rel.kind AS owner_kind, rel.name AS owner_name,
    {role("rel.relowner")} AS owner,
    CASE WHEN rel.relkind <> 'v' THEN ARRAY(
        SELECT quote_ident(a.attname) FROM pg_attribute a
        WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
    ELSE ARRAY(
        SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
        WHERE a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END AS columns,
    CASE WHEN rel.relkind IN ('v', 'm') THEN pg_get_viewdef(rel.oid) END AS definition,
    rel.relkind = 'm' AND NOT rel.relispopulated AS unpopulated,
    CASE rel.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
    CASE WHEN rel.relkind = 'p' THEN pg_get_partkeydef(rel.oid) END AS partition_key,
    CASE WHEN rel.relispartition THEN parents.names[1] END AS partition_of,
    CASE WHEN rel.relispartition THEN pg_get_expr(rel.relpartbound, rel.oid) END AS bound,
    CASE WHEN rel.relispartition THEN parents.detaching END AS detaching,
    CASE WHEN NOT rel.relispartition THEN parents.names END AS inherits,
    CASE WHEN rel.reloftype <> 0 THEN format_type(rel.reloftype, NULL) END AS of_type,
    rel.relrowsecurity AS row_security,
    rel.relforcerowsecurity AS force_row_security,
    CASE WHEN rel.relkind IN ('r', 'p') THEN CASE rel.relreplident WHEN 'n' THEN 'nothing' WHEN 'f' THEN 'full' WHEN 'i' THEN 'index' END END
        AS replica_identity,
    {
    given(
        "rel.reloptions || ARRAY(SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o"
        " WHERE t.oid = rel.reltoastrelid AND o !~ '^pg_')"
    )
} AS options,
    (SELECT NULLIF(amname, 'heap') FROM pg_am WHERE pg_am.oid = rel.relam) AS access_method,
    CASE WHEN rel.reltablespace <> 0 THEN
        (SELECT spcname FROM pg_tablespace t WHERE t.oid = rel.reltablespace) END AS tablespace,
    (SELECT srvname FROM pg_foreign_server s WHERE s.oid = f.ftserver) AS server,
    f.ftoptions AS server_options,
    {acl("rel.relacl", "r", "rel.relowner")} AS acl
FROM rel LEFT JOIN pg_foreign_table f ON f.ftrelid = rel.oid LEFT JOIN LATERAL (
    SELECT array_agg(i.inhparent::regclass::text ORDER BY i.inhseqno) AS names,
           bool_or(i.inhdetachpending) AS detaching
    FROM pg_inherits i WHERE i.inhrelid = rel.oid) parents ON true
"""

# The name that PostgreSQL gives to a NOT NULL by itself (makeObjectName): 53 bytes are left for both names, and
# of the longer one more is cut. What it cuts of characters of several bytes is not looked at: any name is its own.
_OWN_NAME = """CASE
    WHEN octet_length(rel.relname || a.attname) <= 53 THEN rel.relname || '_' || a.attname || '_not_null'
    WHEN octet_length(rel.relname || a.attname) > length(rel.relname || a.attname) THEN k.conname
    WHEN length(a.attname) <= 26 THEN left(rel.relname, 53 - length(a.attname)) || '_' || a.attname || '_not_null'
    WHEN length(rel.relname) <= 27 THEN rel.relname || '_' || left(a.attname, 53 - length(rel.relname)) || '_not_null'
    ELSE left(rel.relname, 27) || '_' || left(a.attname, 26) || '_not_null' END"""

COLUMNS = f"""{{rel}}
SELECT rel.kind || ' column' AS kind, rel.name || '.' || quote_ident(a.attname) AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    format_type(a.atttypid, a.atttypmod) AS type,
    CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END AS collation,
    a.attnotnull AS not_null,
    CASE WHEN k.connoinherit OR NOT k.convalidated OR (k.conislocal AND k.conname <> {_OWN_NAME})
        THEN quote_ident(k.conname) || CASE WHEN k.connoinherit THEN ' NO INHERIT' ELSE '' END
             || CASE WHEN k.convalidated THEN '' ELSE ' NOT VALID' END END AS not_null_constraint,
    CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END AS default,
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS generated,
    a.attgenerated = 'v' AS virtual,
    CASE a.attidentity WHEN 'a' THEN 'always' WHEN 'd' THEN 'by default' END AS identity,
    CASE WHEN a.attstorage <> t.typstorage AND rel.relkind NOT IN ('v', 'm') THEN
        CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main'
                          ELSE 'extended' END END AS storage,
    CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
    NULLIF(a.attstattarget, -1)::text AS statistics,
    {COLUMN_OPTIONS} AS options,
    a.attfdwoptions AS server_options,
    a.attinhcount > 0 AS inherited,
    a.attinhcount > 0 AND a.attislocal AS local,
    {acl("a.attacl", "c", "rel.relowner")} AS acl
FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_constraint k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey[1] = a.attnum
WHERE rel.relkind IN ('r', 'p', 'f') OR a.attacl IS NOT NULL OR a.atthasdef OR {COLUMN_OPTIONS} IS NOT NULL
    OR NULLIF(a.attstattarget, -1) IS NOT NULL
"""

CONSTRAINTS = """{rel}
SELECT 'table constraint' AS kind, quote_ident(k.conname) || ' on ' || rel.name AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    pg_get_constraintdef(k.oid) AS definition,
    NOT k.convalidated AS not_valid,
    k.coninhcount > 0 AS inherited,
    k.coninhcount > 0 AND k.conislocal AS local,
    k.contype = 'f' AND EXISTS (SELECT FROM pg_trigger t WHERE t.tgconstraint = k.oid AND t.tgenabled = 'D') AS disabled
FROM rel JOIN pg_constraint k ON k.conrelid = rel.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')
LEFT JOIN pg_constraint whole ON whole.oid = k.conparentid
WHERE whole.oid IS NULL OR whole.conrelid <> k.conrelid
"""

INDEXES = """{rel}
SELECT 'index' AS kind, i.indexrelid::regclass::text AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    pg_get_indexdef(i.indexrelid) AS definition,
    quote_ident(k.conname) AS constraint,
    NOT i.indisvalid AS invalid,
    NOT (i.indisready AND i.indislive) AS not_ready,
    i.indisreplident AS replica_identity,
    i.indisclustered AS clustered,
    CASE WHEN c.relispartition THEN
        (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) END AS partition_of,
    CASE WHEN c.reltablespace <> 0 THEN
        (SELECT spcname FROM pg_tablespace t WHERE t.oid = c.reltablespace) END AS tablespace,
    (SELECT array_agg(a.attnum || '=' || a.attstattarget ORDER BY a.attnum) FROM pg_attribute a
     WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) AS statistics
FROM rel JOIN pg_index i ON i.indrelid = rel.oid JOIN pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conrelid = i.indrelid AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
"""

TRIGGERS = """{rel}
SELECT 'trigger' AS kind, quote_ident(t.tgname) || ' on ' || rel.name AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    pg_get_triggerdef(t.oid) AS definition,
    CASE t.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END AS enabled,
    t.tgparentid <> 0 AS inherited
FROM rel JOIN pg_trigger t ON t.tgrelid = rel.oid
LEFT JOIN pg_trigger p ON p.oid = t.tgparentid
WHERE NOT t.tgisinternal OR (t.tgparentid <> 0 AND t.tgconstraint = 0 AND NOT p.tgisinternal)
UNION ALL
SELECT 'rule', quote_ident(r.rulename) || ' on ' || rel.name, rel.kind, rel.name,
    pg_get_ruledef(r.oid),
    CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'replica' WHEN 'A' THEN 'always' END, false
FROM rel JOIN pg_rewrite r ON r.ev_class = rel.oid AND r.rulename <> '_RETURN'
"""

POLICIES = """{rel}
SELECT 'policy' AS kind, quote_ident(p.polname) || ' on ' || rel.name AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
                  END AS command,
    NOT p.polpermissive AS restrictive,
    ARRAY(SELECT quote_ident(pg_get_userbyid(r)) FROM unnest(p.polroles) r WHERE r <> 0 ORDER BY 1) AS roles,
    pg_get_expr(p.polqual, p.polrelid) AS using,
    pg_get_expr(p.polwithcheck, p.polrelid) AS check
FROM rel JOIN pg_policy p ON p.polrelid = rel.oid
"""

STATISTICS = f"""{{rel}}
SELECT 'statistics object' AS kind, s.stxnamespace::regnamespace || '.' || quote_ident(s.stxname) AS name,
    rel.kind AS owner_kind, rel.name AS owner_name,
    {role("s.stxowner")} AS owner,
    pg_get_statisticsobjdef(s.oid) AS definition,
    NULLIF(to_jsonb(s) ->> 'stxstattarget', '-1') AS statistics
FROM rel JOIN pg_statistic_ext s ON s.stxrelid = rel.oid
"""

SEQUENCES = f"""{{rel}}
SELECT 'sequence' AS kind, quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name,
    coalesce(w.type, 'sequence') AS owner_kind,
    coalesce(w.identity, quote_ident(n.nspname) || '.' || quote_ident(c.relname)) AS owner_name,
    CASE WHEN d.objid IS NULL THEN {role("c.relowner")} END AS owner,
    CASE WHEN d.objid IS NOT NULL THEN
        (pg_identify_object('pg_class'::regclass, d.refobjid, d.refobjsubid)).identity END AS owned_by,
    d.deptype = 'i' AS identity,
    NULLIF(format_type(s.seqtypid, NULL), 'bigint') AS type,
    NULLIF(s.seqstart, CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END)::text AS start,
    NULLIF(s.seqincrement, 1)::text AS increment,
    NULLIF(s.seqmin, CASE WHEN s.seqincrement > 0 THEN 1 ELSE edge.lowest END)::text AS minimum,
    NULLIF(s.seqmax, CASE WHEN s.seqincrement > 0 THEN edge.highest ELSE -1 END)::text AS maximum,
    NULLIF(s.seqcache, 1)::text AS cache,
    s.seqcycle AS cycle,
    CASE c.relpersistence WHEN 'u' THEN 'unlogged' WHEN 't' THEN 'temporary' END AS persistence,
    {acl("c.relacl", "s", "c.relowner")} AS acl
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN LATERAL (SELECT CASE s.seqtypid WHEN 21 THEN 32767 WHEN 23 THEN 2147483647 ELSE 9223372036854775807 END,
                     CASE s.seqtypid WHEN 21 THEN -32768 WHEN 23 THEN -2147483648 ELSE -9223372036854775808 END
             ) edge(highest, lowest) ON true
LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
LEFT JOIN LATERAL pg_identify_object('pg_class'::regclass, d.refobjid, 0) w ON d.objid IS NOT NULL
LEFT JOIN rel ON rel.oid = d.refobjid
WHERE {{visible}} AND NOT {extension_member("pg_class", "c.oid")}
    AND (rel.oid IS NOT NULL OR {{named_sequence}})
"""

FUNCTIONS = f"""
SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS kind,
    o.identity AS name,
    CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END AS owner_kind,
    o.identity AS owner_name,
    {role("p.proowner")} AS owner,
    pg_get_function_arguments(p.oid) AS arguments,
    pg_get_function_result(p.oid) AS result,
    l.lanname AS language,
    CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END AS volatility,
    CASE p.proparallel WHEN 's' THEN 'safe' WHEN 'r' THEN 'restricted' END AS parallel,
    p.proisstrict AS strict,
    p.proleakproof AS leakproof,
    p.prosecdef AS security_definer,
    p.prokind = 'w' AS window,
    NULLIF(p.procost, CASE WHEN l.lanname IN ('internal', 'c') THEN 1 ELSE 100 END)::text AS cost,
    NULLIF(p.prorows, CASE WHEN p.proretset THEN 1000 ELSE 0 END)::text AS rows,
    NULLIF(p.prosupport::oid, 0)::regproc::text AS support,
    p.protrftypes::regtype[]::text[] AS transforms,
    {given("p.proconfig")} AS settings,
    CASE WHEN p.prokind <> 'a' THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END AS body,
    p.probin AS library,
    CASE WHEN p.prokind = 'a' THEN ARRAY(
        SELECT key || '=' || value FROM jsonb_each_text(jsonb_strip_nulls(to_jsonb(a) - 'aggfnoid'
            || jsonb_build_object('aggtranstype', format_type(a.aggtranstype, NULL),
                                  'aggmtranstype', NULLIF(format_type(a.aggmtranstype, NULL), '-'),
                                  'aggsortop', NULLIF(a.aggsortop::regoper::text, '0')))) ORDER BY 1) END
        AS aggregate,
    {acl("p.proacl", "f", "p.proowner")} AS acl
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
JOIN LATERAL pg_identify_object('pg_proc'::regclass, p.oid, 0) o ON true
LEFT JOIN pg_aggregate a ON a.aggfnoid = p.oid
WHERE {{visible}} AND p.oid >= 16384 AND NOT {extension_member("pg_proc", "p.oid")}
    AND NOT EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_proc'::regclass AND x.objid = p.oid
                    AND x.deptype = 'i')
    AND {{named_function}}
"""

TYPES = f"""
SELECT 'type' AS kind, quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name,
    'type' AS owner_kind, quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS owner_name,
    {role("t.typowner")} AS owner,
    CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' WHEN 'c' THEN 'composite'
        WHEN 'p' THEN 'shell' ELSE 'base' END AS form,
    CASE WHEN t.typtype = 'e' THEN ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
                                         ORDER BY e.enumsortorder) END AS labels,
    CASE WHEN t.typtype = 'c' THEN ARRAY(
        SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attcollation <> y.typcollation THEN ' COLLATE ' || a.attcollation::regcollation
                    ELSE '' END
        FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END AS fields,
    CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS base,
    t.typnotnull AS not_null,
    t.typdefault AS default,
    CASE WHEN t.typtype = 'd' AND t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END
        AS collation,
    CASE WHEN t.typtype = 'r' THEN ARRAY[
        'subtype=' || format_type(r.rngsubtype, NULL),
        'opclass=' || (pg_identify_object('pg_opclass'::regclass, r.rngsubopc, 0)).identity,
        'collation=' || coalesce(NULLIF(r.rngcollation, 0)::regcollation::text, ''),
        'canonical=' || r.rngcanonical::regproc, 'diff=' || r.rngsubdiff::regproc,
        'multirange=' || format_type(r.rngmultitypid, NULL)] END AS range,
    CASE WHEN t.typtype = 'b' THEN ARRAY[
        'input=' || t.typinput::regproc, 'output=' || t.typoutput::regproc, 'length=' || t.typlen,
        'byvalue=' || t.typbyval, 'align=' || t.typalign::text, 'storage=' || t.typstorage::text,
        'category=' || t.typcategory::text, 'preferred=' || t.typispreferred, 'delimiter=' || t.typdelim::text,
        'element=' || coalesce(format_type(NULLIF(t.typelem, 0), NULL), ''),
        'receive=' || t.typreceive::regproc, 'send=' || t.typsend::regproc,
        'modin=' || t.typmodin::regproc, 'modout=' || t.typmodout::regproc] END AS base_type,
    {acl("t.typacl", "T", "t.typowner")} AS acl
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_range r ON r.rngtypid = t.oid
WHERE {{visible}} AND t.oid >= 16384 AND (c.oid IS NULL OR c.relkind = 'c') AND t.typtype <> 'm'
    AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)
    AND NOT {TYPE_OF_EXTENSION} AND {{named_type}}
"""

DOMAIN_CONSTRAINTS = f"""
SELECT 'domain constraint' AS kind,
    quote_ident(k.conname) || ' on ' || quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS name,
    'type' AS owner_kind, quote_ident(n.nspname) || '.' || quote_ident(t.typname) AS owner_name,
    pg_get_constraintdef(k.oid) AS definition, NOT k.convalidated AS not_valid
FROM pg_constraint k JOIN pg_type t ON t.oid = k.contypid AND k.contype = 'c'
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {{visible}} AND NOT {TYPE_OF_EXTENSION} AND {{named_type}}
"""
