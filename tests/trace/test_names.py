"""Names taken, freed, renamed, numbered and quoted: a slice gives each to whoever holds it in the whole."""

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.errors import UnknownTableError
from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY);"


def test_a_rename_is_a_change_and_not_a_new_table(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE alerts (i int);",
        "ALTER TABLE alerts RENAME TO signals;",
        "CREATE TABLE alerts (j text);",
    ) as case:
        assert case.files("signals") == ["1", "2"]
        case.assert_exact("signals", "alerts")


def test_a_table_made_again_does_not_need_its_first_life(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (old int);",
        "DROP TABLE users;",
        USERS,
        "ALTER TABLE users ADD COLUMN b int;",
    ) as case:
        assert case.files("users") == ["3", "4"]
        case.assert_exact("users")


def test_a_name_that_is_still_held_is_freed_first(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); CREATE TABLE orders (id int); CREATE INDEX by_id ON orders (id);",
        "DROP INDEX by_id;",
        "CREATE INDEX by_id ON users (id);",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        case.assert_exact("users")


def test_names_that_differ_by_case_are_two_tables(server: Server) -> None:
    with court(
        server,
        'CREATE TABLE "Users" (i int);',
        "CREATE TABLE users (j int);",
        'ALTER TABLE "Users" ADD k int;',
    ) as case:
        assert case.files("users") == ["2"]
        assert case.files('"Users"') == ["1", "3"]
        case.assert_exact('"Users"', "public.users")


def test_a_schema_renamed_keeps_its_tables(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA app; CREATE TABLE app.users (i int);",
        "ALTER SCHEMA app RENAME TO shop;",
        "ALTER TABLE shop.users ADD COLUMN j int;",
        "CREATE TABLE public.other (i int);",
    ) as case:
        assert case.files("shop.users") == ["1", "2", "3"]
        case.assert_exact("shop.users")


def test_an_unknown_table_is_told_what_it_may_have_been(server: Server) -> None:
    with court(server, USERS) as case, pytest.raises(UnknownTableError, match="did you mean users"):
        case.slice("user")


def test_a_dropped_table_is_told_by_which_migration(server: Server) -> None:
    with (
        court(server, USERS, "DROP TABLE users;") as case,
        pytest.raises(UnknownTableError, match=r"2_step\.sql:1"),
    ):
        case.slice("users")


def test_a_statement_built_at_run_time_names_what_it_drops(server: Server) -> None:
    with court(
        server,
        'CREATE TABLE "order" (id int);',
        """DO $$ BEGIN EXECUTE 'DROP TABLE "order"'; END $$; CREATE TABLE users (id int);""",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")


def test_a_table_is_named_by_its_index_too(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE items (id int); CREATE INDEX by_id ON items (id);",
        "CREATE TABLE users (id int); DO $$ BEGIN COMMENT ON INDEX by_id IS 'quick'; END $$;",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users", "items")


def test_a_name_that_postgresql_numbered_needs_the_names_before_it(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE items (id serial);",
        "ALTER TABLE items RENAME TO things;",
        "CREATE TABLE items (id serial);",
    ) as case:
        case.assert_exact("items", "things")


@pytest.mark.parametrize("name", ["a" * 56, "a" * 60])
def test_a_name_that_was_cut_for_its_number_needs_the_names_before_it(server: Server, name: str) -> None:
    with court(
        server,
        f"CREATE TABLE {name} (id bigint NOT NULL);",
        f"ALTER TABLE {name} RENAME TO things;",
        f"CREATE TABLE {name} (id bigint NOT NULL);",
    ) as case:
        assert len(case.statements(name)) == 3
        case.assert_exact(name, "things")


def test_a_name_is_freed_by_who_held_it_in_the_slice(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE base (i int); CREATE TABLE items (i int);",
        "CREATE VIEW tags AS SELECT i FROM base; DROP TABLE items;",
        "ALTER VIEW tags RENAME TO items;",
        "DROP TABLE base CASCADE;",
        "CREATE SEQUENCE items; ALTER SEQUENCE items START 3;",
    ) as case:
        assert case.files("items") == ["5"]
        case.assert_exact("items")
