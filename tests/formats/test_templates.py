"""Values put into SQL, and what is left alone."""

from __future__ import annotations

import pytest
from tests.formats.conftest import Load

from pgslate.errors import CatalogError


def run(catalog: object) -> list[str]:
    return [s.text for m in catalog for s in m.statements]  # type: ignore[attr-defined]  # a Catalog


def test_a_go_template_is_filled_in_where_one_plainly_stands(load: Load) -> None:
    text = """CREATE TABLE {{ index .Options "Namespace" }}.t (a text DEFAULT '{{ .Options.Other }}');"""
    assert run(load({"1_a.up.sql": text}, defines={"Namespace": "auth", "Other": "x"})) == [
        "CREATE TABLE auth.t (a text DEFAULT 'x')"
    ]


def test_a_go_template_in_one_file_makes_all_files_templates(load: Load) -> None:
    files = {"1_a.sql": "CREATE SCHEMA {{.ns}};", "2_b.sql": "DO $$ BEGIN DROP SCHEMA {{ .ns }}; END $$;"}
    assert run(load(files, defines={"ns": "x"})) == ["CREATE SCHEMA x", "DO $$ BEGIN DROP SCHEMA x; END $$"]


def test_a_variable_that_is_not_set_is_an_error_with_its_place(load: Load) -> None:
    with pytest.raises(CatalogError, match="ns is a variable") as raised:
        load({"1_a.sql": "SELECT 1;\nCREATE SCHEMA {{.ns}};"})
    assert str(raised.value.place) == "1_a.sql:2:15"
    assert raised.value.fix == "give it with --define ns=VALUE"


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO mails VALUES ('Dear {{ .Name }}, ${sum} is due')",
        "SELECT '{{1,2},{3,4}}'::int[]",
        "COMMENT ON TABLE t IS $$ {{ x }} $$",
        "SELECT 1 -- {{ x }} ${y} :z",
        "SELECT a[1:n], now()::date, ':x', x :: text FROM t",
    ],
)
def test_what_a_migration_merely_stores_is_left_alone(text: str, load: Load) -> None:
    assert load({"1_a.sql": text + ";"}).migrations[0].source == text + ";"


def test_braces_are_filled_in_where_names_are_given(load: Load) -> None:
    text = "SELECT '${a} ${b}';"
    assert run(load({"1_a.sql": text}, defines={"a": "1"})) == ["SELECT '1 ${b}'"]
    with pytest.raises(CatalogError, match="schema is a variable"):
        load({"1_a.sql": "CREATE TABLE ${schema}.t ();"})


def test_psql_variables_are_quoted_as_psql_quotes_them(load: Load) -> None:
    text = """GRANT SELECT ON :"t" TO :role; SELECT :'who', ':who';"""
    assert run(load({"1_a.sql": text}, defines={"t": 'a"b', "role": "reader", "who": "O'Hara"})) == [
        'GRANT SELECT ON "a""b" TO reader',
        "SELECT 'O''Hara', ':who'",
    ]


@pytest.mark.parametrize("text", ["GRANT SELECT ON t TO :role", "SELECT :'who'", 'SELECT * FROM :"t"'])
def test_a_psql_variable_that_is_not_set_is_an_error(text: str, load: Load) -> None:
    with pytest.raises(CatalogError, match="is a variable of this migration"):
        load({"1_a.sql": text})


def test_comments_and_trims_of_a_go_template_are_followed(load: Load) -> None:
    text = "CREATE SCHEMA {{/* why */}}{{ .ns -}}\n  ;\nSELECT 1 {{- .more }};"
    assert run(load({"1_a.sql": text}, defines={"ns": "x", "more": ", 2"})) == [
        "CREATE SCHEMA x",
        "SELECT 1, 2",
    ]
