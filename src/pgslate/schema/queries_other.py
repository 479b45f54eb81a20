"""The catalog queries for what is neither a relation, a function nor a type, and for comments and labels.

Operators, casts, text search objects, foreign servers, publications, extensions and the like are rare and
small, so one query reads them all: ``kind, name, owner_kind, owner_name, owner, attributes (jsonb), acl``.
"""

# ruff: noqa: E501, S608
# SQL is laid out as SQL; what is joined into it are constants of this package, never input.

from __future__ import annotations

from .queries import acl, role

PUBLIC_ACL = acl(
    "n.nspacl",
    """CASE WHEN current_setting('server_version_num')::int >= 150000
            THEN ARRAY[makeaclitem(n.nspowner, n.nspowner, 'USAGE', false),
                       makeaclitem(n.nspowner, n.nspowner, 'CREATE', false),
                       makeaclitem(0, n.nspowner, 'USAGE', false)]
            ELSE ARRAY[makeaclitem(n.nspowner, n.nspowner, 'USAGE', false),
                       makeaclitem(n.nspowner, n.nspowner, 'CREATE', false),
                       makeaclitem(0, n.nspowner, 'USAGE', false),
                       makeaclitem(0, n.nspowner, 'CREATE', false)] END""",
    "n.nspowner",
)
"""The schema public against what initdb gives it: since 15 without CREATE for everybody."""

DEFAULT_ACL = acl(
    "d.defaclacl",
    """CASE WHEN d.defaclnamespace = 0
            THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)
            ELSE acldefault('c', d.defaclrole) END""",
    "d.defaclrole",
)
"""Default privileges: those of one schema add to the global ones, which replace PostgreSQL's own."""

OTHERS = f"""
SELECT * FROM (
    SELECT o.type AS kind, o.identity AS name, o.type AS owner_kind, o.identity AS owner_name,
        x.owner, x.attributes, x.acl
    FROM (
        SELECT 'pg_namespace'::regclass AS classid, n.oid,
            CASE WHEN n.nspname <> 'public' THEN {role("n.nspowner")} END AS owner, jsonb_build_object() AS attributes,
            CASE WHEN n.nspname = 'public' THEN {PUBLIC_ACL} ELSE {acl("n.nspacl", "n", "n.nspowner")} END AS acl
        FROM pg_namespace n WHERE {{visible}}
      UNION ALL
        SELECT 'pg_extension'::regclass, e.oid, NULL,
            jsonb_build_object('schema', e.extnamespace::regnamespace::text, 'version', e.extversion), NULL
        FROM pg_extension e WHERE e.oid >= 16384
      UNION ALL
        SELECT 'pg_collation'::regclass, o.oid, {role("o.collowner")}, jsonb_strip_nulls(jsonb_build_object(
            'provider', o.collprovider::text, 'locale', coalesce(to_jsonb(o) ->> 'colllocale',
                to_jsonb(o) ->> 'colliculocale', to_jsonb(o) ->> 'collcollate'),
            'ctype', to_jsonb(o) ->> 'collctype', 'rules', to_jsonb(o) ->> 'collicurules',
            'nondeterministic', NULLIF(NOT o.collisdeterministic, false))), NULL
        FROM pg_collation o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_operator'::regclass, o.oid, {role("o.oprowner")}, jsonb_strip_nulls(jsonb_build_object(
            'result', format_type(o.oprresult, NULL), 'function', o.oprcode::regprocedure::text,
            'commutator', NULLIF(o.oprcom, 0)::regoperator::text, 'negator', NULLIF(o.oprnegate, 0)::regoperator::text,
            'restrict', NULLIF(o.oprrest::oid, 0)::regproc::text, 'join', NULLIF(o.oprjoin::oid, 0)::regproc::text,
            'hashes', NULLIF(o.oprcanhash, false), 'merges', NULLIF(o.oprcanmerge, false))), NULL
        FROM pg_operator o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_opclass'::regclass, o.oid, {role("o.opcowner")}, jsonb_strip_nulls(jsonb_build_object(
            'type', format_type(o.opcintype, NULL), 'default', NULLIF(o.opcdefault, false),
            'family', (pg_identify_object('pg_opfamily'::regclass, o.opcfamily, 0)).identity,
            'storage', format_type(NULLIF(o.opckeytype, 0), NULL))), NULL
        FROM pg_opclass o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_opfamily'::regclass, o.oid, {role("o.opfowner")}, jsonb_build_object(
            'operators', (SELECT jsonb_agg(a.amopstrategy || ' ' || a.amopopr::regoperator
                          ORDER BY a.amopstrategy, a.amopopr::regoperator::text) FROM pg_amop a WHERE a.amopfamily = o.oid),
            'functions', (SELECT jsonb_agg(a.amprocnum || ' ' || a.amproc::oid::regprocedure
                          ORDER BY a.amprocnum, a.amproc::text) FROM pg_amproc a WHERE a.amprocfamily = o.oid)), NULL
        FROM pg_opfamily o WHERE o.oid >= 16384
            AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_opfamily'::regclass AND e.objid = o.oid
                            AND e.deptype = 'e')
      UNION ALL
        SELECT 'pg_cast'::regclass, k.oid, NULL, jsonb_strip_nulls(jsonb_build_object(
            'function', NULLIF(k.castfunc, 0)::regprocedure::text, 'method', k.castmethod::text,
            'context', k.castcontext::text)), NULL
        FROM pg_cast k WHERE k.oid >= 16384
      UNION ALL
        SELECT 'pg_conversion'::regclass, o.oid, {role("o.conowner")}, jsonb_build_object(
            'from', pg_encoding_to_char(o.conforencoding), 'to', pg_encoding_to_char(o.contoencoding),
            'function', o.conproc::text, 'default', o.condefault), NULL
        FROM pg_conversion o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_ts_dict'::regclass, o.oid, {role("o.dictowner")}, jsonb_strip_nulls(jsonb_build_object(
            'template', (pg_identify_object('pg_ts_template'::regclass, o.dicttemplate, 0)).identity,
            'options', o.dictinitoption)), NULL
        FROM pg_ts_dict o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_ts_config'::regclass, o.oid, {role("o.cfgowner")}, jsonb_build_object(
            'parser', (pg_identify_object('pg_ts_parser'::regclass, o.cfgparser, 0)).identity,
            'mappings', (SELECT jsonb_agg(m.maptokentype || ' ' || m.mapdict::regdictionary
                         ORDER BY m.maptokentype, m.mapseqno) FROM pg_ts_config_map m WHERE m.mapcfg = o.oid)), NULL
        FROM pg_ts_config o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_ts_template'::regclass, o.oid, NULL, jsonb_build_object(
            'init', o.tmplinit::text, 'lexize', o.tmpllexize::text), NULL
        FROM pg_ts_template o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_ts_parser'::regclass, o.oid, NULL, jsonb_build_object(
            'start', o.prsstart::text, 'token', o.prstoken::text, 'end', o.prsend::text), NULL
        FROM pg_ts_parser o WHERE o.oid >= 16384
      UNION ALL
        SELECT 'pg_language'::regclass, l.oid, {role("l.lanowner")}, jsonb_build_object(
            'trusted', l.lanpltrusted, 'handler', l.lanplcallfoid::regproc::text), {acl("l.lanacl", "l", "l.lanowner")}
        FROM pg_language l WHERE l.oid >= 16384
      UNION ALL
        SELECT 'pg_transform'::regclass, t.oid, NULL, jsonb_build_object(
            'from', t.trffromsql::text, 'to', t.trftosql::text), NULL
        FROM pg_transform t WHERE t.oid >= 16384
      UNION ALL
        SELECT 'pg_am'::regclass, m.oid, NULL, jsonb_build_object(
            'handler', m.amhandler::text, 'type', m.amtype::text), NULL
        FROM pg_am m WHERE m.oid >= 16384
      UNION ALL
        SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, {role("w.fdwowner")}, jsonb_strip_nulls(
            jsonb_build_object('handler', NULLIF(w.fdwhandler, 0)::regproc::text,
                'validator', NULLIF(w.fdwvalidator, 0)::regproc::text, 'options', w.fdwoptions)),
            {acl("w.fdwacl", "F", "w.fdwowner")}
        FROM pg_foreign_data_wrapper w WHERE w.oid >= 16384
      UNION ALL
        SELECT 'pg_foreign_server'::regclass, s.oid, {role("s.srvowner")}, jsonb_strip_nulls(jsonb_build_object(
            'wrapper', (SELECT w.fdwname FROM pg_foreign_data_wrapper w WHERE w.oid = s.srvfdw),
            'type', s.srvtype, 'version', s.srvversion, 'options', s.srvoptions)),
            {acl("s.srvacl", "S", "s.srvowner")}
        FROM pg_foreign_server s WHERE s.oid >= 16384
      UNION ALL
        SELECT 'pg_user_mapping'::regclass, u.umid, NULL, jsonb_build_object('options', (
            SELECT jsonb_agg(CASE WHEN x ~* '^[^=]*(pass|secret|token|key)' THEN split_part(x, '=', 1) ELSE x END ORDER BY x)
            FROM unnest(u.umoptions) x)), NULL
        FROM pg_user_mappings u
      UNION ALL
        SELECT 'pg_event_trigger'::regclass, e.oid, {role("e.evtowner")}, jsonb_strip_nulls(jsonb_build_object(
            'event', e.evtevent, 'tags', e.evttags, 'function', e.evtfoid::regprocedure::text,
            'enabled', NULLIF(e.evtenabled::text, 'O'))), NULL
        FROM pg_event_trigger e
        WHERE ((pg_identify_object('pg_proc'::regclass, e.evtfoid, 0)).schema <> ALL ({{excluded}}::text[]))
      UNION ALL
        SELECT 'pg_publication'::regclass, b.oid, {role("b.pubowner")}, jsonb_strip_nulls(jsonb_build_object(
            'all_tables', NULLIF(b.puballtables, false), 'via_root', NULLIF(b.pubviaroot, false),
            'publish', concat_ws(', ', CASE WHEN b.pubinsert THEN 'insert' END, CASE WHEN b.pubupdate THEN 'update' END,
                CASE WHEN b.pubdelete THEN 'delete' END, CASE WHEN b.pubtruncate THEN 'truncate' END),
            'generated', NULLIF(to_jsonb(b) ->> 'pubgencols', 'n'),
            {{published}})), NULL
        FROM pg_publication b
      UNION ALL
        SELECT 'pg_default_acl'::regclass, d.oid, NULL, jsonb_build_object(), {DEFAULT_ACL}
        FROM pg_default_acl d
    ) x
    JOIN LATERAL pg_identify_object(x.classid, x.oid, 0) o ON true
    WHERE (o.schema IS NULL OR (o.schema !~ '^pg_' AND o.schema <> 'information_schema'
                                AND o.schema <> ALL ({{excluded}}::text[])))
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = x.classid AND e.objid = x.oid AND e.deptype = 'e')
) found WHERE {{named_other}}
"""

PUBLISHED_FROM_15 = """'tables', (
                SELECT jsonb_agg(t.prrelid::regclass
                    || coalesce('(' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
                                        FROM pg_attribute a WHERE a.attrelid = t.prrelid
                                        AND a.attnum = ANY (t.prattrs)) || ')', '')
                    || coalesce(' WHERE ' || pg_get_expr(t.prqual, t.prrelid), '') ORDER BY t.prrelid::regclass::text)
                FROM pg_publication_rel t WHERE t.prpubid = b.oid),
            'schemas', (SELECT jsonb_agg(s.pnnspid::regnamespace::text ORDER BY s.pnnspid::regnamespace::text)
                FROM pg_publication_namespace s WHERE s.pnpubid = b.oid)"""

PUBLISHED_BEFORE_15 = """'tables', (SELECT jsonb_agg(t.prrelid::regclass::text ORDER BY t.prrelid::regclass::text)
                FROM pg_publication_rel t WHERE t.prpubid = b.oid)"""

COMMENTS = """
SELECT o.type AS kind, o.identity AS name, CASE WHEN d.objsubid > 0 THEN w.type END AS owner_kind,
    CASE WHEN d.objsubid > 0 THEN w.identity END AS owner_name, d.attribute, d.said
FROM (
    SELECT coalesce(k.conrelid, objoid) AS objoid,
        CASE WHEN k.oid IS NULL THEN classoid ELSE 'pg_class'::regclass END AS classoid,
        coalesce(k.conkey[1], objsubid) AS objsubid,
        CASE WHEN k.oid IS NULL THEN 'comment' ELSE 'not_null_comment' END AS attribute, description AS said
    FROM pg_description LEFT JOIN pg_constraint k
        ON classoid = 'pg_constraint'::regclass AND k.oid = objoid AND k.contype = 'n' AND k.conrelid <> 0
    WHERE objoid >= 16384
        OR (classoid = 'pg_namespace'::regclass AND objoid = 'public'::regnamespace
            AND description <> 'standard public schema')
    UNION ALL
    SELECT objoid, classoid, objsubid, 'security_label', provider || ': ' || label FROM pg_seclabel
) d
JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) o ON true
LEFT JOIN LATERAL pg_identify_object(d.classoid, d.objoid, 0) w ON d.objsubid > 0
WHERE NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classoid AND e.objid = d.objoid AND e.deptype = 'e')
"""
