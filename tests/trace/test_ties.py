"""What a loop over names ties together is seen by hiding relations from it: before any proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server
from pgslate.trace.loops import Run, Thing, Ties, ties
from pgslate.trace.probe import Probe

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


def test_tables_and_the_loop_over_them_may_be_made_by_one_file(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE other (id int);",
        "CREATE TABLE users (id int); CREATE TABLE orders (id int); CREATE TABLE third (id int);"
        "CREATE INDEX third_id ON third (id); ALTER TABLE third ADD CHECK (id > 0);"
        f"CREATE TABLE users_deleted (id int); CREATE TABLE orders_deleted (id int); {NOTE_IT};"
        f"{FOR_EACH_DELETED}; COMMENT ON TABLE other IS 'seen'; ALTER TABLE users ADD COLUMN at date;",
    ) as case:
        loop, comment, column = case.trace.effects[-3:]
        names = [
            {case.trace.units[unit].name for unit in effect.touches} for effect in (loop, comment, column)
        ]
        assert names == [{"public.users", "public.orders"}, {"public.other"}, {"public.users"}]
        assert len(loop.ties) == len(loop.calls) == 2
        case.assert_exact("users", "orders", "third", "other")


def test_a_sequence_that_a_loop_goes_on_with_is_left_where_it_was(server: Server) -> None:
    with (
        court(
            server,
            "CREATE TABLE users (id int); CREATE TABLE orders (id int); CREATE SEQUENCE numbers;",
            """DO $$ DECLARE t text; BEGIN
            FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('COMMENT ON TABLE %I IS %L', t, nextval('numbers')); END LOOP; END $$""",
        ) as case,
        case.server.target(case.database).connect() as connection,
    ):
        assert connection.execute("SELECT last_value FROM numbers").fetchone() == (2,)


def test_relations_of_one_name_in_two_schemas_are_hidden_side_by_side(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA a CREATE TABLE users (id int PRIMARY KEY); CREATE SCHEMA b CREATE TABLE users"
        " (id int PRIMARY KEY); CREATE TEMP TABLE passing (id int);",
        "CREATE TABLE users (id int); CREATE TABLE orders (id int); CREATE TABLE users_deleted (id int);"
        "CREATE TABLE orders_deleted (id int);",
        f"{NOTE_IT}; {FOR_EACH_DELETED};",
    ) as case:
        assert len(case.trace.effects[-1].ties) == 2


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


def test_a_loop_that_gives_each_table_the_same_ties_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, runs = counted(Probe._run)  # type: ignore[arg-type]  # a method, with two arguments more
    monkeypatch.setattr(Probe, "_run", run)
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
        assert len(runs) == 7  # with nothing hidden, and three halves with their other halves
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

    def counting(*given: Any) -> frozenset[Thing] | None:
        runs.append(given[-1])
        return run(*given)

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
    assert len(runs) <= 2 * 9 + 2


def test_what_is_only_looked_up_by_name_is_found_among_the_others() -> None:
    calls = {20: 3, 21: 7}
    looked_up: list[frozenset[int]] = []

    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        looked_up.append(hidden)
        left = loop(calls)(hidden)
        return None if left is None else left - set(calls)  # the callers are not changed

    assert ties(frozenset({3, 7}), (3, 7), range(8, 200), run) == Ties(
        ties=frozenset({(3, 20), (7, 21)}), calls=frozenset({(20, 3), (21, 7)})
    )
    assert len(looked_up) < 60


def test_what_a_caller_only_reads_is_found_beside_what_it_changes() -> None:
    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        if 1 in hidden:  # 1 calls for 0, which is changed, and for 2, which is not
            return frozenset()
        return None if hidden & {0, 2} else frozenset({0})

    assert ties(frozenset({0}), (0, 1, 2), (), run).calls == {(1, 0), (1, 2)}


def test_what_several_call_for_is_needed_always() -> None:
    def run(hidden: frozenset[int]) -> frozenset[Thing] | None:
        callers = frozenset({1, 2}) - hidden
        return None if 0 in hidden and callers else callers

    assert ties(frozenset({1, 2}), (0, 1, 2), (), run).always == {0}


def test_nothing_is_told_from_what_is_different_every_time() -> None:
    numbers = iter(range(100))
    run, runs = counted(lambda hidden: frozenset({("table", f"made_{next(numbers)}")}))
    assert ties(frozenset({("table", "made")}), (0, 1), (2, 3), run) == Ties()
    assert len(runs) == 1


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
