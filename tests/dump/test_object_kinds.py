"""Every kind of object comes out of the objects form as pg_dump sees it after the whole catalog."""

from __future__ import annotations

import subprocess

import pytest
from tests.dump.test_contents import made
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

CATALOGS = {
    "operator families": """
        CREATE TYPE one AS (a int);
        CREATE FUNCTION lt(one, one) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a < ($2).a';
        CREATE FUNCTION cmp(one, one) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a - ($2).a';
        CREATE OPERATOR <! (LEFTARG = one, RIGHTARG = one, FUNCTION = lt);
        CREATE OPERATOR FAMILY fam USING btree;
        CREATE OPERATOR CLASS ops FOR TYPE one USING btree FAMILY fam
            AS OPERATOR 1 <!, FUNCTION 1 cmp(one, one);
        ALTER OPERATOR FAMILY fam USING btree ADD FUNCTION 1 (int, one) btint4cmp(int, int);
    """,
    "text search": """
        CREATE TEXT SEARCH CONFIGURATION words (COPY = english);
        CREATE TEXT SEARCH DICTIONARY plain (TEMPLATE = simple, STOPWORDS = english);
        ALTER TEXT SEARCH CONFIGURATION words ALTER MAPPING FOR asciiword WITH plain, english_stem;
        CREATE TABLE t (a text, v tsvector GENERATED ALWAYS AS (to_tsvector('public.words', a)) STORED);
        INSERT INTO t VALUES ('the cat'); CREATE INDEX ON t USING gin (v);
    """,
    "default and column privileges": """
        CREATE SCHEMA app; ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO pg_monitor;
        ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; CREATE TABLE app.t (a int, b int);
        CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON app.t FROM CURRENT_USER;
        GRANT UPDATE (a), INSERT (b) ON app.t TO pg_monitor; GRANT CREATE ON SCHEMA public TO pg_monitor;
    """,
    "views": """
        CREATE TABLE t (id int PRIMARY KEY, a text, b int); CREATE VIEW g AS SELECT id, a FROM t GROUP BY id;
        CREATE FUNCTION all_of() RETURNS SETOF g LANGUAGE sql AS 'SELECT * FROM g';
        CREATE VIEW h AS SELECT * FROM all_of(); CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t;
        CREATE UNIQUE INDEX ON m (count); CREATE MATERIALIZED VIEW n AS SELECT * FROM m WITH NO DATA;
        CREATE VIEW v WITH (security_barrier) AS SELECT * FROM t WHERE b > 0 WITH LOCAL CHECK OPTION;
        CREATE RULE also AS ON UPDATE TO v DO ALSO NOTHING; ALTER VIEW v ALTER a SET DEFAULT 'q';
    """,
    "partitions with policies and triggers": """
        CREATE TABLE p (id int, k text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
        CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a') PARTITION BY HASH (id);
        CREATE TABLE p_a0 PARTITION OF p_a FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        CREATE TABLE p_d PARTITION OF p DEFAULT; CREATE INDEX ON p (lower(k));
        ALTER TABLE p ADD CHECK (id > 0);
        ALTER TABLE p_a ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON p_a0 USING (id > 1);
        ALTER TABLE p_a0 FORCE ROW LEVEL SECURITY; INSERT INTO p VALUES (1, 'a'), (3, 'z');
        CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
        CREATE TRIGGER t BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION seen();
        ALTER TABLE p_a DISABLE TRIGGER t; CREATE TABLE c (a int, b text, FOREIGN KEY (a, b) REFERENCES p);
        CREATE STATISTICS s ON id, k FROM p;
        ALTER TABLE p_d ALTER k SET STORAGE EXTERNAL, ALTER id SET STATISTICS 7;
    """,
    "exclusion, replica identity and clustered tables": """
        CREATE EXTENSION btree_gist; CREATE TABLE r (room int, during tstzrange,
            EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (room > 1) DEFERRABLE);
        CREATE TABLE i (i int NOT NULL UNIQUE, n int); CREATE UNIQUE INDEX part ON i (n) WHERE i IS NULL;
        ALTER TABLE i REPLICA IDENTITY USING INDEX i_i_key; ALTER TABLE i CLUSTER ON i_i_key;
    """,
    "domains, ranges and enums": """
        CREATE DOMAIN d AS text COLLATE "C" DEFAULT 'a' NOT NULL CHECK (VALUE <> 'b');
        CREATE DOMAIN e AS d CHECK (length(VALUE) < 9); CREATE TYPE span AS RANGE (subtype = int);
        ALTER DOMAIN e ADD CONSTRAINT later CHECK (VALUE <> 'zz') NOT VALID;
        CREATE TABLE t (x e, y d[], r span, v varchar(3) CHECK (v IN ('a', 'b''c')));
        CREATE TYPE en AS ENUM ('a', 'b'); ALTER TYPE en ADD VALUE 'aa' BEFORE 'b';
    """,
    "routines and event triggers": """
        CREATE FUNCTION atom(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + 1; END;
        CREATE PROCEDURE p(INOUT x int DEFAULT 4) LANGUAGE plpgsql
            AS $x$ BEGIN EXECUTE $$ SELECT ';' $$; END $x$;
        CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
        CREATE FUNCTION many(VARIADIC a text[] DEFAULT '{}', OUT b int, OUT c text) LANGUAGE sql STABLE
            SECURITY DEFINER SET search_path = 'x', "y z" COST 7 AS 'SELECT 1, ''a''';
        CREATE CAST (text AS int) WITH INOUT AS ASSIGNMENT; CREATE TABLE g (a int DEFAULT atom(3));
        CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
        CREATE EVENT TRIGGER et ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION e();
        ALTER EVENT TRIGGER et ENABLE ALWAYS;
    """,
    "foreign data and subscriptions": """
        CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h;x');
        CREATE FOREIGN TABLE ft (a int OPTIONS (column_name 'z') NOT NULL, b text DEFAULT 'x') SERVER s
            OPTIONS (table_name 't', schema_name 'n');
        CREATE TABLE par (a int) PARTITION BY LIST (a);
        CREATE FOREIGN TABLE pf PARTITION OF par FOR VALUES IN (1) SERVER s;
        CREATE SUBSCRIPTION far CONNECTION 'host=x' PUBLICATION y WITH (connect = false, slot_name = NONE);
    """,
    "constraints that were not checked": """
        CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int, n int); INSERT INTO b VALUES (5, -1);
        ALTER TABLE b ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES a NOT VALID;
        ALTER TABLE b ADD CONSTRAINT c CHECK (n > 0) NOT VALID; COMMENT ON CONSTRAINT f ON b IS 'later';
        ALTER TABLE b DISABLE TRIGGER ALL;
    """,
}


@pytest.mark.parametrize("name", CATALOGS)
def test_it_comes_out_the_same(server: Server, name: str) -> None:
    with court(server, CATALOGS[name]) as case, made(case):
        assert schema_of(server, "made") == schema_of(server, case.database)


def schema_of(server: Server, dbname: str) -> list[str]:
    """All that pg_dump says of a database but rows; its own settings and comments are left out."""
    command = [str(server.installation.program("pg_dump")), "--schema-only", "--dbname", server.dsn(dbname)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in text.splitlines() if line and not line.startswith(("--", "\\"))]
