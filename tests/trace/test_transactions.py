"""Files and transactions: what lives as long as its file, and what is run outside of one."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from tests.slices.judging import court

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.statements import Statement
from pgslate.errors import MigrationFailedError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.observer import Mark, Observer

USERS = "CREATE TABLE users (id int PRIMARY KEY);"


def test_a_temporary_table_lives_as_long_as_its_file(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 7 AS id;"
        "INSERT INTO users SELECT id FROM scratch;",
        "CREATE TEMP TABLE scratch AS SELECT 8 AS id; INSERT INTO users SELECT id FROM scratch;",
    ) as case:
        case.assert_exact("users")
        assert len(case.statements("users")) == 5


def test_a_search_path_reaches_to_the_end_of_its_file_only(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA app;",
        "SET search_path = app; CREATE TABLE users (id int); CREATE TABLE noise (i int);",
        "CREATE TABLE users (other text);",
        "SET LOCAL search_path = app; ALTER TABLE users ADD COLUMN name text;",
    ) as case:
        assert case.files("app.users") == ["1", "2", "4"]
        assert case.files("public.users") == ["3"]
        assert not any("noise" in text for text in case.statements("app.users"))
        case.assert_exact("app.users", "public.users")


def test_a_file_is_replayed_at_its_isolation_level(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE levels (level text);",
        "BEGIN ISOLATION LEVEL SERIALIZABLE;"
        "INSERT INTO levels SELECT current_setting('transaction_isolation'); COMMIT;",
        "DO $$ BEGIN IF (SELECT level FROM levels) = 'serializable' THEN"
        " CREATE TABLE strict (i int); END IF; END $$;",
    ) as case:
        case.assert_exact("strict")


def test_an_index_made_concurrently_is_seen(server: Server) -> None:
    with court(
        server,
        USERS,
        "-- no transaction\nCREATE INDEX CONCURRENTLY by_id ON users (id);",
        "CREATE TABLE o (i int);",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")


def test_a_block_that_commits_is_run_outside_a_transaction(server: Server) -> None:
    block = "DO $$ BEGIN FOR i IN 1..2 LOOP INSERT INTO users VALUES (i); COMMIT; END LOOP; END $$;"
    with court(server, USERS, block, "ALTER TABLE users ADD COLUMN b int;") as case:
        assert case.files("users") == ["1", "2", "3"]
        case.assert_exact("users")


def test_a_statement_that_fails_is_told_once(database: Target, caplog: pytest.LogCaptureFixture) -> None:
    with database.connect() as connection:
        observer = Observer(connection)
        before = observer.counters()
        missing = Statement("SELECT missing()", 1, 1, "SelectStmt")
        for _ in range(300):  # what psycopg says of an aborted pipeline depends on who is faster
            with pytest.raises(psycopg.errors.UndefinedFunction), connection.transaction():
                observer.receive(observer.send(missing, Mark(before.xid)), before)
    assert not caplog.records


def test_a_deferred_constraint_that_fails_at_the_end_of_a_file_is_told_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text(
        "CREATE TABLE a (id int PRIMARY KEY);\n"
        "CREATE TABLE u (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO u VALUES (1);\n"
    )
    with pytest.raises(MigrationFailedError, match="deferred to the end of the file") as caught:
        Project(Catalog.load(tmp_path)).trace_in(None)
    assert str(caught.value.place) == "1_a.sql:3:1"


def test_a_file_that_writes_in_a_transaction_that_only_reads_fails_as_with_psql(tmp_path: Path) -> None:
    (tmp_path / "1_a.sql").write_text("BEGIN READ ONLY;\nCREATE TABLE a (id int);\nCOMMIT;\n")
    with pytest.raises(MigrationFailedError, match="read-only transaction") as caught:
        Project(Catalog.load(tmp_path)).trace_in(None)
    assert str(caught.value.place) == "1_a.sql:2:1"
