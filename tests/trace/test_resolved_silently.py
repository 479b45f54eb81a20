"""What PostgreSQL uses where a statement doesn't name it: changed types, casts, operators, configurations."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

import pytest
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

DOORS = (
    "CREATE TYPE state AS ENUM ('open', 'shut'); CREATE DOMAIN strict_state AS state;"
    "CREATE TYPE seen AS (at int, what state);"
    "CREATE TABLE doors (id int PRIMARY KEY, s state, d strict_state, a state[], c seen);"
    "INSERT INTO doors VALUES (1, 'shut', 'shut', '{shut}', '(1,shut)');"
)


@pytest.mark.parametrize("column", ["s", "d", "a", "c"])
def test_a_renamed_value_is_read_by_its_new_name(server: Server, column: str) -> None:
    read = f"CREATE TABLE door_log (s text); INSERT INTO door_log SELECT {column}::text FROM doors;"
    with court(
        server,
        DOORS,
        "ALTER TYPE state RENAME VALUE 'shut' TO 'closed';",
        "CREATE TABLE unrelated (i int);",
        read,
        "ALTER TYPE state RENAME VALUE 'closed' TO 'locked';",
    ) as case:
        assert case.files("door_log") == ["1", "2", "4"]
        case.assert_same_rows("door_log")


def test_a_renamed_attribute_is_read_by_its_new_name(server: Server) -> None:
    with court(
        server,
        DOORS,
        "ALTER TYPE seen RENAME ATTRIBUTE what TO which;",
        "CREATE TABLE door_log (s text); INSERT INTO door_log SELECT row_to_json(c) FROM doors;",
    ) as case:
        assert case.files("door_log") == ["1", "2", "3"]
        case.assert_same_rows("door_log")


def test_a_new_value_that_nothing_speaks_of_is_not_brought_along(server: Server) -> None:
    with court(
        server,
        DOORS,
        "ALTER TYPE state ADD VALUE 'ajar';",
        "CREATE TABLE door_log (s text); INSERT INTO door_log SELECT s FROM doors;",
    ) as case:
        assert case.files("door_log") == ["1", "3"]


EURO = "CREATE TYPE euro AS (cents int); CREATE TABLE noise (i int);"
CAST = (
    "CREATE FUNCTION euro_text(euro) RETURNS text LANGUAGE sql IMMUTABLE"
    " AS $$ SELECT 'EUR ' || ($1).cents $$;"
    "CREATE CAST (euro AS text) WITH FUNCTION euro_text(euro) AS ASSIGNMENT;"
)
LABEL = "CREATE TABLE labels (t text); INSERT INTO labels VALUES (row(5)::euro);"


@pytest.mark.parametrize(
    "sources",
    [[EURO + CAST + LABEL], [EURO, CAST, LABEL], [EURO + CAST, "DROP CAST (euro AS text);", LABEL]],
)
def test_a_cast_is_used_without_being_named(any_server: Server, sources: list[str]) -> None:
    with court(any_server, *sources) as case:
        case.assert_same_rows("labels")
        assert not any("noise" in text for text in case.statements("labels"))


def test_a_cast_between_built_in_types_is_used_by_whatever_comes_after(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION to_number(text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length($1)';"
        "CREATE CAST (text AS int) WITH FUNCTION to_number(text) AS ASSIGNMENT;",
        "CREATE TABLE sizes (n int); INSERT INTO sizes SELECT 'four'::text;",
    ) as case:
        case.assert_same_rows("sizes")


KEYS = "CREATE TYPE key2 AS (a text); CREATE TABLE keys (k key2, n int);" + (
    "INSERT INTO keys VALUES (row('A'), 1), (row('a'), 2);"
)
EQUAL = (
    "CREATE FUNCTION key2_eq(key2, key2) RETURNS boolean LANGUAGE sql IMMUTABLE"
    " AS $$ SELECT lower(($1).a) = lower(($2).a) $$;"
    "CREATE OPERATOR = (LEFTARG = key2, RIGHTARG = key2, FUNCTION = key2_eq, COMMUTATOR = =);"
)
FIND = "CREATE TABLE found (n int); INSERT INTO found SELECT n FROM keys WHERE k = row('a')::key2;"


@pytest.mark.parametrize(
    "sources", [[KEYS, EQUAL, FIND], [KEYS + EQUAL, "DROP OPERATOR = (key2, key2);", FIND]]
)
def test_an_operator_is_used_without_being_named(any_server: Server, sources: list[str]) -> None:
    with court(any_server, *sources) as case:
        case.assert_same_rows("found")


def test_an_operator_class_decides_what_is_distinct(server: Server) -> None:
    with court(
        server,
        KEYS,
        EQUAL + "CREATE FUNCTION key2_hash(key2) RETURNS int LANGUAGE sql IMMUTABLE"
        " AS $$ SELECT hashtext(lower(($1).a)) $$;"
        "CREATE OPERATOR CLASS key2_ops DEFAULT FOR TYPE key2 USING hash AS OPERATOR 1 =,"
        " FUNCTION 1 key2_hash(key2);",
        "SET enable_sort = off; CREATE TABLE counted (n bigint);"
        "INSERT INTO counted SELECT count(*) FROM (SELECT k FROM keys GROUP BY k) g;",
    ) as case:
        case.assert_same_rows("counted")


def test_a_text_search_configuration_is_named_in_a_string(server: Server) -> None:
    with court(
        server,
        "CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple);",
        "ALTER TEXT SEARCH CONFIGURATION plain ALTER MAPPING FOR asciiword WITH english_stem;",
        "CREATE TABLE terms (t text); INSERT INTO terms VALUES (to_tsvector('plain', 'running')::text);",
    ) as case:
        assert case.files("terms") == ["1", "2", "3"]
        case.assert_same_rows("terms")
