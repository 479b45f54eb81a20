"""What tracing can't see is said by file and line, and answered by hints in the SQL."""

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.errors import CatalogError
from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY, name text);"
LOG = "CREATE TABLE log (id int);"
FIX = """DO $$
BEGIN
    IF EXISTS (SELECT FROM users WHERE name IS NULL) THEN
        INSERT INTO log SELECT id FROM users;
    END IF;
END $$;"""
DYNAMIC = """CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %I SELECT $1', 'log') USING NEW.id;
    RETURN NEW;
END $$;"""
TRIGGER = "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();"


def unseen(server: Server, *sources: str) -> list[tuple[int, int, str]]:
    """(number of the file, line, what) of everything that the trace calls uncertain."""
    with court(server, *sources) as case:
        return [(each.migration + 1, each.line, each.what) for each in case.trace.uncertain]


def test_a_branch_not_taken_is_said_with_its_line(server: Server) -> None:
    ((file, line, what),) = unseen(server, USERS, LOG, f"SELECT 1;\n\n{FIX}")
    assert (file, line) == (3, 6)
    assert what == "IF not taken on an empty database: INSERT INTO log SELECT id FROM users"


def test_a_branch_that_was_taken_is_not_uncertain(server: Server) -> None:
    taken = FIX.replace("IF EXISTS", "IF NOT EXISTS")
    assert unseen(server, USERS, LOG, taken) == []


def test_the_other_branch_of_a_choice_is_uncertain(server: Server) -> None:
    block = """DO $$ BEGIN
        IF to_regclass('users') IS NULL THEN
            CREATE TABLE users (id int);
        ELSE
            ALTER TABLE log ADD COLUMN x int;
        END IF; END $$;"""
    assert [(line, what[:4]) for _, line, what in unseen(server, LOG, block)] == [(5, "ELSE")]


def test_a_branch_that_only_looks_or_warns_is_not_uncertain(server: Server) -> None:
    block = """DO $$ DECLARE n int; BEGIN
        IF EXISTS (SELECT FROM users) THEN RAISE WARNING 'there are %', 1; SELECT 1 INTO n; END IF; END $$;"""
    assert unseen(server, USERS, block) == []


def test_a_loop_over_no_rows_and_a_handler_not_reached_are_uncertain(server: Server) -> None:
    block = """DO $$ DECLARE r record; BEGIN
        FOR r IN SELECT * FROM users LOOP
            UPDATE log SET id = r.id;
        END LOOP;
        CREATE TYPE mood AS ENUM ('a');
    EXCEPTION WHEN duplicate_object THEN
        ALTER TYPE mood ADD VALUE 'b';
        DROP TABLE log;
    END $$;"""
    assert [(line, what.split()[0]) for _, line, what in unseen(server, USERS, LOG, block)] == [(3, "loop")]


def test_dynamic_sql_that_ran_was_seen_and_that_did_not_was_not(server: Server) -> None:
    block = """DO $$ BEGIN IF %s THEN
        EXECUTE format('CREATE TABLE %%I (i int)', 'made'); END IF; END $$;"""
    assert unseen(server, block % "true") == []
    assert [line for _, line, _ in unseen(server, block % "false")] == [2]


def test_sql_built_by_a_function_that_a_table_uses_is_uncertain(server: Server) -> None:
    ((file, line, what),) = unseen(server, USERS, LOG, DYNAMIC, TRIGGER)
    assert (file, line) == (3, 3)
    assert what.startswith("public.stamp() builds SQL at run time: EXECUTE format(")


def test_a_function_that_no_table_uses_or_that_was_replaced_is_not_uncertain(server: Server) -> None:
    assert unseen(server, USERS, LOG, DYNAMIC) == []
    plain = """CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN RETURN NEW; END';"""
    assert unseen(server, USERS, LOG, DYNAMIC, TRIGGER, plain) == []


def test_a_hint_says_what_a_function_requires(server: Server) -> None:
    other = "CREATE TABLE other (i int);"
    with court(server, USERS, other, LOG, DYNAMIC, TRIGGER) as case:
        assert case.files("users") == ["1", "4", "5"]
    with court(server, USERS, other, LOG, f"-- pgslate: requires log\n{DYNAMIC}", TRIGGER) as case:
        assert case.trace.uncertain == ()
        assert case.files("users") == ["1", "3", "4", "5"]
        case.assert_exact("users")


def test_what_calls_a_function_with_a_hint_finds_what_that_requires(server: Server) -> None:
    hint = DYNAMIC.replace("BEGIN\n", "BEGIN\n    -- pgslate: requires log\n", 1)
    fill = "INSERT INTO users VALUES (1, 'a');"
    with court(server, USERS, hint, LOG, TRIGGER, fill) as case:
        case.assert_exact("users")
        assert case.files("users") == ["1", "2", "3", "4", "5"]


def test_a_hint_says_whom_a_statement_is_for(server: Server) -> None:
    with court(server, USERS, LOG, FIX) as case:
        assert case.files("log") == ["2"]
    with court(server, USERS, LOG, f"-- why\n-- pgslate: provides log\n-- more\n{FIX}") as case:
        assert case.trace.uncertain == ()
        assert case.files("log") == ["1", "2", "3"]
        assert case.files("users") == ["1"]
        case.assert_exact("log", "users")


def test_a_hint_says_that_a_statement_requires_more(server: Server) -> None:
    with court(
        server, "CREATE TABLE rates (i int);", USERS, f"-- pgslate: requires rates\n{FIX}", LOG
    ) as case:
        assert case.trace.uncertain == ()
    block = "CREATE TABLE log2 (i int);"
    with court(server, "CREATE TABLE rates (i int);", f"-- pgslate: requires rates\n{block}") as case:
        assert case.files("log2") == ["1", "2"]


def test_nothing_is_an_answer_too(server: Server) -> None:
    assert unseen(server, USERS, LOG, f"-- pgslate: requires nothing\n{FIX}") == []


def test_a_hint_above_another_statement_does_not_count(server: Server) -> None:
    assert len(unseen(server, USERS, LOG, f"-- pgslate: requires nothing\nSELECT 1;\n\n{FIX}")) == 1


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("-- pgslate: requires lg", "did you mean log?"),
        ("-- pgslate: needs log", "knows no hint 'needs'"),
        ("-- pgslate: requires", "names no tables"),
        ("-- pgslate: requires later", "not there at that point"),
    ],
)
def test_a_hint_that_makes_no_sense_is_an_error_with_its_place(server: Server, hint: str, said: str) -> None:
    with pytest.raises(CatalogError, match=r"2_step\.sql:2:1") as raised:
        unseen(server, LOG, f"\n{hint}\nSELECT 1;", "CREATE TABLE later (i int);")
    assert said in str(raised.value)
