"""Where statements end, and where they stand."""

from __future__ import annotations

import pytest

from pgslate.catalog.blocks import blocks
from pgslate.catalog.statements import Statement, split, without_spacing
from pgslate.errors import CatalogError, SqlSyntaxError


def texts(source: str) -> list[str]:
    return [statement.text for statement in split(source)]


ATOMIC = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END"

CASES = {
    "a semicolon ends a statement": ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
    "the last needs none": ("SELECT 1;\nSELECT 2", ["SELECT 1", "SELECT 2"]),
    "empty statements are none": (";; SELECT 1 ;;\n;", ["SELECT 1"]),
    "a comment alone is none": ("-- nothing;\n/* here; */", []),
    "strings": ("SELECT ';', 'it''s; ', E'\\';', U&'\\0441;', N';', B'01'", None),
    "an escape string that ends in a backslash": (
        "SELECT E'\\\\'; SELECT ';'",
        ["SELECT E'\\\\'", "SELECT ';'"],
    ),
    "a plain string that ends in a backslash": ("SELECT '\\'; SELECT 2", ["SELECT '\\'", "SELECT 2"]),
    "quoted names": ('SELECT 1 AS "a;b""c;"; SELECT 2', ['SELECT 1 AS "a;b""c;"', "SELECT 2"]),
    "dollar quotes": (
        "SELECT $$;$$, $a$;$$;$a$, $é$;$é$; SELECT 2",
        ["SELECT $$;$$, $a$;$$;$a$, $é$;$é$", "SELECT 2"],
    ),
    "a name with dollars opens no quote": ("SELECT 1 AS a$b$c; SELECT 2", ["SELECT 1 AS a$b$c", "SELECT 2"]),
    "parameters open no quote": (
        "PREPARE p AS SELECT $1::int; SELECT 2",
        ["PREPARE p AS SELECT $1::int", "SELECT 2"],
    ),
    "line comments": ("SELECT 1 -- a; b'\n; SELECT 2", ["SELECT 1 -- a; b'", "SELECT 2"]),
    "a comment ends at a carriage return": ("-- old Mac;\rSELECT 1;\rSELECT 2", ["SELECT 1", "SELECT 2"]),
    "nested comments": ("SELECT 1 /* ; /* ; */ ; */; SELECT 2", ["SELECT 1 /* ; /* ; */ ; */", "SELECT 2"]),
    "operators beside comments": (
        "SELECT 1 +-- ;\n2; SELECT 4 */* ; */ 2",
        ["SELECT 1 +-- ;\n2", "SELECT 4 */* ; */ 2"],
    ),
    "a rule's actions stand in parentheses": (
        "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); SELECT 3",
        ["CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", "SELECT 3"],
    ),
    "the body of an SQL function": (
        ATOMIC + "; SELECT 3",
        [
            ATOMIC,
            "SELECT 3",
        ],
    ),
    "BEGIN alone opens no body": ("BEGIN; SELECT 1; END", ["BEGIN", "SELECT 1", "END"]),
    "names beyond the basic plane": ("SELECT 1 AS 𐎠e; SELECT '🙂;'", ["SELECT 1 AS 𐎠e", "SELECT '🙂;'"]),
    "casts and slices": (
        "SELECT a[1:2]::text[] FROM t; SELECT 2",
        ["SELECT a[1:2]::text[] FROM t", "SELECT 2"],
    ),
}


@pytest.mark.parametrize(("source", "expected"), CASES.values(), ids=CASES)
def test_a_file_is_split_as_psql_splits_it(source: str, expected: list[str] | None) -> None:
    assert texts(source) == (expected if expected is not None else [source])


def test_each_statement_has_its_place_in_characters() -> None:
    places = [(s.line, s.column) for s in split("SELECT 'é';\n\n  /* € */ SELECT 2;\r\nSELECT 3")]
    assert places == [(1, 1), (3, 11), (4, 1)]


def test_places_count_from_the_line_that_the_text_begins_on() -> None:
    assert split("\nSELECT 1", first_line=40)[0].line == 41


def test_the_data_of_copy_follow_its_line() -> None:
    copy, after = split("COPY t (a) FROM stdin; -- note\n1\n\\N\nSELECT 'not SQL;'\n\\.\nSELECT 2;")
    assert (copy.kind, copy.data) == ("CopyStmt", "1\n\\N\nSELECT 'not SQL;'\n")
    assert (after.text, after.line) == ("SELECT 2", 6)


@pytest.mark.parametrize(
    "source", ["COPY t FROM '/tmp/stdin'", "COPY (SELECT 'from stdin') TO STDOUT", "COPY t TO STDOUT"]
)
def test_other_copies_have_no_data(source: str) -> None:
    assert split(source + "; SELECT 1")[0].data is None


def test_copy_without_the_end_of_its_data_is_an_error() -> None:
    with pytest.raises(SqlSyntaxError, match="without its data") as raised:
        split("COPY t FROM stdin;\n1\n", file="1.sql")
    assert str(raised.value.place) == "1.sql:1:18"


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ("SELECT 'open", "unterminated string", "f.sql:1:8"),
        ('SELECT "open', "unterminated quoted name", "f.sql:1:8"),
        ("DO $x$ BEGIN END $y$", "unterminated dollar-quoted string \\$x\\$", "f.sql:1:4"),
        ("/* one /* two */", "unterminated comment", "f.sql:1:1"),
        ("SELECT 1;\n\\connect other", "backslash command", "f.sql:2:1"),
        ("SELECT 1 \\gexec", "backslash command", "f.sql:1:10"),
    ],
)
def test_an_error_points_at_the_token(source: str, message: str, place: str) -> None:
    with pytest.raises(SqlSyntaxError, match=message) as raised:
        split(source, file="f.sql")
    assert str(raised.value.place) == place
    assert raised.value.place is not None
    assert raised.value.place.caret().endswith("^")
    assert raised.value.fix


@pytest.mark.parametrize("word", ["ROLLBACK", "ABORT", "ROLLBACK AND CHAIN", "PREPARE TRANSACTION 'x'"])
def test_a_migration_can_not_undo_its_transaction(word: str) -> None:
    with pytest.raises(CatalogError, match="the transaction it runs in"):
        split(f"SELECT 1; {word};")


@pytest.mark.parametrize(
    "word", ["COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "commit /* now */ prepared 'x'"]
)
def test_a_prepared_transaction_is_refused_with_its_place(word: str) -> None:
    with pytest.raises(CatalogError, match="a prepared transaction is no part of a schema") as raised:
        split(f"SELECT 1;\n{word};", file="f.sql")
    assert str(raised.value.place) == "f.sql:2:1"


def test_savepoints_are_the_migrations_own() -> None:
    assert texts("SAVEPOINT a; ROLLBACK TO a; RELEASE a") == ["SAVEPOINT a", "ROLLBACK TO a", "RELEASE a"]


OUTSIDE = [
    "CREATE INDEX CONCURRENTLY i ON t (a)",
    "DROP INDEX CONCURRENTLY i",
    "REINDEX TABLE CONCURRENTLY t",
    "REINDEX SCHEMA public",
    "VACUUM t",
    "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
    "ALTER SYSTEM SET work_mem = '1MB'",
    "CREATE DATABASE d",
]


@pytest.mark.parametrize("source", OUTSIDE)
def test_what_no_transaction_may_hold_is_known(source: str) -> None:
    assert split(source)[0].outside_transaction


@pytest.mark.parametrize(
    "source", ["CREATE INDEX i ON t (a)", "REINDEX TABLE t", "ANALYZE t", "DROP INDEX i"]
)
def test_what_a_transaction_may_hold_is_known(source: str) -> None:
    assert not split(source)[0].outside_transaction


def shape(source: str, *, transactional: bool = True) -> list[tuple[int, list[str], bool]]:
    return [
        (block.first, [one.text for one in block.statements], block.transactional)
        for block in blocks(split(source), transactional=transactional)
    ]


def test_a_file_is_one_transaction_unless_it_says_otherwise() -> None:
    assert shape("SELECT 1; SELECT 2") == [(0, ["SELECT 1", "SELECT 2"], True)]
    assert shape("SELECT 1; SELECT 2", transactional=False) == [
        (0, ["SELECT 1"], False),
        (1, ["SELECT 2"], False),
    ]


def test_begin_and_commit_frame_a_transaction_of_their_own() -> None:
    source = "SELECT 1; BEGIN; SELECT 2; SELECT 3; COMMIT; SELECT 4"
    assert shape(source, transactional=False) == [
        (0, ["SELECT 1"], False),
        (2, ["SELECT 2", "SELECT 3"], True),
        (5, ["SELECT 4"], False),
    ]


def test_what_can_not_be_in_a_transaction_stands_alone_between_two() -> None:
    index = "CREATE INDEX CONCURRENTLY i ON t (a)"
    assert shape(f"SELECT 1; {index}; SELECT 2") == [
        (0, ["SELECT 1"], True),
        (1, [index], False),
        (2, ["SELECT 2"], True),
    ]


def test_the_first_line_of_a_statement_is_short() -> None:
    statement = Statement("SELECT\n  " + "1, " * 80 + "2", 1, 1, "SelectStmt")
    assert len(statement.first_line) == 100
    assert "\n" not in statement.first_line


@pytest.mark.parametrize(
    ("text", "other", "is_same"),
    [
        ("SELECT  1 ,\n 2", "SELECT 1 , 2", True),
        ("SELECT 'a  b'", "SELECT 'a b'", False),
        ("SELECT E'it\\'s  a'", "SELECT E'it\\'s a'", False),
        ("SELECT $x$a\n b$x$", "SELECT $x$a b$x$", False),
        ('SELECT 1 AS "a  b"', 'SELECT 1 AS "a b"', False),
        ("SELECT 1 -- it's\n,  2, 'a'", "SELECT 1 -- it's\n, 2,\n'a'", True),
        ("COPY a FROM stdin;\nx\ty\n\\.\n", "COPY a FROM stdin;\nx y\n\\.\n", False),
    ],
)
def test_spacing_counts_where_it_is_data(text: str, other: str, is_same: bool) -> None:
    (one,), (two,) = split(text), split(other)
    assert (without_spacing(one) == without_spacing(two)) is is_same
