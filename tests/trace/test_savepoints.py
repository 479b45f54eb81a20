"""Statements that a file takes back by ROLLBACK TO SAVEPOINT, and code that catches its own errors."""

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.errors import UnknownTableError
from pgslate.targets.embedded.server import Server

KEPT = "CREATE TABLE kept (id int); INSERT INTO kept VALUES (1);"


def test_a_table_that_was_made_and_taken_back_is_not_there(any_server: Server) -> None:
    with court(
        any_server,
        KEPT + "SAVEPOINT s; CREATE TABLE mistake (id int); CREATE TABLE other (id int); ROLLBACK TO s;"
        "CREATE TABLE after_it (id int);",
    ) as case:
        with pytest.raises(UnknownTableError, match="no migration"):
            case.slice("mistake")
        assert [str(unit) for unit in case.trace.units][-1] == "table public.after_it"
        case.assert_exact("kept", "after_it")


def test_a_drop_that_was_taken_back_leaves_the_table(any_server: Server) -> None:
    with court(
        any_server,
        KEPT,
        "CREATE INDEX kept_id ON kept (id); SAVEPOINT s; DROP TABLE kept CASCADE; ROLLBACK TO SAVEPOINT s;"
        "INSERT INTO kept VALUES (2);",
        "ALTER TABLE kept ADD COLUMN name text; INSERT INTO kept VALUES (3, 'c');",
    ) as case:
        case.assert_exact("kept")
        case.assert_same_rows("kept")


def test_what_stands_between_two_rollbacks_to_one_savepoint_is_taken_back(server: Server) -> None:
    with court(
        server,
        KEPT,
        "SAVEPOINT s; DROP TABLE kept; ROLLBACK TO s; INSERT INTO kept VALUES (2); ROLLBACK TO s;"
        "INSERT INTO kept VALUES (3);",
    ) as case:
        assert not any("(2)" in text for text in case.statements("kept"))
        case.assert_same_rows("kept")


def test_a_savepoint_within_one_that_is_taken_back_goes_with_it(server: Server) -> None:
    with court(
        server,
        KEPT + "SAVEPOINT a; CREATE TABLE noise (i int); SAVEPOINT b; DROP TABLE kept; ROLLBACK TO b;"
        "ALTER TABLE kept RENAME TO renamed; RELEASE b; ROLLBACK TO a; CREATE TABLE noise (other text);",
    ) as case:
        case.assert_exact("kept", "noise")
        case.assert_same_rows("kept")


def test_what_a_released_savepoint_holds_is_kept(server: Server) -> None:
    with court(
        server,
        "SAVEPOINT a; CREATE TABLE kept (id int); SAVEPOINT b; RELEASE a; INSERT INTO kept VALUES (1);",
    ) as case:
        case.assert_same_rows("kept")


def test_a_sequence_keeps_the_numbers_that_were_taken_back(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE fruit (id serial PRIMARY KEY, name text); CREATE TABLE noise (i int);"
        "INSERT INTO fruit (name) VALUES ('fig');"
        "SAVEPOINT s; INSERT INTO fruit (name) VALUES ('kiwi'), ('plum'); ROLLBACK TO s;"
        "INSERT INTO fruit (name) VALUES ('pear');",
    ) as case:
        case.assert_same_rows("fruit")
        assert not any("noise" in text for text in case.statements("fruit"))


def test_a_setting_that_was_taken_back_is_not_brought_along(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA app; SAVEPOINT s; SET search_path = app; ROLLBACK TO s; CREATE TABLE t (i int);",
    ) as case:
        assert case.statements("public.t") == ["CREATE TABLE t (i int)"]


def test_a_drop_whose_error_a_block_caught_did_not_happen(any_server: Server) -> None:
    with court(
        any_server,
        KEPT,
        "DO $$ BEGIN DROP TABLE kept; CREATE TABLE mistake (i int); RAISE EXCEPTION 'no';"
        " EXCEPTION WHEN raise_exception THEN INSERT INTO kept VALUES (2); END $$;",
        "INSERT INTO kept VALUES (3);",
    ) as case:
        case.assert_exact("kept")
        case.assert_same_rows("kept")
        with pytest.raises(UnknownTableError):
            case.slice("mistake")


def test_a_function_that_catches_its_own_error_leaves_the_name_free(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION try() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE users (i int);"
        " PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END $$;",
        "SELECT try(); CREATE TABLE users (name text);",
    ) as case:
        case.assert_exact("users")
