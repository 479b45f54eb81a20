"""Changes that pg_dump --schema-only shows, of every kind that it knows: none goes unnoticed.

Each was compared with pg_dump's word once, on 15 and 18; PostgreSQL 18 knows them all.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.schema.conftest import Connection

from pgslate.schema.compare import compare
from pgslate.schema.read import read

CHANGES = """
COMMENT ON CONSTRAINT people_name_not_null ON shop.people IS 'x'
COMMENT ON RULE shout ON shop.people IS 'x'
COMMENT ON EVENT TRIGGER watch IS 'x'
COMMENT ON COLUMN shop.cached.n IS 'x'
COMMENT ON COLUMN shop.remote.a IS 'x'
COMMENT ON DOMAIN shop.email IS 'x'
COMMENT ON VIEW shop.busy IS 'x'
COMMENT ON MATERIALIZED VIEW shop.cached IS 'x'
COMMENT ON AGGREGATE shop.total(integer) IS 'x'
COMMENT ON PROCEDURE shop.tidy IS 'x'
COMMENT ON OPERATOR shop.*** (integer,integer) IS 'x'
COMMENT ON OPERATOR CLASS shop.plain_int_ops USING btree IS 'x'
COMMENT ON OPERATOR FAMILY shop.plain_int_ops USING btree IS 'x'
COMMENT ON CAST (shop.mood AS integer) IS 'x'
COMMENT ON COLLATION shop.bytewise IS 'x'
COMMENT ON TEXT SEARCH CONFIGURATION shop.plain IS 'x'
COMMENT ON TEXT SEARCH DICTIONARY shop.stopless IS 'x'
COMMENT ON STATISTICS shop.people_stats IS 'x'
COMMENT ON SERVER far IS 'x'
COMMENT ON FOREIGN DATA WRAPPER nowhere IS 'x'
COMMENT ON FOREIGN TABLE shop.remote IS 'x'
COMMENT ON PUBLICATION feed IS 'x'
COMMENT ON SCHEMA public IS 'x'
COMMENT ON TYPE shop.period IS 'x'
COMMENT ON INDEX shop.people_pkey IS 'x'
COMMENT ON CONSTRAINT people_pkey ON shop.people IS 'x'
COMMENT ON SEQUENCE shop.people_id_seq IS 'x'
ALTER TABLE shop.events_2026_01 DISABLE TRIGGER events_touch
ALTER TABLE shop.events_2025_12 ALTER day SET DEFAULT '2025-12-01'
ALTER TABLE shop.hashed_0 RENAME CONSTRAINT hashed_0_pkey TO x
ALTER INDEX shop.hashed_0_pkey RENAME TO x
ALTER INDEX shop.events_2025_12_day_idx RENAME TO x
CREATE INDEX x ON shop.events_2025_12 (person); ALTER INDEX shop.events_person ATTACH PARTITION shop.x
ALTER TABLE shop.parent ALTER b SET DEFAULT 'c'
ALTER TABLE shop.child ALTER a SET DEFAULT 3
ALTER TABLE shop.child ADD CONSTRAINT parent_a_check2 CHECK (a > 0)
ALTER TABLE shop.child ADD CONSTRAINT x CHECK (c > 0) NO INHERIT
GRANT SELECT ON SEQUENCE shop.countdown TO rich_writer
GRANT USAGE ON SEQUENCE shop.people_id_seq TO rich_writer
GRANT USAGE ON DOMAIN shop.email TO rich_writer
REVOKE USAGE ON DOMAIN shop.email FROM PUBLIC
GRANT USAGE ON FOREIGN SERVER far TO rich_writer
GRANT USAGE ON FOREIGN DATA WRAPPER nowhere TO rich_writer
GRANT ALL ON SCHEMA public TO rich_writer
REVOKE ALL ON SCHEMA public FROM PUBLIC
GRANT SELECT ON shop.busy TO rich_writer
GRANT SELECT (id) ON shop.busy TO rich_writer
GRANT EXECUTE ON PROCEDURE shop.tidy TO rich_writer
GRANT SELECT ON shop.people TO rich_reader WITH GRANT OPTION
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO rich_writer
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
ALTER DEFAULT PRIVILEGES FOR ROLE rich_writer GRANT USAGE ON SCHEMAS TO rich_reader
ALTER OPERATOR FAMILY shop.plain_int_ops USING btree ADD FUNCTION 2 (int, int) btint4sortsupport(internal)
ALTER FUNCTION shop.names ROWS 13
ALTER FUNCTION shop.names OWNER TO rich_writer
ALTER FUNCTION shop.touch LEAKPROOF
ALTER FUNCTION shop.twice CALLED ON NULL INPUT
ALTER FUNCTION shop.twice PARALLEL RESTRICTED
ALTER FUNCTION shop.touch SET work_mem = '8MB'
ALTER PROCEDURE shop.tidy SECURITY DEFINER
ALTER VIEW shop.editable RESET (check_option)
ALTER VIEW shop.happy RENAME COLUMN next_day TO day_after
ALTER VIEW shop.happy OWNER TO rich_writer
ALTER MATERIALIZED VIEW shop.cached SET (fillfactor = 91)
ALTER MATERIALIZED VIEW shop.cached ALTER n SET STATISTICS 7
ALTER MATERIALIZED VIEW shop.cached CLUSTER ON cached_feels
ALTER TABLE shop.people SET WITHOUT CLUSTER
ALTER TABLE shop.people ALTER weight SET (n_distinct_inherited = 3)
ALTER TABLE shop.people ALTER weight SET STORAGE PLAIN
ALTER TABLE shop.people ALTER nick SET STORAGE MAIN
ALTER TABLE shop.people ALTER id SET START 5
ALTER TABLE shop.people ALTER id SET CACHE 9
ALTER SEQUENCE shop.ticket AS bigint
ALTER SEQUENCE shop.ticket START 101
ALTER SEQUENCE shop.ticket MINVALUE 9
ALTER SEQUENCE shop.ticket CACHE 8
ALTER SEQUENCE shop.orders_id_seq RENAME TO x
ALTER TYPE shop.address RENAME ATTRIBUTE zip TO z CASCADE
ALTER TYPE shop.mood OWNER TO rich_writer
ALTER DOMAIN shop.email RENAME CONSTRAINT short TO brief
ALTER SERVER far VERSION '3'
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (SET username 'y')
ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (DROP username)
ALTER PUBLICATION feed SET (publish = 'insert')
ALTER PUBLICATION feed SET TABLE shop.orders (id, person) WHERE (person > 1)
ALTER PUBLICATION feed ADD TABLES IN SCHEMA shop
CREATE PUBLICATION p2 FOR ALL TABLES
ALTER TEXT SEARCH DICTIONARY shop.stopless (Accept = true)
ALTER TEXT SEARCH CONFIGURATION shop.plain ALTER MAPPING FOR asciiword WITH pg_catalog.simple
ALTER RULE shout ON shop.people RENAME TO x
ALTER POLICY checked ON shop.people RENAME TO x
ALTER TRIGGER touch ON shop.people RENAME TO x
ALTER TABLE shop.people RENAME CONSTRAINT adults TO x
ALTER TABLE shop.people RENAME CONSTRAINT people_name_not_null TO x
ALTER TABLE shop.orders ALTER CONSTRAINT orders_replaces_fkey INITIALLY DEFERRED
ALTER TABLE shop.orders ALTER CONSTRAINT orders_replaces_fkey NOT ENFORCED
ALTER TABLE shop.orders ADD CHECK (id > 5) NOT ENFORCED
ALTER TABLE shop.computed ADD v int GENERATED ALWAYS AS (1 + 1) VIRTUAL
ALTER TABLE shop.parent ADD CONSTRAINT nn NOT NULL b NO INHERIT
ALTER TABLE shop.orders ADD CONSTRAINT nnv NOT NULL ticket NOT VALID
ALTER TABLE shop.typed ALTER zip DROP NOT NULL
ALTER STATISTICS shop.people_stats OWNER TO rich_writer
ALTER SCHEMA shop OWNER TO rich_writer
ALTER EXTENSION btree_gist SET SCHEMA shop
ALTER INDEX shop.people_lower RESET (fillfactor)
ALTER TABLE shop.people SET (autovacuum_enabled = false)
CREATE CONVERSION shop.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8
CREATE TRIGGER iot INSTEAD OF INSERT ON shop.busy FOR EACH ROW EXECUTE FUNCTION shop.touch()
CREATE RULE x AS ON UPDATE TO shop.busy DO INSTEAD NOTHING
CREATE TABLE "Odd Schema"."we.ird on x" (a int)
CREATE TYPE shop.r2 AS RANGE (subtype = float8, subtype_diff = float8mi)
DROP TYPE shop.ghost
ALTER TABLE shop.events_2025_12 REPLICA IDENTITY FULL
ALTER TABLE shop.events REPLICA IDENTITY USING INDEX events_pkey
ALTER TABLE shop.events_2026_01 ENABLE ROW LEVEL SECURITY
ALTER TABLE shop.people ALTER upper_name SET EXPRESSION AS (lower(name))
ALTER FOREIGN TABLE shop.remote ALTER b SET DEFAULT 'q'
ALTER FOREIGN TABLE shop.remote ADD CHECK (a > 0)
""".strip().splitlines()


@pytest.mark.parametrize("statement", CHANGES, ids=[each[:70] for each in CHANGES])
def test_a_change_that_pg_dump_shows_is_noticed(statement: str, rich_on: Callable[[int], Connection]) -> None:
    connection = rich_on(18)
    expected = read(connection)
    with connection.transaction(force_rollback=True):
        connection.execute(statement.encode())
        found = read(connection)
    assert compare(expected, found) or found.objects.keys() - expected.objects.keys()
