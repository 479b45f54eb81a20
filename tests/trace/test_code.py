"""Code that a migration runs, in a DO block or a function: what it names counts, whatever it came to."""

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.slices.slice import FORMS
from pgslate.targets.embedded.server import Server
from pgslate.trace.references import called

MOODS = "CREATE TYPE mood AS ENUM ('low'); CREATE TABLE pets (id int PRIMARY KEY, m mood);"
GROWN = (
    "ALTER TYPE mood RENAME TO old_mood; CREATE TYPE mood AS ENUM ('low', {});"
    " ALTER TABLE pets ALTER m TYPE mood USING m::text::mood; DROP TYPE old_mood;"
)
MIDDLE, HIGH = GROWN.format("'mid'"), GROWN.format("'mid', 'high'")


def assert_right_at_once(server: Server, table: str, *sources: str) -> None:
    """No form of the table's slice has to be widened by its proof."""
    with court(server, *sources) as case:
        for form in FORMS:
            assert case.proof(table, form).failures == (), form
        case.assert_exact(table)


@pytest.mark.parametrize(
    "again",
    [
        f"DO $$ BEGIN {HIGH} END $$;",
        f"CREATE FUNCTION grow() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {HIGH} END $$; SELECT grow();",
    ],
    ids=["block", "function"],
)
def test_a_name_that_code_takes_and_frees_again_is_free_before(server: Server, again: str) -> None:
    assert_right_at_once(server, "pets", MOODS, MIDDLE, again)


@pytest.mark.parametrize(
    "code",
    [
        "DO $$ BEGIN ALTER TABLE t ADD c int; UPDATE t SET c = app.plus1(n); END $$;",
        "DO $$ BEGIN ALTER TABLE t ADD c int; EXECUTE 'UPDATE t SET c = app.plus1(n)'; END $$;",
        "CREATE FUNCTION fill() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN ALTER TABLE t ADD c int; UPDATE t SET c = app.plus1(n); END $$; SELECT fill();",
        "CREATE PROCEDURE fill() LANGUAGE plpgsql AS"
        " $$ BEGIN ALTER TABLE t ADD c int; UPDATE t SET c = app.plus1(n); END $$; CALL fill();",
    ],
    ids=["block", "dynamic", "function", "procedure"],
)
@pytest.mark.parametrize(
    "plus1",
    [
        "CREATE FUNCTION app.plus1(int) RETURNS int LANGUAGE sql AS 'SELECT $1 + 1';",
        "CREATE FUNCTION add(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2';"
        "CREATE FUNCTION app.plus1(int) RETURNS int LANGUAGE sql AS 'SELECT add($1, 1)';",
    ],
    ids=["plain", "of another"],
)
def test_a_function_that_code_names_is_there_though_no_row_led_to_it(
    server: Server, code: str, plus1: str
) -> None:
    assert_right_at_once(
        server, "t", f"CREATE SCHEMA app; {plus1}", "CREATE TABLE t (id int PRIMARY KEY, n int);", code
    )


def test_so_is_an_aggregate(server: Server) -> None:
    assert_right_at_once(
        server,
        "t",
        "CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);",
        "CREATE TABLE t (id int PRIMARY KEY, n int);",
        "DO $$ BEGIN ALTER TABLE t ADD c int; UPDATE t SET c = (SELECT total(id) FROM t); END $$;",
    )


def test_a_long_word_in_code_takes_no_longer_than_a_short_one() -> None:
    image = "f" * 200_000  # at the square of its length this would not end today
    assert called(f"PERFORM decode('{image}', 'hex')") == {("", "decode")}


@pytest.mark.parametrize(
    "code",
    [
        "CREATE FUNCTION clear() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {} END $$; SELECT clear();",
        "CREATE PROCEDURE clear() LANGUAGE plpgsql AS $$ BEGIN {} END $$; CALL clear();",
        "CREATE FUNCTION clear() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {} END $$;"
        " DO $$ BEGIN PERFORM clear(); END $$;",
        "DO $$ BEGIN {} END $$;",
    ],
    ids=["function", "procedure", "function in a block", "block"],
)
def test_what_code_drops_is_there_before(server: Server, code: str) -> None:
    assert_right_at_once(
        server,
        "kept",
        "CREATE TABLE other (id int PRIMARY KEY);",
        code.format("CREATE TABLE kept (id int PRIMARY KEY); DROP TABLE other;"),
    )


def test_a_function_that_drops_itself_is_there_before(server: Server) -> None:
    assert_right_at_once(
        server,
        "kept",
        "CREATE FUNCTION once() RETURNS void LANGUAGE plpgsql AS"
        " $$ BEGIN CREATE TABLE kept (id int PRIMARY KEY); DROP FUNCTION once(); END $$;",
        "SELECT once();",
    )
