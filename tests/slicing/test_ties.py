"""What a loop over names ties together is seen by hiding relations from it: before any proof."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.slicing.judging import court

from pgslate.slicing.ties import Run, Thing, Ties, ties
from pgslate.targets.embedded.server import Server

FOR_EACH_DELETED = """DO $$ DECLARE found text; BEGIN
    FOR found IN SELECT relname FROM pg_class WHERE relname LIKE '%\\_deleted' AND relkind = 'r' LOOP
        EXECUTE format('CREATE TRIGGER note_it AFTER DELETE ON %I FOR EACH ROW EXECUTE FUNCTION note_it(%L)',
            split_part(found, '_deleted', 1), found);
    END LOOP; END $$"""
NOTE_IT = """CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format('INSERT INTO %I SELECT $1', TG_ARGV[0]) USING OLD.id; RETURN OLD; END $$"""


def test_a_trigger_that_only_a_name_calls_for_brings_the_table_of_that_name(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); CREATE TABLE orders (id int);",
        "CREATE TABLE users_deleted (id int);",
        "CREATE TABLE orders_deleted (id int);",
        "CREATE TABLE other (id int);",
        NOTE_IT,
        FOR_EACH_DELETED,
    ) as case:
        assert case.files("users") == ["1", "2", "5", "6"]
        assert case.files("other") == ["4"]
        case.assert_exact("users", "orders")


def test_a_file_that_makes_the_names_and_goes_by_them_needs_all_that_they_call_for(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TABLE orders (id int);",
        "CREATE TABLE other (id int);",
        f"CREATE TABLE users_deleted (id int); CREATE TABLE orders_deleted (id int);"
        f"{NOTE_IT}; {FOR_EACH_DELETED};",
    ) as case:
        assert case.files("users") == ["1", "2", "4"]
        assert len(case.slice("users", form="statements").effects) == 4
        case.assert_exact("users", "orders", "users_deleted")


def test_a_table_made_for_each_table_needs_that_one(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TABLE orders (id int, at date);",
        """DO $$ DECLARE t text; BEGIN
            FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('CREATE TABLE %I (LIKE %I)', t || '_history', t); END LOOP; END $$""",
    ) as case:
        assert case.files("orders_history") == ["2", "3"]
        case.assert_exact("orders_history", "users_history", "users")


def test_a_loop_that_gives_each_table_the_same_ties_nothing(server: Server) -> None:
    with court(
        server,
        *(f"CREATE TABLE table_{letter} (id int);" for letter in "abcdefg"),
        """CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$""",
        """DO $$ DECLARE t text; BEGIN
            FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('CREATE TRIGGER stamp BEFORE UPDATE ON %I EXECUTE FUNCTION stamp()', t);
            END LOOP; END $$""",
    ) as case:
        assert case.files("table_c") == ["3", "8", "9"]
        assert not case.trace.effects[-1].ties
        case.assert_exact("table_c")


def test_a_table_whose_name_is_put_together_is_needed(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE app_users (id int);",
        "CREATE TABLE app_orders (id int);",
        """DO $$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['users', 'orders'] LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN at date', 'app_' || t); END LOOP; END $$""",
    ) as case:
        assert case.files("app_users") == ["1", "2", "3"]
        case.assert_exact("app_users", "app_orders")


def test_a_function_that_goes_by_names_is_seen_through(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); CREATE TABLE orders (id int);",
        "CREATE TABLE users_deleted (id int);",
        "CREATE TABLE orders_deleted (id int);",
        NOTE_IT,
        FOR_EACH_DELETED.replace("DO $$", "CREATE FUNCTION note_all() RETURNS void LANGUAGE plpgsql AS $$"),
        "SELECT note_all();",
    ) as case:
        assert case.files("orders") == ["1", "3", "4", "5", "6"]
        case.assert_exact("users", "orders")


# -- the search itself


def loop(calls: dict[int, int]) -> Run:
    """A loop that changes for each caller (a key) what it calls for (its value), and fails where that is
    hidden."""

    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        there = {caller: called for caller, called in calls.items() if caller not in hidden}
        if hidden & set(there.values()):
            return None
        return frozenset(there) | frozenset(there.values())

    return run


def counted(run: Run) -> tuple[Run, list[frozenset[int]]]:
    runs: list[frozenset[int]] = []

    def counting(hidden: frozenset[int]) -> frozenset[Thing] | None:
        runs.append(hidden)
        return run(hidden)

    return counting, runs


def found(run: Run, relations: int) -> Ties:
    usual = run(frozenset())
    assert usual is not None
    return ties(usual, range(relations), (), run)


@pytest.mark.parametrize("count", [2, 7, 40])
def test_each_caller_is_tied_to_what_it_calls_for(count: int) -> None:
    calls = {caller: caller + 1 for caller in range(0, count - 1, 2)}
    assert found(loop(calls), count) == Ties(
        ties=frozenset((called, caller) for caller, called in calls.items()),
        calls=frozenset(calls.items()),
    )


@pytest.mark.parametrize("count", [1, 2, 250, 300])
def test_what_nothing_ties_takes_few_runs(count: int) -> None:
    everything = frozenset(range(count))
    run, runs = counted(lambda hidden: everything - hidden)
    assert found(run, count) == Ties()
    assert len(runs) <= 2 * 9 + 1


def test_what_is_always_needed_is_told_from_what_is_called_for() -> None:
    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        return None if 2 in hidden else frozenset({0, 1, 2}) - hidden

    assert found(run, 3) == Ties(always=frozenset({2}))


def one_changed_by(caller: int) -> Callable[[frozenset[int]], frozenset[Thing] | None]:
    """Fails without 0 where the caller is there, and changes no more than 1 to 7 whatever happens."""

    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        return None if 0 in hidden and caller not in hidden else frozenset(range(1, 8)) - hidden

    return run


@pytest.mark.parametrize("caller", [1, 4, 7])
def test_a_caller_that_changes_nothing_by_it_is_found_by_halves(caller: int) -> None:
    assert found(one_changed_by(caller), 8).calls == {(caller, 0)}
