"""Liquibase: what the annotations of a file of SQL say."""

from __future__ import annotations

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, DuplicateVersionError

HEADER = "--liquibase formatted sql\n"


def run(catalog: Catalog) -> list[str]:
    return [statement.text for migration in catalog for statement in migration.statements]


def test_a_changeset_is_a_migration_with_its_lines(load: Load) -> None:
    text = (
        HEADER + "\n--changeset me:1\n--comment why\nSELECT 1;\n--rollback SELECT 0;\n\n-- changeset me:b\n"
    )
    catalog = load({"a.sql": text + "SELECT\n2;\nSELECT 3;\n"})
    assert [(m.version, m.name, m.file) for m in catalog] == [
        ("a.sql::1::me", "me:1", "a.sql"),
        ("a.sql::b::me", "me:b", "a.sql"),
    ]
    assert [[(s.text, s.line) for s in m.statements] for m in catalog] == [
        [("SELECT 1", 5)],
        [("SELECT\n2", 9), ("SELECT 3", 11)],
    ]


def test_a_changeset_added_to_a_file_changes_none_before_it(load: Load) -> None:
    text = HEADER + "--changeset me:1\nSELECT 1;\n"
    before = load({"a.sql": text}).migrations
    after = load({"a.sql": text + "\n--changeset me:2\nSELECT 2;\n"}).migrations
    assert [m.checksum for m in before] == [m.checksum for m in after[:1]]


def test_files_run_by_name_and_changesets_where_they_stand(load: Load) -> None:
    files = {
        "b.sql": HEADER + "--changeset me:1\nSELECT 3;",
        "a.sql": HEADER + "--changeset me:2\nSELECT 1;\n--changeset me:1\nSELECT 2;",
        "schema.sql": "SELECT 0;",
        "a.rollback.sql": "SELECT 0;",
    }
    assert run(load(files)) == ["SELECT 1", "SELECT 2", "SELECT 3"]


def test_a_file_of_changesets_is_run_whatever_its_name_ends_in(load: Load) -> None:
    files = {
        "4_a.sql": HEADER + "--changeset me:1\nSELECT 1;",
        "5_scale_down.sql": HEADER + "--changeset me:2\nSELECT 2;",
    }
    assert run(load(files)) == ["SELECT 1", "SELECT 2"]


def test_a_path_may_be_logical(load: Load) -> None:
    text = "--liquibase formatted sql logicalFilePath:old/a.sql\n--changeset me:1\nSELECT 1;\n"
    text += "--changeset me:2 logicalFilePath:b.sql\nSELECT 2;\n"
    assert [m.version for m in load({"a.sql": text})] == ["old/a.sql::1::me", "b.sql::2::me"]


def test_the_way_back_is_left_out_also_where_it_has_many_lines(load: Load) -> None:
    text = (
        "--changeset me:1\nSELECT 1;\n/* liquibase rollback\nSELECT 0;\n*/\n--rollback SELECT 0;\nSELECT 2;"
    )
    assert run(load({"a.sql": HEADER + text})) == ["SELECT 1", "SELECT 2"]


def test_lines_that_are_to_be_ignored_are(load: Load) -> None:
    text = "--changeset me:1\nSELECT 1;\n--ignoreLines:start\n\\echo x\n--changeset me:2\n--ignoreLines:end\n"
    text += "SELECT 2;\n--ignoreLines:1\n\\q\nSELECT 3;\n"
    assert run(load({"a.sql": HEADER + text})) == ["SELECT 1", "SELECT 2", "SELECT 3"]


@pytest.mark.parametrize(
    ("attributes", "transactional", "repeatable"),
    [
        ("", True, False),
        ("runInTransaction:false", False, False),
        ("runOnChange:true", True, True),
        ("runAlways:true runInTransaction:false", False, True),
        ("runOnChange:false", True, False),
    ],
)
def test_attributes_say_how_a_changeset_runs(
    attributes: str, transactional: bool, repeatable: bool, load: Load
) -> None:
    migration = load({"a.sql": f"{HEADER}--changeset me:1 {attributes}\nSELECT 1;"}).migrations[0]
    assert (migration.transactional, migration.repeatable) == (transactional, repeatable)


def test_a_changeset_that_runs_on_change_keeps_its_place(load: Load) -> None:
    text = "--changeset me:1 runOnChange:true\nSELECT 1;\n--changeset me:2\nSELECT 2;\n"
    assert run(load({"a.sql": HEADER + text})) == ["SELECT 1", "SELECT 2"]


@pytest.mark.parametrize(
    ("attributes", "runs"),
    [
        ("dbms:postgresql,h2", True),
        ("dbms:mysql", False),
        ("dbms:!mysql", True),
        ("dbms:!postgresql", False),
        ("context:test", True),
        ('context:"!test and prod" labels:x', True),
        ("contextFilter:@test", False),
        ('contextFilter:"(@a or !@b) and c"', True),
        ("context:!nocontexts", False),
        ("ignore:true", False),
    ],
)
def test_attributes_leave_a_changeset_out_as_liquibase_does(attributes: str, runs: bool, load: Load) -> None:
    text = f"{HEADER}--changeset me:0\nSELECT 0;\n--changeset me:1 {attributes}\nSELECT 1;"
    assert (len(load({"a.sql": text})) == 2) is runs


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ("endDelimiter:/", "SELECT 4 / 2\n/\nSELECT 1\n/\n"),
        ("endDelimiter:@@", "SELECT 4 / 2@@\nSELECT 1 @@"),
        ("endDelimiter:--//", "SELECT 4 / 2\n--//\nSELECT 1\n--//\n"),
        ("endDelimiter:$$", "SELECT 4 / 2$$\nSELECT 1\n$$\n"),
        (r"endDelimiter:\nGO$", "SELECT 4 / 2\nGO\nSELECT 1\ngo\n"),
        (r"endDelimiter:\nGO", "SELECT 4 / 2\nGO\nSELECT 1\ngo\n"),
        ("", "SELECT 4 / 2\nGO\nSELECT 1;\n"),
        ("splitStatements:false", "SELECT 4 / 2;\nSELECT 1"),
    ],
)
def test_statements_end_at_the_delimiter(attributes: str, text: str, load: Load) -> None:
    catalog = load({"a.sql": f"{HEADER}--changeset me:1 {attributes}\n{text}"})
    assert run(catalog) == ["SELECT 4 / 2", "SELECT 1"]


def test_a_delimiter_in_a_body_ends_nothing(load: Load) -> None:
    body = "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$\nSELECT 4\n/\n2;\n$$"
    assert run(load({"a.sql": f"{HEADER}--changeset me:1 endDelimiter:/\n{body}\n/\n"})) == [body]


def test_properties_and_defines_are_put_in(load: Load) -> None:
    text = (
        "--property name:type value:jsonb dbms:postgresql\n--property name:type value:clob dbms:oracle\n"
        "--changeset me:1\nCREATE TABLE ${who}.t (a ${type}); SELECT '${unknown}';\n"
    )
    assert run(load({"a.sql": HEADER + text}, defines={"who": "app"})) == [
        "CREATE TABLE app.t (a jsonb)",
        "SELECT '${unknown}'",
    ]
    with pytest.raises(CatalogError, match="who is a variable") as raised:
        load({"a.sql": HEADER + text})
    assert str(raised.value.place) == "a.sql:5:14"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("SELECT 1;\n--changeset me:1\nSELECT 1;", "above the first --changeset", 2),
        ("-- nothing\n", "has no --changeset", 1),
        ("--changeset me\nSELECT 1;", "no annotation", 2),
        ("--changeset me: 1\nSELECT 1;", "no annotation", 2),
        ("--changeset me:1\nSELECT 1;\n-rollback x", "no annotation", 4),
        ("--changeset me:1\n--comments: x\nSELECT 1;", "no annotation", 3),
        ("--changeset me:1\n--ignoreLines:all\nSELECT 1;", "ignores no lines", 3),
        ("--changeset me:1\nSELECT 1;\n/* liquibase rollback\nSELECT 0;", "never closed", 4),
        ("--changeset me:1\n--rollback x\n--changeset me:2\nSELECT 1;", "me:1 holds no SQL", 2),
        ("--include file:b.sql\n--changeset me:1\nSELECT 1;", "includes in changelogs alone", 2),
    ],
)
def test_what_makes_no_sense_is_an_error(text: str, message: str, line: int, load: Load) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({"a.sql": HEADER + text})
    assert raised.value.place is not None
    assert raised.value.place.line == line
    assert raised.value.fix


def test_an_identity_that_is_used_twice_is_an_error(load: Load) -> None:
    text = "--changeset me:1\nSELECT 1;\n--changeset me:1\nSELECT 2;\n"
    with pytest.raises(
        DuplicateVersionError, match=r"a\.sql::1::me stands twice: in a\.sql:2 and in a\.sql:4"
    ):
        load({"a.sql": HEADER + text})
