"""The objects form brings what an expression uses without naming it: casts, and classes of operators."""

from __future__ import annotations

import pytest
from tests.dump.test_contents import made
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

TEMPERATURE = "CREATE TYPE kelvin AS (n int);"
IN_WORDS = (
    "CREATE FUNCTION in_words(kelvin) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT ($1).n || ' K' $$;"
)
READINGS = (
    "CREATE TABLE readings (k kelvin); INSERT INTO readings VALUES (row(7));"
    "CREATE VIEW told AS SELECT k::text AS told FROM readings;"
)


@pytest.mark.parametrize("context", ["", "AS ASSIGNMENT", "AS IMPLICIT"])
def test_a_view_reads_through_the_cast_that_it_was_made_with(any_server: Server, context: str) -> None:
    cast = f"{IN_WORDS} CREATE CAST (kelvin AS text) WITH FUNCTION in_words(kelvin) {context};"
    with court(any_server, TEMPERATURE, cast, READINGS) as case, made(case, "told") as connection:
        assert connection.execute("SELECT told FROM told").fetchall() == [("7 K",)]


def test_a_cast_between_types_of_postgresql_comes_with_the_view_that_uses_it(server: Server) -> None:
    cast = (
        "CREATE FUNCTION late(date) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT $1 > '2000-1-1' $$;"
        "CREATE CAST (date AS boolean) WITH FUNCTION late(date);"
    )
    view = "CREATE TABLE days (d date); CREATE VIEW recent AS SELECT d FROM days WHERE d::boolean;"
    with court(server, cast, view) as case, made(case, "recent") as connection:
        assert connection.execute("SELECT count(*) FROM recent").fetchall() == [(0,)]


def test_a_cast_without_a_function_comes_with_its_types(server: Server) -> None:
    cast = "CREATE TYPE celsius AS (n int); CREATE CAST (kelvin AS celsius) WITH INOUT;"
    tables = "CREATE TABLE pairs (k kelvin, c celsius); INSERT INTO pairs VALUES (row(1), row(2));"
    with court(server, TEMPERATURE, cast, tables) as case, made(case, "pairs") as connection:
        assert connection.execute("SELECT k::celsius::text FROM pairs").fetchall() == [("(1)",)]


def test_rows_of_a_type_are_put_in_order_by_its_own_class_of_operators(server: Server) -> None:
    last_first = "".join(
        f"CREATE FUNCTION k_{name}(kelvin, kelvin) RETURNS bool LANGUAGE sql IMMUTABLE"
        f" AS 'SELECT ($2).n {sign} ($1).n';"
        f"CREATE OPERATOR {sign}| (LEFTARG = kelvin, RIGHTARG = kelvin, FUNCTION = k_{name});"
        for name, sign in {"lt": "<", "le": "<=", "eq": "=", "ge": ">=", "gt": ">"}.items()
    )
    last_first += (
        "CREATE FUNCTION k_cmp(kelvin, kelvin) RETURNS int LANGUAGE sql IMMUTABLE"
        " AS 'SELECT ($2).n - ($1).n';"
        "CREATE OPERATOR CLASS k_ops DEFAULT FOR TYPE kelvin USING btree AS OPERATOR 1 <|, OPERATOR 2 <=|,"
        "OPERATOR 3 =|, OPERATOR 4 >=|, OPERATOR 5 >|, FUNCTION 1 k_cmp(kelvin, kelvin);"
    )
    rows = "CREATE TABLE readings (k kelvin); INSERT INTO readings VALUES (row(1)), (row(2));"
    with court(server, TEMPERATURE, last_first, rows) as case, made(case, "readings") as connection:
        found = connection.execute("SELECT (k).n FROM readings ORDER BY k").fetchall()
        assert found == [(2,), (1,)]
