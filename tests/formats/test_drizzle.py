"""Drizzle's journal, its folders without one, and where it cuts a file."""

from __future__ import annotations

import json

import pytest
from tests.formats.conftest import Load

from pgslate.errors import CatalogError

JOURNAL = "meta/_journal.json"


def journal(*tags: str, dialect: str = "postgresql") -> dict[str, str]:
    entries = [{"idx": i, "when": 1000 - i, "tag": tag, "breakpoints": True} for i, tag in enumerate(tags)]
    return {JOURNAL: json.dumps({"version": "7", "dialect": dialect, "entries": entries}, indent=1)}


def test_the_journal_gives_the_order(load: Load) -> None:
    files = {"0000_a.sql": "SELECT 1;", "0001_b.sql": "SELECT 2;", "last.sql": "SELECT 3;"}
    catalog = load(files | journal("0001_b", "last", "0000_a"))
    assert [(m.version, m.name) for m in catalog] == [("0001_b", "b"), ("last", "last"), ("0000_a", "a")]
    assert catalog.evidence.startswith("there is meta/_journal.json")


def test_a_number_may_be_used_by_two_tags(load: Load) -> None:
    files = {"0001_a.sql": "SELECT 1;", "0001_b.sql": "SELECT 2;"}
    assert [m.version for m in load(files | journal("0001_b", "0001_a"))] == ["0001_b", "0001_a"]


def test_a_statement_ends_at_a_breakpoint_with_or_without_its_semicolon(load: Load) -> None:
    text = "SELECT 1;--> statement-breakpoint\nSELECT 2\n--> statement-breakpoint\n  SELECT 3"
    statements = load({"0000_a.sql": text} | journal("0000_a")).migrations[0].statements
    assert [(s.text, s.line, s.column) for s in statements] == [
        ("SELECT 1", 1, 1),
        ("SELECT 2", 2, 1),
        ("SELECT 3", 4, 3),
    ]


@pytest.mark.parametrize("comment", ["-- people", "--", '-- it\'s; a "name" /* $$', "-- a -- b "])
def test_a_comment_ends_at_a_breakpoint(comment: str, load: Load) -> None:
    text = f"SELECT 1 {comment}--> statement-breakpoint\nSELECT 2--> statement-breakpoint SELECT 3"
    statements = load({"0000_a.sql": text} | journal("0000_a")).migrations[0].statements
    assert [(s.text, s.line, s.column) for s in statements] == [
        ("SELECT 1", 1, 1),
        ("SELECT 2", 2, 1),
        ("SELECT 3", 2, 34),
    ]


def test_a_file_is_one_transaction(load: Load) -> None:
    text = "SELECT 1;\n--> statement-breakpoint\nSELECT 2;"
    blocks = load({"0000_a.sql": text} | journal("0000_a")).migrations[0].blocks
    assert [(len(block.statements), block.transactional) for block in blocks] == [(2, True)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/*\nCREATE TABLE a (i int);\n--> statement-breakpoint\nSELECT 1;\n*/\n", "0000_a.sql:3:1"),
        ("SELECT 'x\n--> statement-breakpoint\n';", "0000_a.sql:2:1"),
        ("DO $$\nBEGIN\n  NULL; --> statement-breakpoint\nEND $$;", "0000_a.sql:3:9"),
    ],
)
def test_a_breakpoint_that_cuts_something_in_two_is_an_error(text: str, place: str, load: Load) -> None:
    with pytest.raises(CatalogError, match="which Drizzle cuts in two") as raised:
        load({"0000_a.sql": text} | journal("0000_a"))
    assert str(raised.value.place) == place
    assert "drizzle-kit pull" in raised.value.fix


@pytest.mark.parametrize("file", ["0001_b.sql", "20240101000000_c/migration.sql"])
def test_a_file_that_the_journal_does_not_name_is_an_error(file: str, load: Load) -> None:
    files = {"0000_a.sql": "SELECT 1;", file: "SELECT 2;"} | journal("0000_a")
    with pytest.raises(CatalogError, match=f"doesn't name {file}") as raised:
        load(files)
    assert f'ignore = ["{file}"]' in raised.value.fix
    assert len(load(files, ignore=[file])) == 1


def test_an_entry_without_its_file_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"no file 0001_b\.sql") as raised:
        load({"0000_a.sql": "SELECT 1;"} | journal("0000_a", "0001_b"))
    assert str(raised.value.place) == "meta/_journal.json:14:11"


def test_a_tag_that_is_named_twice_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="0000_a is named twice") as raised:
        load({"0000_a.sql": "SELECT 1;"} | journal("0000_a", "0000_a"))
    assert str(raised.value.place) == "meta/_journal.json:14:11"


def test_migrations_for_another_database_are_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="for sqlite") as raised:
        load({"0000_a.sql": "SELECT 1;"} | journal("0000_a", dialect="sqlite"))
    assert str(raised.value.place) == "meta/_journal.json:3:13"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ("[]", "no entries"),
        ('{"entries": [{"idx": 0}]}', "no entries that each have a tag"),
        ("[" * 100_000, "nested too deep for a journal"),
        ("[" + "9" * 5000 + "]", "a number of 5000 digits"),
    ],
)
def test_a_journal_that_can_not_be_read_is_an_error(text: str, message: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({"0000_a.sql": "SELECT 1;", JOURNAL: text})
    assert str(raised.value.place) in ("meta/_journal.json:1:1", "meta/_journal.json:1:2")


def test_folders_with_snapshots_are_run_by_name(load: Load) -> None:
    files = {
        "20240102000000_b/migration.sql": "SELECT 2\n--> statement-breakpoint\nSELECT 3",
        "20240102000000_b/snapshot.json": "{}",
        "20240101000000_a/migration.sql": "SELECT 1;",
        "20240101000000_a/snapshot.json": "{}",
    }
    catalog = load(files)
    assert catalog.format == "drizzle"
    assert catalog.evidence == "20240101000000_a/migration.sql beside its snapshot.json"
    assert [(m.version, m.name, len(m.statements)) for m in catalog] == [
        ("20240101000000_a", "a", 1),
        ("20240102000000_b", "b", 2),
    ]
