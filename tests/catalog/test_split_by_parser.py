"""The splitter against PostgreSQL's own grammar: both find the same statements at the same places."""

from __future__ import annotations

import pgparse
from hypothesis import given, settings
from hypothesis import strategies as st

from pgslate.catalog.statements import split

STATEMENTS = (
    "SELECT 1",
    "SELECT ';''', $$;$$, $é$ $$;' $é$",
    "SELECT E'\\';\\\\', U&'\\0441', 'back\\'",
    'CREATE TABLE "a;b" ("é"" ;" int, c text DEFAULT \';\')',
    "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b)",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
    "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $fn$ BEGIN PERFORM ';'; END; $fn$",
    "DO $do$ DECLARE x text := $q$;$q$; BEGIN NULL; END $do$",
    "INSERT INTO t VALUES (1, '🙂;'), (2, 'é')",
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a[1:2] <> '{}'::int[])",
    "COMMENT ON TABLE t IS $$it's; fine$$",
    "BEGIN",
    "COMMIT",
    "SELECT 4 - -2, 1 +-1, 6 / 2, 'a' || 'b', a -> 'b' #>> '{c}'",
    "SELECT a$b$c AS d$e FROM begin_x",
)
GAPS = ("", " ", "\n", "\t", "\r\n", "-- a; b 'c\n", "/* ; /* ' */ $$ */", "--\r")

gap = st.lists(st.sampled_from(GAPS), max_size=3).map("".join)
source = st.lists(st.tuples(gap, st.sampled_from(STATEMENTS), gap), max_size=8).map(
    lambda parts: "".join(f"{before}{text}{after};" for before, text, after in parts)
)


@given(source=source, tail=gap)
@settings(max_examples=150, deadline=None)
def test_statements_begin_and_end_where_the_grammar_says(source: str, tail: str) -> None:
    text = source + tail
    assert [s.text for s in split(text)] == bounds(text)


@given(source=source)
@settings(max_examples=60, deadline=None)
def test_places_lead_back_to_the_statements(source: str) -> None:
    lines = source.split("\n")
    for statement in split(source):
        rest = "\n".join([lines[statement.line - 1][statement.column - 1 :], *lines[statement.line :]])
        assert rest.startswith(statement.text)


def bounds(text: str) -> list[str]:
    """The statements as the grammar bounds them (in bytes), without the comments and spaces before them."""
    encoded = text.encode()
    found = []
    for raw in pgparse.parse(text):
        if not raw.get("stmt"):
            continue
        start = raw.get("stmt_location", 0)
        length = raw.get("stmt_len", 0)
        whole = encoded[start : start + length if length else None].decode()
        found.append(without_gap(whole).rstrip())
    return found


def without_gap(text: str) -> str:
    """``text`` from the statement on that stands in it."""
    return min((text[text.index(one) :] for one in STATEMENTS if one in text), key=lambda rest: -len(rest))
