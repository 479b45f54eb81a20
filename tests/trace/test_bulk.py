"""Many INSERTs of one kind, which are traced in a few messages."""

# ruff: noqa: S608  the SQL written here is the test itself

from __future__ import annotations

import pytest
from tests.slices.judging import catalog_of, court

from pgslate.errors import MigrationFailedError
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace import tracer

TABLE = "CREATE TABLE t (id serial, i int CHECK (i <> 1300), s text);"


def inserts(count: int, table: str = "t") -> str:
    return "".join(f"INSERT INTO {table} (i, s) VALUES ({i}, 'it''s; {i}');\n" for i in range(count))


def test_each_of_many_rows_is_written_and_its_sequence_goes_on(any_server: Server) -> None:
    with court(
        any_server, TABLE + "CREATE TABLE noise (i int, s text);" + inserts(700) + inserts(20, "noise")
    ) as case:
        assert len(case.statements("t")) == 701
        case.assert_same_rows("t")


def test_a_row_that_fails_is_told_with_its_own_line(server: Server) -> None:
    with pytest.raises(MigrationFailedError) as caught, court(server, f"{TABLE}\n{inserts(1400)}"):
        pass
    assert caught.value.place is not None
    assert caught.value.place.line == 1302
    assert "1300" in caught.value.place.text


def test_a_trigger_that_many_rows_fire_writes_its_rows(server: Server) -> None:
    with court(
        server,
        TABLE + "CREATE TABLE log (i int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO log VALUES (new.i); RETURN new; END $$;"
        "CREATE TRIGGER note AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();",
        inserts(10),
    ) as case:
        case.assert_same_rows("t", "log")


def test_a_trigger_that_makes_a_table_for_one_of_many_rows_is_followed(server: Server) -> None:
    with court(
        server,
        TABLE + "CREATE FUNCTION room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF new.i = 7 THEN CREATE TABLE seventh (i int); END IF; RETURN new; END $$;"
        "CREATE TRIGGER room BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION room();",
        inserts(10),
        "INSERT INTO seventh VALUES (1);",
    ) as case:
        case.assert_exact("seventh")
        case.assert_same_rows("seventh", "t")


def test_a_value_of_an_enum_that_one_of_many_rows_has_is_required(server: Server) -> None:
    with court(
        server,
        "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (i int, s mood);",
        "ALTER TYPE mood ADD VALUE 'glad';",
        "INSERT INTO t VALUES (1, 'sad'); INSERT INTO t VALUES (2, 'glad');",
    ) as case:
        assert case.files("t") == ["1", "2", "3"]
        case.assert_same_rows("t")


def test_an_insert_that_calls_a_function_is_traced_alone(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TABLE t (i int);"
        "INSERT INTO t VALUES (0); INSERT INTO t VALUES (one()); INSERT INTO t VALUES (2);",
    ) as case:
        assert any("FUNCTION one" in text for text in case.statements("t"))


def test_a_long_file_says_which_line_it_is_at(database: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracer, "_REPORT_EVERY", 0.0)
    lines: list[int] = []
    catalog = catalog_of(TABLE + "\n\n" + inserts(1200))
    tracer.trace(catalog, database, progress=lambda done, total, migration, line: lines.append(line))
    assert lines == [0, 1, 3, 503, 1003]
