"""What breaks programs that run beside a migration, loses data, or fails on rows."""

from __future__ import annotations

import pytest
from tests.lint_rules.conftest import Folder, Found

from pgslate.lint_rules import squawk
from pgslate.report.lint import text
from pgslate.verbs.lint import lint

BEFORE = (
    "CREATE SCHEMA app; CREATE TYPE mood AS ENUM ('ok', 'sad');"
    " CREATE TABLE orders (id int PRIMARY KEY, a int, b text);"
    " CREATE VIEW open AS SELECT id FROM orders; CREATE TABLE old (i int);"
    " CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';"
)
BREAKS = {
    "ALTER TABLE orders DROP COLUMN a": "the column a is dropped with its values",
    "ALTER TABLE orders RENAME COLUMN b TO c": "renames a column",
    "ALTER TABLE orders RENAME TO purchases": "renames a table",
    "ALTER TABLE orders SET SCHEMA app": "moves to another schema",
    "ALTER TABLE orders ALTER COLUMN a TYPE text": "gets another type",
    "ALTER TABLE orders ADD COLUMN d int NOT NULL": "is NOT NULL and has no DEFAULT",
    "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'": "renames a value",
    "DROP TABLE old": "is dropped with its rows",
    "DROP VIEW open": "is dropped, and every query",
    "DROP FUNCTION f()": "is dropped, and every query",
    "ALTER FUNCTION f() RENAME TO g": "renames a function",
    "TRUNCATE old": "loses all its rows",
}


@pytest.mark.parametrize(("statement", "said"), BREAKS.items())
def test_what_breaks_clients_or_loses_data_is_found(
    folder: Folder, found: Found, statement: str, said: str
) -> None:
    project = folder({"1_a.sql": BEFORE, "2_b.sql": f"\n{statement};"})
    (finding,) = found("breaking-change", project)
    assert said in finding.message
    assert finding.place == "2_b.sql:2"
    assert finding.fix


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders ADD COLUMN d int",
        "ALTER TABLE orders ADD COLUMN d int NOT NULL DEFAULT 1",
        "ALTER TABLE orders ADD COLUMN d bigserial NOT NULL",
        "ALTER TABLE orders ADD COLUMN d int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE orders ALTER COLUMN a SET DEFAULT 1",
        "ALTER TYPE mood ADD VALUE 'new'",
        "DROP INDEX IF EXISTS nothing",
        "CREATE TABLE fresh (i int, j int); ALTER TABLE fresh DROP COLUMN j; DROP TABLE fresh",
        "ALTER INDEX orders_pkey RENAME TO orders_key",
    ],
)
def test_what_nobody_can_mind_is_not_found(folder: Folder, found: Found, statement: str) -> None:
    assert found("breaking-change", folder({"1_a.sql": BEFORE, "2_b.sql": f"{statement};"})) == []


def test_a_tool_that_is_not_installed_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squawk, "_program", lambda: None)
    project = folder({"1_a.sql": "SELECT 1;"})
    asked = lint(project)
    assert asked.not_asked == ("squawk",)
    assert "squawk is not installed: its rules were not asked" in text(asked)
    assert "squawk" not in text(lint(project, ignore=["squawk"]))


def test_squawk_is_looked_for_beside_the_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    before = squawk.is_installed()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert squawk.is_installed() is before
