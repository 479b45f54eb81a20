-- One of everything that pg_dump --schema-only knows and that any server from 15 on takes.
CREATE SCHEMA shop;
COMMENT ON SCHEMA shop IS 'what is sold';
CREATE SCHEMA "Odd Schema";
CREATE EXTENSION btree_gist;
GRANT USAGE ON SCHEMA shop TO rich_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO rich_reader;

CREATE TYPE shop.mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE shop.mood ADD VALUE 'fine' BEFORE 'happy';
COMMENT ON TYPE shop.mood IS 'how they feel';
CREATE DOMAIN shop.email AS text COLLATE "C" DEFAULT 'nobody@example.org' NOT NULL
    CONSTRAINT has_an_at CHECK (VALUE ~ '@') CONSTRAINT short CHECK (length(VALUE) < 200);
COMMENT ON CONSTRAINT has_an_at ON DOMAIN shop.email IS 'roughly';
CREATE TYPE shop.address AS (street text, zip varchar(10), country character(2) COLLATE "C");
COMMENT ON COLUMN shop.address.zip IS 'postal code';
CREATE TYPE shop.period AS RANGE (subtype = timestamptz);
CREATE TYPE shop.ghost;
REVOKE USAGE ON TYPE shop.mood FROM PUBLIC;
GRANT USAGE ON TYPE shop.mood TO rich_reader;

CREATE SEQUENCE shop.ticket AS integer START 100 INCREMENT BY 5 MINVALUE 10 MAXVALUE 100000 CACHE 7 CYCLE;
CREATE SEQUENCE shop.countdown INCREMENT BY -1;
GRANT USAGE ON SEQUENCE shop.ticket TO rich_reader;
COMMENT ON SEQUENCE shop.ticket IS 'takes a number';

CREATE COLLATION shop.bytewise (provider = libc, lc_collate = 'C', lc_ctype = 'POSIX');

CREATE FUNCTION shop.twice(a integer, b integer DEFAULT 2) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 3 AS $$ SELECT a * b $$;
CREATE FUNCTION shop.modern(a integer) RETURNS integer LANGUAGE sql STABLE
    BEGIN ATOMIC SELECT shop.twice(a) + 1; END;
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = shop, pg_temp AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END $$;
CREATE FUNCTION shop.names(OUT name text, OUT size integer) RETURNS SETOF record
    LANGUAGE sql ROWS 12 AS $$ VALUES ('a', 1) $$;
CREATE PROCEDURE shop.tidy(INOUT n integer) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE AGGREGATE shop.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
REVOKE EXECUTE ON FUNCTION shop.twice(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION shop.twice(integer, integer) TO rich_reader WITH GRANT OPTION;
COMMENT ON FUNCTION shop.twice(integer, integer) IS 'a times b';

CREATE OPERATOR shop.*** (LEFTARG = integer, RIGHTARG = integer, FUNCTION = shop.twice);
CREATE FUNCTION shop.mood_rank(shop.mood) RETURNS integer LANGUAGE sql IMMUTABLE
    AS $$ SELECT CASE $1 WHEN 'sad' THEN 0 ELSE 1 END $$;
CREATE CAST (shop.mood AS integer) WITH FUNCTION shop.mood_rank(shop.mood) AS ASSIGNMENT;
CREATE TEXT SEARCH CONFIGURATION shop.plain (COPY = pg_catalog.simple);
CREATE TEXT SEARCH DICTIONARY shop.stopless (TEMPLATE = pg_catalog.simple, Accept = false);
ALTER TEXT SEARCH CONFIGURATION shop.plain ALTER MAPPING FOR asciiword WITH shop.stopless, pg_catalog.simple;
CREATE OPERATOR CLASS shop.plain_int_ops FOR TYPE integer USING btree AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);

CREATE TABLE shop.people (
    id bigint GENERATED ALWAYS AS IDENTITY (START 1000 CACHE 3) PRIMARY KEY,
    name varchar(80) COLLATE "C" NOT NULL,
    email shop.email,
    feels shop.mood NOT NULL DEFAULT 'ok',
    lives shop.address,
    weight numeric(6, 2) DEFAULT 70.5 CHECK (weight > 0 AND weight < 500.0),
    born date DEFAULT '2000-01-31',
    seen timestamptz DEFAULT '2020-02-03 04:05:06+02',
    waits interval DEFAULT '1 day 02:03:04',
    nick text DEFAULT lower('Nick'::text) || '-x',
    tags text[] DEFAULT ARRAY['a', 'b']::text[],
    blob bytea DEFAULT '\x00ff',
    doc jsonb DEFAULT '{"a": 1}',
    upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
    updated_at timestamp without time zone,
    created_on date DEFAULT CURRENT_DATE,
    bits bit varying(8) DEFAULT B'101',
    "Strange ""Name" integer,
    CONSTRAINT adults CHECK (born < '2010-01-01'::date) NO INHERIT,
    CONSTRAINT feels_ok CHECK (feels IN ('ok', 'happy') OR name LIKE 'x%' OR name NOT ILIKE ALL (ARRAY['y', 'z'])),
    CONSTRAINT between_them CHECK (weight BETWEEN 1 AND 499 AND COALESCE(nick, name) IS DISTINCT FROM 'q'),
    CONSTRAINT same_nick UNIQUE (nick, name) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 70, toast.autovacuum_enabled = false);
ALTER TABLE shop.people ALTER COLUMN doc SET STORAGE EXTERNAL, ALTER COLUMN nick SET STATISTICS 500;
ALTER TABLE shop.people ALTER COLUMN name SET COMPRESSION pglz, ALTER COLUMN weight SET (n_distinct = -0.5);
ALTER TABLE shop.people CLUSTER ON people_pkey;
ALTER TABLE shop.people ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.people FORCE ROW LEVEL SECURITY;
COMMENT ON TABLE shop.people IS 'everybody, also ''them''';
COMMENT ON COLUMN shop.people.name IS 'full name';
COMMENT ON CONSTRAINT adults ON shop.people IS 'by law';
GRANT ALL ON shop.people TO rich_writer;
GRANT SELECT (name), UPDATE (name, nick) ON shop.people TO rich_reader;
CREATE POLICY own_rows ON shop.people FOR SELECT TO rich_reader, rich_writer
    USING (name = CURRENT_USER AND EXISTS (SELECT 1 FROM shop.people p WHERE p.id = people.id));
CREATE POLICY checked ON shop.people AS RESTRICTIVE USING (true) WITH CHECK (weight > 1);
COMMENT ON POLICY own_rows ON shop.people IS 'their own';
CREATE TRIGGER touch BEFORE UPDATE OF name, nick ON shop.people FOR EACH ROW
    WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION shop.touch('x', 'y');
CREATE TRIGGER touch_after AFTER INSERT ON shop.people REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION shop.touch();
COMMENT ON TRIGGER touch ON shop.people IS 'keeps updated_at';
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shop.people DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION shop.touch();
ALTER TABLE shop.people ENABLE ALWAYS TRIGGER touch_after;
CREATE INDEX people_lower ON shop.people (lower(name) text_pattern_ops, born DESC NULLS LAST) INCLUDE (nick)
    WITH (fillfactor = 60) WHERE weight > 3 AND feels <> 'sad';
CREATE UNIQUE INDEX people_email ON shop.people (email) NULLS NOT DISTINCT;
CREATE INDEX people_tags ON shop.people USING gin (tags);
ALTER INDEX shop.people_lower ALTER COLUMN 1 SET STATISTICS 300;
COMMENT ON INDEX shop.people_lower IS 'for search';
CREATE STATISTICS shop.people_stats (dependencies, ndistinct) ON name, nick FROM shop.people;
ALTER STATISTICS shop.people_stats SET STATISTICS 50;
CREATE STATISTICS shop.people_expr ON lower(name), (born + 1) FROM shop.people;
CREATE RULE shout AS ON INSERT TO shop.people DO ALSO NOTIFY people;
CREATE RULE kept AS ON DELETE TO shop.people WHERE old.weight > 100 DO INSTEAD
    UPDATE shop.people SET nick = 'gone' WHERE people.id = old.id;

CREATE TABLE shop.orders (
    id serial PRIMARY KEY,
    person bigint NOT NULL REFERENCES shop.people ON DELETE CASCADE ON UPDATE SET NULL,
    replaces integer REFERENCES shop.orders (id) DEFERRABLE,
    during tstzrange,
    ticket integer DEFAULT nextval('shop.ticket'),
    quick boolean DEFAULT (false OR NOT true),
    score real DEFAULT (1.5::real * 2),
    EXCLUDE USING gist (person WITH =, during WITH &&) WHERE (quick)
);
ALTER TABLE shop.orders ADD CONSTRAINT positive CHECK (ticket > 0) NOT VALID;
ALTER TABLE shop.orders ADD CONSTRAINT to_people FOREIGN KEY (person) REFERENCES shop.people NOT VALID;
ALTER TABLE shop.orders REPLICA IDENTITY USING INDEX orders_pkey;
ALTER SEQUENCE shop.ticket OWNED BY shop.orders.ticket;
CREATE UNLOGGED TABLE shop.scratch (a int, b int);
ALTER TABLE shop.scratch REPLICA IDENTITY FULL;
CREATE TABLE shop.typed OF shop.address (zip WITH OPTIONS NOT NULL);
CREATE TABLE shop.parent (a int NOT NULL CHECK (a > 0), b text DEFAULT 'b');
CREATE TABLE shop.child (c int, b text DEFAULT 'other') INHERITS (shop.parent);

CREATE TABLE "Odd Schema"."Odd Table" ("select" int PRIMARY KEY, "UPPER" text, "naïve" text DEFAULT 'é\n');
COMMENT ON COLUMN "Odd Schema"."Odd Table"."UPPER" IS 'loud';

CREATE TABLE shop.events (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    at timestamptz NOT NULL DEFAULT now(),
    day date NOT NULL,
    person bigint REFERENCES shop.people,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE INDEX events_day ON shop.events (day);
CREATE TRIGGER events_touch BEFORE INSERT ON shop.events FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE TABLE shop.events_2025_12 PARTITION OF shop.events
    FOR VALUES FROM ('2025-12-01 00:00:00+00') TO ('2026-01-01 00:00:00+00');
CREATE TABLE shop.events_2026_01 (LIKE shop.events INCLUDING ALL);
ALTER TABLE shop.events ATTACH PARTITION shop.events_2026_01
    FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');
CREATE TABLE shop.events_rest PARTITION OF shop.events DEFAULT PARTITION BY LIST (at);
CREATE TABLE shop.events_rest_x PARTITION OF shop.events_rest FOR VALUES IN ('2024-01-01 00:00+00', '2024-01-02 00:00+00');
CREATE TABLE shop.hashed (k text PRIMARY KEY) PARTITION BY HASH (k);
CREATE TABLE shop.hashed_0 PARTITION OF shop.hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE shop.points_at (id uuid, at timestamptz, FOREIGN KEY (id, at) REFERENCES shop.events);
CREATE INDEX events_person ON ONLY shop.events (person);
CREATE TABLE shop.computed (a int, b text, c varchar(8)) PARTITION BY RANGE ((a % 10), lower(b) COLLATE "C");

CREATE VIEW shop.happy AS SELECT id, name, born + 1 AS next_day FROM shop.people WHERE feels = 'happy' ORDER BY name;
CREATE VIEW shop.busy WITH (security_barrier, security_invoker = true) AS
    SELECT p.id, p.name, count(*) FILTER (WHERE o.quick) AS quick, max(o.ticket) AS last,
        row_number() OVER (PARTITION BY p.feels ORDER BY p.name DESC) AS rank,
        (SELECT string_agg(t, ',' ORDER BY t) FROM unnest(p.tags) AS t) AS tags,
        CASE WHEN p.weight > 5 THEN 'heavy' ELSE 'light' END AS class,
        EXTRACT(year FROM p.born) AS year, p.seen AT TIME ZONE 'UTC' AS seen_utc,
        COALESCE(p.nick, 'x')::varchar(10) AS nick, substring(p.name FROM 1 FOR 3) AS short, trim(both 'x' FROM p.name)
    FROM shop.people p LEFT JOIN shop.orders o ON o.person = p.id
    GROUP BY p.id HAVING count(*) > 0 ORDER BY 2, p.id DESC LIMIT 10;
CREATE VIEW shop.all_ids AS
    SELECT id, 'person' AS kind FROM shop.people UNION ALL SELECT id, 'order' FROM shop.orders
    UNION (SELECT 1, 'x' EXCEPT SELECT 2, 'y') ORDER BY 1;
CREATE VIEW shop.tree AS
    WITH RECURSIVE t(id, depth) AS (
        SELECT id, 0 FROM shop.orders WHERE replaces IS NULL
        UNION ALL SELECT o.id, t.depth + 1 FROM shop.orders o JOIN t ON o.replaces = t.id)
    SELECT id, depth FROM t WHERE depth < 5;
CREATE VIEW shop.editable AS SELECT id, nick FROM shop.people WHERE weight > 2 WITH LOCAL CHECK OPTION;
CREATE VIEW shop.grouped AS SELECT feels, born, sum(weight) FROM shop.people GROUP BY ROLLUP (feels, born);
CREATE VIEW shop.whole AS SELECT people FROM shop.people;
CREATE VIEW shop.aliased AS SELECT x.a, generate_series(1, x.b) AS n FROM shop.scratch AS x;
CREATE VIEW shop.of_function AS SELECT name, size FROM shop.names() WHERE size > 0;
CREATE VIEW shop.of_subquery AS SELECT q.n FROM (SELECT count(*) AS n FROM shop.orders) q;
CREATE VIEW shop.of_values AS SELECT column1 AS a FROM (VALUES (1), (2)) v;
CREATE VIEW shop.joins AS
    SELECT id, nick, s.a FROM shop.people JOIN (SELECT b AS nick FROM shop.parent) q USING (nick)
    RIGHT JOIN shop.scratch s ON true;
CREATE VIEW shop.lateral AS SELECT s.a, l.x FROM shop.scratch s CROSS JOIN LATERAL (SELECT s.b AS x) l;
CREATE VIEW shop.exists_one AS
    SELECT a FROM shop.scratch WHERE EXISTS (SELECT 1 FROM shop.orders WHERE orders.id = scratch.a) AND a = ANY (ARRAY[1, 2])
    AND b IN (SELECT id FROM shop.orders) AND (a, b) IN ((1, 2), (3, 4)) AND a IS NOT NULL GROUP BY a;
ALTER VIEW shop.editable ALTER COLUMN nick SET DEFAULT 'new';
COMMENT ON VIEW shop.happy IS 'the happy ones';
COMMENT ON COLUMN shop.happy.name IS 'their name';
GRANT SELECT ON shop.happy TO rich_reader;
CREATE RULE into_editable AS ON INSERT TO shop.editable DO INSTEAD INSERT INTO shop.scratch VALUES (NEW.id, 1);
CREATE TABLE shop.phrases (
    s varchar(20), t text, n numeric, d date, ts timestamp, tz timestamptz, i interval, j jsonb, a integer[],
    CHECK (s IN ('a', 'b')), CHECK (s NOT IN ('c', 'd', NULL)), CHECK (n BETWEEN SYMMETRIC 1 AND 2),
    CHECK (t SIMILAR TO 'a%' OR t LIKE 'x!%' ESCAPE '!' OR t ~* '^z' OR t !~ 'w' OR t NOT LIKE 'q'),
    CHECK ((ts AT TIME ZONE 'UTC') > '2020-01-01 00:00:00+00'::timestamptz AND tz AT TIME ZONE 'UTC' > ts),
    CHECK ((d, d + 1) OVERLAPS (d, d + 3)), CHECK (i > '1 mon'::interval * 2 AND i < make_interval(days => 3)),
    CHECK (j -> 'a' ->> 'b' = 'c' AND j @> '{"a": 1}' AND j ? 'x' AND NOT j ?| ARRAY['y', 'z']),
    CHECK (a[1] = 1 AND a[2:3] = ARRAY[1, 2] AND 3 = ANY (a) AND 4 <> ALL (a) AND cardinality(a) > 0),
    CHECK (NULLIF(t, '') IS NOT NULL AND GREATEST(n, 1, 2.5) > LEAST(3, n) AND n IS NOT DISTINCT FROM 4),
    CHECK (position('a' IN t) > 0 AND overlay(t PLACING 'x' FROM 1) <> t AND char_length(s) < 9),
    CHECK (CASE s WHEN 'a' THEN true WHEN 'b' THEN n > -1 ELSE n % 2 = 0 END AND s COLLATE "C" > 'a'),
    CHECK (EXTRACT(epoch FROM ts) > 0 AND date_part('year', d) = 2020 AND (n > 1) IS NOT FALSE AND -n < +n),
    CHECK ((s, t) > ('a', 'b') AND (n = 1 OR n = 2) AND NOT (n = 3 AND (n = 4 OR n = 5)) AND n ^ 2 < 1e3),
    CHECK (s::text || t = 'x'::char(3) AND t::int::numeric(4, 1) = n AND t::regclass::oid > 0::oid)
);
CREATE VIEW shop.distinct_on AS SELECT DISTINCT ON (s) s, t, n AS amount FROM shop.phrases ORDER BY s, t DESC NULLS LAST;
CREATE VIEW shop.frames AS SELECT sum(n) OVER w AS a, lag(n, 2) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES)
    AS b FROM shop.phrases WINDOW w AS (PARTITION BY s ORDER BY d);
CREATE VIEW shop.sets AS SELECT s, t, percentile_cont(0.5) WITHIN GROUP (ORDER BY n) AS half, grouping(s) AS g, count(DISTINCT n) FROM shop.phrases
    GROUP BY GROUPING SETS ((s), (s, t), ()) HAVING sum(n) > 1;
CREATE VIEW shop.first_rows AS SELECT s, d FROM shop.phrases ORDER BY d FETCH FIRST 3 ROWS WITH TIES;
CREATE VIEW shop.sampled AS SELECT n FROM shop.phrases TABLESAMPLE system (10) REPEATABLE (3);
CREATE VIEW shop.locked AS SELECT n FROM shop.phrases FOR UPDATE SKIP LOCKED;
CREATE VIEW shop.only_values AS VALUES (1, 'a'), (2, 'b');
CREATE VIEW shop.merged AS SELECT * FROM shop.scratch x (k, l) FULL JOIN shop.scratch y (k, m) USING (k) NATURAL JOIN (SELECT 1 AS k) z;
CREATE VIEW shop.ctes AS WITH a AS MATERIALIZED (SELECT n, t FROM shop.phrases), b AS (SELECT n FROM a WHERE t = 'x')
    SELECT n FROM b WHERE n IN (SELECT n FROM a WHERE a.n = b.n);
CREATE VIEW shop.ordinal AS SELECT u.e, u.ordinality FROM unnest(ARRAY['a', 'b']) WITH ORDINALITY AS u (e, ordinality);
CREATE VIEW shop.rows_from AS SELECT * FROM ROWS FROM (generate_series(1, 2), shop.names()) AS r (g, name, size);
CREATE VIEW shop.one_function AS SELECT g FROM generate_series(1, 3) AS g WHERE g > 1;
CREATE VIEW shop.no_from AS SELECT 1 AS one, CURRENT_TIMESTAMP AS at, shop.twice(b => 3, a => 2) AS six, ARRAY(SELECT 1) AS arr;
CREATE VIEW shop.over_view AS SELECT h.name, (SELECT name FROM shop.busy WHERE busy.id = h.id LIMIT 1) AS other FROM shop.happy h;
CREATE VIEW shop.ordered_by_name AS SELECT n AS t, t AS n FROM shop.phrases ORDER BY t, n;
CREATE VIEW shop.self_join AS SELECT l.n FROM shop.phrases l, shop.phrases r WHERE l.n = r.n AND l.s <> r.s;
CREATE VIEW shop.composite AS SELECT (lives).zip, lives, ROW(name, id)::text AS pair FROM shop.people;
CREATE MATERIALIZED VIEW shop.cached WITH (fillfactor = 90) AS SELECT feels, count(*) AS n FROM shop.people GROUP BY feels;
CREATE UNIQUE INDEX cached_feels ON shop.cached (feels);
CREATE MATERIALIZED VIEW shop.later AS SELECT a FROM shop.scratch WITH NO DATA;

CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere OPTIONS (host 'example.org');
CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (username 'x', password 'secret');
CREATE FOREIGN TABLE shop.remote (a int OPTIONS (column_name 'aa') NOT NULL, b text) SERVER far OPTIONS (table_name 't');
CREATE PUBLICATION feed FOR TABLE shop.orders, shop.parent WITH (publish = 'insert, update');
CREATE FUNCTION shop.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION shop.on_ddl();
ALTER EVENT TRIGGER watch DISABLE;
REVOKE ALL ON shop.scratch FROM CURRENT_USER;
ALTER TABLE shop.parent OWNER TO rich_writer;
