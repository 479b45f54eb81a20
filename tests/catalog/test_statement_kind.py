"""A statement that the parser doesn't know is judged by its words, as its tree would be."""

from __future__ import annotations

import pytest

from pgslate.catalog.statement_kind import UNKNOWN, is_refused_in_transactions, kind_of
from pgslate.catalog.statements import copies_out, defers, extension_of, split
from pgslate.catalog.tokens import words_of

REFUSED = [
    "VACUUM",
    "VACUUM (ANALYZE) prices",
    "CLUSTER",
    "CLUSTER (VERBOSE)",
    "DISCARD ALL",
    "CREATE DATABASE other",
    "DROP DATABASE IF EXISTS other",
    "ALTER DATABASE other SET TABLESPACE fast",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "ALTER SYSTEM RESET ALL",
    "CREATE TABLESPACE fast LOCATION '/x'",
    "DROP TABLESPACE fast",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (enabled = false)",
    "DROP SUBSCRIPTION s",
    "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
    "ALTER SUBSCRIPTION s SET PUBLICATION p",
    "ALTER SUBSCRIPTION s SET (failover = true)",
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON prices (net)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX SYSTEM",
    "REINDEX DATABASE other",
    "REINDEX (VERBOSE) SCHEMA public",
    "REINDEX (CONCURRENTLY) INDEX i",
    "REINDEX TABLE CONCURRENTLY prices",
    "ALTER TABLE prices DETACH PARTITION old CONCURRENTLY",
]
"""What PostgreSQL refuses in a transaction block (the callers of PreventInTransactionBlock)."""

ALLOWED = [
    "ANALYZE prices",
    "ANALYSE",
    "CLUSTER prices USING i",
    "DISCARD PLANS",
    "DISCARD TEMP",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (enabled = false, create_slot = false)",
    "ALTER SUBSCRIPTION s DISABLE",
    "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
    "ALTER DATABASE other SET work_mem = '1MB'",
    "ALTER DATABASE other OWNER TO someone",
    "CREATE INDEX i ON prices (net)",
    "DROP INDEX i",
    "REINDEX TABLE prices",
    "ALTER TABLE prices DETACH PARTITION old",
    "ALTER TYPE mood ADD VALUE 'new'",
    "CREATE TABLE prices (net int)",
    "CREATE TEMP TABLE prices AS SELECT 1 AS net",
    "CREATE OR REPLACE VIEW v AS SELECT 1",
    "CREATE MATERIALIZED VIEW v AS SELECT 1",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE CONSTRAINT TRIGGER t AFTER INSERT ON prices FOR EACH ROW EXECUTE FUNCTION f()",
    "CREATE TYPE mood AS ENUM ('ok')",
    "CREATE DOMAIN d AS int",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA app",
    "CREATE EXTENSION IF NOT EXISTS hstore",
    "CREATE USER someone",
    "CREATE POLICY p ON prices",
    "CREATE FOREIGN TABLE f (i int) SERVER s",
    "ALTER TABLE prices ADD CONSTRAINT c CHECK (net > 0)",
    "ALTER TABLE prices RENAME COLUMN net TO gross",
    "DROP TABLE prices",
    "DROP ROLE someone",
    "DO $$ BEGIN NULL; END $$",
    "CALL p()",
    "SELECT 1",
    "(SELECT 1)",
    "TABLE prices",
    "WITH w AS (SELECT 1 AS i) INSERT INTO prices SELECT i FROM w",
    "INSERT INTO prices VALUES (1)",
    "UPDATE prices SET net = 2",
    "DELETE FROM prices",
    "MERGE INTO prices USING new ON true WHEN MATCHED THEN DELETE",
    "TRUNCATE prices",
    "COPY prices TO STDOUT",
    "COMMENT ON TABLE prices IS 'x'",
    "GRANT SELECT ON prices TO someone",
    "REVOKE SELECT ON prices FROM someone",
    "SET search_path = app",
    "RESET ALL",
    "PREPARE one AS SELECT 1",
    "DEALLOCATE one",
    "REFRESH MATERIALIZED VIEW v",
    "BEGIN",
    "SAVEPOINT s",
    "END",
]


@pytest.mark.parametrize("text", REFUSED + ALLOWED)
def test_words_say_what_the_tree_says(text: str) -> None:
    (parsed,) = split(text)
    words = words_of(text)
    assert parsed.parsed
    assert kind_of(words) == parsed.kind
    assert is_refused_in_transactions(parsed.kind, words) is parsed.outside_transaction
    assert parsed.outside_transaction is (text in REFUSED)


def test_a_statement_that_nothing_explains_is_kept() -> None:
    (wait,) = split("WAIT FOR LSN '0/1'")
    assert (wait.kind, wait.parsed, wait.outside_transaction) == (UNKNOWN, False, False)


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("CREATE TABLE t (deferred_at date, deferrable_until date)", False),
        ("CREATE TABLE t (i int /* deferrable */, s text DEFAULT 'initially deferred')", False),
        ('CREATE TABLE t ("deferrable" int)', False),
        ("COMMENT ON TABLE t IS 'deferrable'", False),
        ("CREATE TABLE t (i int REFERENCES s NOT DEFERRABLE)", False),
        ("CREATE TABLE t (i int REFERENCES s DEFERRABLE)", True),
        ("ALTER TABLE t ALTER CONSTRAINT c DEFERRABLE INITIALLY DEFERRED", True),
        ("SET CONSTRAINTS ALL DEFERRED", True),
        ("DO $$ BEGIN EXECUTE 'ALTER TABLE t ADD UNIQUE (i) DEFERRABLE'; END $$", True),
        ("DO $$ BEGIN -- deferrable\n UPDATE t SET deferred_at = now(); END $$", False),
        ("CREATE TABLE t (i int, g int GENERATED ALWAYS AS (i), deferred date)", False),
        ("CREATE TABLE t (i int UNIQUE DEFERRABLE, g int GENERATED ALWAYS AS (i))", True),
        ("CREATE TABLE t (i int UNIQUE NOT DEFERRABLE, g int GENERATED ALWAYS AS (i))", False),
    ],
)
def test_only_what_postgresql_defers_counts_as_deferred(text: str, *, is_so: bool) -> None:
    assert defers(split(text)[0]) is is_so


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CREATE EXTENSION hstore", "hstore"),
        ('CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public', "uuid-ossp"),
        ("CREATE EXTENSION /* why */ HSTORE CASCADE", "hstore"),
        ("CREATE TABLE extension (i int)", None),
    ],
)
def test_the_name_of_an_extension_is_read(text: str, name: str | None) -> None:
    assert extension_of(split(text)[0]) == name


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("COPY t TO STDOUT", True),
        ("COPY (SELECT 'a') TO stdout (FORMAT csv)", True),
        ("COPY t TO '/tmp/stdout'", False),
        ("COPY t TO PROGRAM 'cat'", False),
        ("COPY t FROM '/tmp/x'", False),
        ("SELECT 1", False),
    ],
)
def test_a_copy_whose_rows_come_back_is_known(text: str, *, is_so: bool) -> None:
    assert copies_out(split(text)[0]) is is_so


def test_end_and_chain_begin_another_transaction_in_the_same_mode() -> None:
    from pgslate.catalog.blocks import blocks

    source = (
        "BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT AND CHAIN; SELECT 2; END; SELECT 3;"
        " BEGIN; SELECT 4; END WORK AND NO CHAIN; SELECT 5"
    )
    found = [
        (block.statements[0].text, block.transactional, block.mode)
        for block in blocks(split(source), transactional=False)
    ]
    assert found == [
        ("SELECT 1", True, "ISOLATION LEVEL SERIALIZABLE"),
        ("SELECT 2", True, "ISOLATION LEVEL SERIALIZABLE"),
        ("SELECT 3", False, ""),
        ("SELECT 4", True, ""),
        ("SELECT 5", False, ""),
    ]
