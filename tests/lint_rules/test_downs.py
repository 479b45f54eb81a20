"""Downs are run, and what they leave is compared with what was there before."""

from __future__ import annotations

import pytest

from pgslate.report import lint as report
from pgslate.verbs.lint import lint

from .conftest import Folder, Found

GOOSE = """-- +goose Up
CREATE TABLE a (i int PRIMARY KEY);
CREATE TYPE mood AS ENUM ('x');
-- +goose Down
DROP TABLE a;
"""


def test_what_a_down_forgets_is_named_with_the_line_of_the_down(folder: Folder, found: Found) -> None:
    (finding,) = found("down", folder({"1_a.sql": GOOSE}))
    assert (finding.file, finding.line) == ("1_a.sql", 5)
    assert "type public.mood is left behind" in finding.message


def test_a_down_that_brings_all_back_is_fine_and_later_migrations_go_on_from_the_up(
    folder: Folder, found: Found
) -> None:
    project = folder(
        {
            "1_a.sql": GOOSE + "DROP TYPE mood;\n",
            "2_b.sql": "-- +goose Up\nALTER TABLE a ADD COLUMN m mood;\n"
            "-- +goose Down\nALTER TABLE a DROP COLUMN m;\n",
            "3_c.sql": "-- +goose Up\nALTER TABLE a DROP COLUMN m;\n"
            "-- +goose Down\nALTER TABLE a ADD m text;\n",
        }
    )
    (finding,) = found("down", project)
    assert finding.file == "3_c.sql"
    assert "column public.a.m is type text, and was type public.mood" in finding.message


def test_a_down_that_fails_says_what_postgresql_said(folder: Folder, found: Found) -> None:
    (finding,) = found(
        "down",
        folder({"1_a.up.sql": "CREATE TABLE a (i int);", "1_a.down.sql": "DROP TABLE a;\nDROP TABLE b;"}),
    )
    assert (finding.file, finding.line) == ("1_a.down.sql", 2)
    assert 'table "b" does not exist' in finding.message


def function(*lines: str) -> str:
    body = "\n".join(lines)
    return f"CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$\n{body}\n$$;\n"


def changed_for_good(*, before: str, after: str) -> dict[str, str]:
    """A catalog whose second migration changes what is there, with a Down that does nothing."""
    return {"1_a.up.sql": before, "2_b.up.sql": after, "2_b.down.sql": "SELECT 1;"}


def test_of_a_function_that_differs_only_the_lines_that_differ_are_shown(folder: Folder) -> None:
    rest = [f"-- line {number}" for number in range(100)]
    files = changed_for_good(before=function("SELECT 1", *rest), after=function("SELECT 2", *rest))
    findings = lint(folder(files), rules=["down"])
    (finding,) = findings.findings
    said = report.text(findings).splitlines()
    assert said[0] == (
        "2_b.down.sql:1: the Down doesn't bring back what was there before:"
        " function f() is not as it was [down]"
    )
    assert said[1:3] == ["    --- function f() before", "    +++ after the Down"]
    assert said[5:8] == ["    -SELECT 1", "    +SELECT 2", "     -- line 0"]
    assert said[8].startswith("    fix: ")
    assert "-- line 99" in finding.as_json()["message"]


def test_a_long_difference_is_cut_and_says_by_how_much(folder: Folder, found: Found) -> None:
    files = changed_for_good(
        before=function("SELECT 1", *(f"-- old {number}" for number in range(40))), after=function("SELECT 2")
    )
    (finding,) = found("down", folder(files))
    assert len(finding.excerpt) == 13
    assert finding.excerpt[-1] == "... 34 more lines"


def test_a_column_that_comes_back_at_the_end_is_back(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.up.sql": "CREATE TABLE a (i int, j int);",
            "2_b.up.sql": "ALTER TABLE a DROP COLUMN i;",
            "2_b.down.sql": "ALTER TABLE a ADD COLUMN i int;",
        }
    )
    assert found("down", project) == []


def test_a_down_outside_of_a_transaction_is_run_on_a_copy(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "-- migrate:up\nCREATE TABLE a (i int);\n-- migrate:down\nDROP TABLE a;\n",
            "2_b.sql": "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY x ON a (i);\n"
            "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY x;\n",
            "3_c.sql": "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY y ON a (i);\n"
            "-- migrate:down transaction:false\nDROP INDEX CONCURRENTLY x;\n",
        }
    )
    (finding,) = found("down", project)
    assert finding.file == "3_c.sql"
    assert "index public.x is called public.y" in finding.message


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("1_a/up.sql", "1_a/down.sql"),
        ("1_a.up.sql", "1_a.down.sql"),
        ("V1__a.sql", "U1__a.sql"),
        ("20240101000000_a/migration.sql", "20240101000000_a/down.sql"),
        ("a.sql", "a.rollback.sql"),
        ("deploy/a.sql", "revert/a.sql"),
        ("up/1.sql", "down/1.sql"),
        ("ups/1.sql", "downs/1.sql"),
    ],
)
def test_a_down_is_found_beside_its_up(folder: Folder, found: Found, up: str, down: str) -> None:
    files = {up: "CREATE TABLE a (i int);", down: "SELECT 1;"}
    if "migration.sql" in up:
        files["migration_lock.toml"] = 'provider = "postgresql"'
    if "rollback" in down:
        files["yoyo.ini"] = ""
    if "revert" in down:
        files["sqitch.plan"] = "%project=shop\na 2024-01-01T00:00:00Z me <me@shop>\n"
    (finding,) = found("down", folder(files))
    assert (finding.file, finding.line) == (down, 1)
    assert "table public.a is left behind" in finding.message


TERN = "---- create above / drop below ----"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"CREATE TABLE a (i int);\n{TERN}\nSELECT 1;", 3),
        (f"CREATE TABLE a (i int); {TERN}\nSELECT 1;\n", 2),
        (f"CREATE TABLE a (i int);\n{TERN} SELECT 1;\n{TERN}\nSELECT 2;", 2),
        ("-- Up Migration\nCREATE TABLE a (i int);\n\n-- Down Migration\nSELECT 1;", 5),
        ("-- Down migration --\nSELECT 1;\n-- Up migration --\nCREATE TABLE a (i int);", 2),
        ("CREATE TABLE a (i int);\n-- //@UNDO\nSELECT 1;\n", 3),
        ("-- Up\nCREATE TABLE a (i int);\n-- Down\nSELECT 1;\n", 4),
    ],
)
def test_a_down_is_found_below_its_mark(folder: Folder, found: Found, text: str, line: int) -> None:
    (finding,) = found("down", folder({"1_a.sql": text}))
    assert (finding.file, finding.line) == ("1_a.sql", line)
    assert "table public.a is left behind" in finding.message


def test_node_pg_migrate_may_have_its_downs_below_a_title_or_beside(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "-- Up Migration\nCREATE TABLE a (i int);\n-- Down Migration\nDROP TABLE a;",
            "2_b.up.sql": "CREATE TABLE b (i int);",
            "2_b.down.sql": "SELECT 1;",
        }
    )
    assert [finding.file for finding in found("down", project)] == ["2_b.down.sql"]


def test_a_down_below_a_mark_of_a_plain_file_has_its_variables(folder: Folder, found: Found) -> None:
    text = 'CREATE TABLE :"table" (i int);\n-- //@UNDO\nDROP TABLE :"table";\n'
    assert found("down", folder({"1_a.sql": text}, '[defines]\ntable = "a"\n')) == []


def test_comments_below_a_mark_of_a_plain_file_are_no_down(folder: Folder, found: Found) -> None:
    text = "CREATE TABLE a (i int);\n-- Rollback:\n-- DROP TABLE a;\n"
    assert found("down", folder({"1_a.sql": text})) == []


def test_sqitch_fills_its_variables_into_a_revert(folder: Folder, found: Found) -> None:
    files = {
        "sqitch.plan": "%project=shop\na 2024-01-01T00:00:00Z me <me@shop>\n",
        "deploy/a.sql": 'CREATE TABLE :"table" (i int);',
        "revert/a.sql": 'DROP TABLE :"table";',
    }
    assert found("down", folder(files, '[defines]\ntable = "a"\n')) == []


def test_the_rollbacks_of_a_liquibase_changeset_are_its_down(folder: Folder, found: Found) -> None:
    files = {
        "a.sql": """--liquibase formatted sql
--property name:table value:a
--changeset me:1
CREATE TABLE ${table} (i int);
--rollback DROP TABLE
--rollback ${table};
--changeset me:2
CREATE TABLE b (i int);
CREATE TABLE c (i int);
/* liquibase rollback
DROP TABLE c;
SELECT 1; */
--changeset me:3
CREATE TABLE d (i int);
--rollback not required
--changeset me:4
CREATE TABLE e (i int);
--rollback changesetId:1 changesetAuthor:me
--changeset me:5
CREATE TABLE f (i int);
--rollback empty
"""
    }
    (finding,) = found("down", folder(files))
    assert (finding.file, finding.line) == ("a.sql", 11)
    assert "table public.b is left behind" in finding.message


def test_migrations_without_a_down_are_not_blamed(folder: Folder, found: Found) -> None:
    assert found("down", folder({"1_a.sql": "CREATE TABLE a (i int);"})) == []
