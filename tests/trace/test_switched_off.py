"""Settings by which the trace itself sees, that a migration changes."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

ROWS = "INSERT INTO t VALUES (2); INSERT INTO t VALUES (3);"


@pytest.mark.parametrize(
    "switch",
    [
        "SET track_counts = off",
        "SET LOCAL track_counts TO off",
        "SELECT set_config('track_counts', 'off', false)",
        "SET track_functions = none",
        "SET session_replication_role = replica",
        "SET quote_all_identifiers = on",
        "SET statement_timeout = 1000",
        "SET row_security = off; SET lock_timeout = 1",
        "DO $$ BEGIN PERFORM set_config('track_counts', 'off', false); INSERT INTO t VALUES (9); END $$",
    ],
)
def test_a_setting_that_a_file_leaves_on_hides_nothing(any_server: Server, switch: str) -> None:
    with court(
        any_server,
        f"CREATE TABLE t (i int); CREATE TABLE noise (i int); INSERT INTO t VALUES (1); {switch};"
        f"{ROWS} CREATE TABLE after_it (i int);",
        "INSERT INTO t VALUES (4);",
    ) as case:
        case.assert_same_rows("t")
        case.assert_exact("t", "after_it")
        assert not any("noise" in text for text in case.statements("t"))


def test_a_function_that_switches_the_counters_off_for_itself_hides_nothing(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE t (i int); CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql"
        " SET track_counts = off AS $$ BEGIN INSERT INTO t VALUES (1);"
        " EXECUTE 'CREATE INDEX ON t (i)'; END $$;",
        "SELECT fill(); INSERT INTO t VALUES (2);",
    ) as case:
        case.assert_exact("t")
        case.assert_same_rows("t")


def test_a_database_that_counts_nothing_is_traced(server: Server) -> None:
    with court(
        server,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET track_counts = off', current_database()); END $$;"
        "CREATE TABLE t (i int); INSERT INTO t VALUES (1);",
        "INSERT INTO t VALUES (2);",
    ) as case:
        case.assert_same_rows("t")
