"""Liquibase: which files a changelog runs, and what is none."""

from __future__ import annotations

import json

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, CodeMigrationError, DuplicateVersionError, Place

HEADER = "--liquibase formatted sql\n"


def run(catalog: Catalog) -> list[str]:
    return [statement.text for migration in catalog for statement in migration.statements]


def xml(*elements: str) -> str:
    return "<?xml version='1.0'?>\n<databaseChangeLog>\n" + "\n".join(elements) + "\n</databaseChangeLog>\n"


ONE = {f"sql/{name}.sql": f"{HEADER}--changeset me:1\nSELECT '{name}';" for name in ("a", "b", "c")}
INCLUDES = [
    {"include": {"file": "sql/c.sql", "relativeToChangelogFile": True}},
    {"include": {"file": "migrations/sql/a.sql"}},
    {"include": {"file": "classpath:sql/b.sql", "context": "test"}},
]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("root.json", json.dumps({"databaseChangeLog": INCLUDES})),
        (
            "root.yaml",
            "databaseChangeLog:\n"
            "- include:\n    file: sql/c.sql\n    relativeToChangelogFile: true\n"
            "- include: {file: migrations/sql/a.sql}\n- include: {file: 'classpath:sql/b.sql'}\n",
        ),
        (
            "root.xml",
            xml(
                '<include relativeToChangelogFile="true" file="sql/c.sql"/>',
                '<include file="migrations/sql/a.sql"/>',
                '<includeAll path="sql" endsWithFilter="b.sql"/>',
            ),
        ),
    ],
)
def test_a_changelog_gives_the_order(file: str, text: str, load: Load) -> None:
    catalog = load(ONE | {file: text})
    assert run(catalog) == ["SELECT 'c'", "SELECT 'a'", "SELECT 'b'"]
    assert catalog.evidence == f"{file} is a changelog"


@pytest.mark.parametrize("file", ["002-revert.sql", "u/U1__x.sql", "down/a.sql"])
@pytest.mark.parametrize("kind", ["include", "includeAll"])
def test_what_a_changelog_includes_runs_whatever_its_name(kind: str, file: str, load: Load) -> None:
    named = f'<include file="{file}"/>' if kind == "include" else '<includeAll path="."/>'
    files = {"x.xml": xml(named), file: HEADER + "--changeset me:1\nSELECT 1;"}
    assert run(load(files)) == ["SELECT 1"]


def test_a_changelog_may_include_others_and_set_properties(load: Load) -> None:
    files = {
        "root.xml": xml('<property name="x" value="1"/>', '<include file="one.yaml"/>'),
        "one.yaml": "databaseChangeLog:\n- includeAll: {path: sql/, relativeToChangelogFile: true}\n",
        "sql/a.sql": HEADER + "--changeset me:1\nSELECT ${x};",
        "sql/deeper/b.sql": "SELECT 2;",
        "sql/notes.md": "",
    }
    catalog = load(files)
    assert run(catalog) == ["SELECT 1", "SELECT 2"]
    assert catalog.migrations[1].version == "sql/deeper/b.sql::raw::includeAll"


def test_a_changeset_in_xml_is_code(load: Load) -> None:
    code = '<changeSet id="7" author="me"><createTable tableName="t"/></changeSet>'
    files = ONE | {"root.xml": xml('<includeAll path="sql"/>', code)}
    with pytest.raises(CodeMigrationError, match=r"root\.xml are written in XML.*: me:7") as raised:
        load(files)
    assert str(raised.value.place) == "root.xml:4:1"
    assert len(load(files, skip_code=True)) == 3


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ('<include file="sql/z.sql"/>', "has no sql/z.sql"),
        ('<includeAll path="other/"/>', "has no other/"),
        ('<includeAll path="sql" filter="com.example.F"/>', "with filter"),
        ('<modifyChangeSets runWith="psql"/>', "what modifyChangeSets does"),
    ],
)
def test_an_element_that_can_not_be_followed_is_an_error(element: str, message: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load(ONE | {"root.xml": xml('<includeAll path="sql"/>', element)})
    assert str(raised.value.place) == "root.xml:4:1"


def test_a_missing_file_may_be_allowed(load: Load) -> None:
    root = xml('<includeAll path="sql"/>', '<include file="z.sql" errorIfMissing="false"/>')
    assert len(load(ONE | {"root.xml": root})) == 3


def test_a_file_that_no_changelog_includes_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"root\.xml doesn't include sql/b\.sql") as raised:
        load(ONE | {"root.xml": xml('<include file="sql/a.sql"/>')})
    assert 'ignore = ["sql/b.sql"]' in raised.value.fix


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"x.xml": xml(), "y.xml": xml()}, "2 changelogs, and none includes another: x.xml, y.xml"),
        ({"x.xml": xml('<include file="x.xml"/>')}, "includes itself"),
        ({"x.xml": "<databaseChangeLog>"}, "not XML"),
        ({"x.json": '{"databaseChangeLog": [}'}, "not JSON"),
        ({"x.yml": "databaseChangeLog: ["}, "not YAML"),
        ({"x.yml": "databaseChangeLog: 1"}, "has no list"),
    ],
)
def test_a_changelog_that_makes_no_sense_is_an_error(files: dict[str, str], message: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message):
        load(ONE | files)


BOMB = "x: [&a0 [1], " + ", ".join(f"&a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(40)) + "]\n"


@pytest.mark.parametrize(
    ("file", "text", "message", "line"),
    [
        ("x.yml", f"{BOMB}databaseChangeLog:\n- include: {{file: *a40}}\n", "file is no text", 3),
        ("x.yml", f"{BOMB}databaseChangeLog:\n- property: {{name: *a40}}\n", "name is no text", 3),
        ("x.yml", "databaseChangeLog:\n- include: {file: [a.sql]}\n", "file is no text", 2),
        ("x.yml", "databaseChangeLog:\n- include: {file: a\x01.sql}\n", "not YAML: .*not allowed", 2),
        ("x.yml", "databaseChangeLog: " + "[" * 5000, "nested too deeply", 1),
        ("x.yml", "databaseChangeLog:\n- include: {file: 2026-02-31}\n", "no 2026-02-31", 2),
        ("x.yml", f"databaseChangeLog:\n- include: {{file: {'9' * 5000}}}\n", "no 9+", 2),
        ("x.yml", f"databaseChangeLog:\n- include: {{file: 0x{'9' * 5000}}}\n", "no 0x9+", 2),
        ("x.yml", "databaseChangeLog:\n- include: {file: !!int x}\n", "no x", 2),
        ("x.json", '{"databaseChangeLog": [{"include": {"file": {}}}]}', "file is no text", 1),
        ("x.json", '{"databaseChangeLog": [{"include": {"file": 1.5}}]}', "file is no text", 1),
        ("x.json", '{"databaseChangeLog": [{"include": {"file": %s}}]}' % ("9" * 5000), "no 9+", 1),
        ("x.json", '{"databaseChangeLog": ' + "[" * 100_000, "nested too deeply", 1),
    ],
)  # fmt: skip
def test_no_changelog_hangs_or_fails_without_its_place(
    file: str, text: str, message: str, line: int, load: Load
) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({file: text})
    assert raised.value.place is not None
    assert (raised.value.place.file, raised.value.place.line) == (file, line)


def test_a_changelog_in_yaml_may_merge_what_it_says_often(load: Load) -> None:
    text = "x: &here {relativeToChangelogFile: true, file: none.sql}\n"
    text += "databaseChangeLog:\n- include: {<<: *here, file: a.sql}\n"
    files = {"x.yml": "databaseChangeLog:\n- include: {file: x/y.yml}\n", "x/y.yml": text}
    assert run(load({**files, "x/a.sql": "SELECT 1;"})) == ["SELECT 1"]


def test_a_changelog_may_say_yes_and_no(load: Load) -> None:
    text = "databaseChangeLog:\n- include: {file: ../a.sql, relativeToChangelogFile: yes}\n"
    text += "- include: {file: b.sql, errorIfMissing: no}\n"
    files = {"x.yml": "databaseChangeLog:\n- include: {file: x/y.yml}\n", "x/y.yml": text}
    assert run(load({**files, "a.sql": "SELECT 1;"})) == ["SELECT 1"]


def test_files_in_folders_below_are_recognised(load: Load) -> None:
    assert load(ONE).evidence == "sql/a.sql begins with '--liquibase formatted sql'"


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-16", "windows-1252", "us-ascii"])
def test_a_changelog_in_xml_is_read_as_it_declares(encoding: str, load: Load) -> None:
    name = "a" if encoding == "us-ascii" else "é"
    text = xml(f'<include file="{name}.sql"/>').replace("?>", f" encoding='{encoding}'?>", 1)
    assert run(load({"x.xml": text.encode(encoding), f"{name}.sql": "SELECT 1;"})) == ["SELECT 1"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_line_of_a_changelog_in_utf_16_is_shown(encoding: str, load: Load) -> None:
    text = xml("", "<strange/>").replace("?>", " encoding='utf-16'?>", 1)
    with pytest.raises(CatalogError, match="strange") as raised:
        load({"x.xml": text.encode(encoding)})
    assert raised.value.place == Place("x.xml", 4, 1, "<strange/>")


@pytest.mark.parametrize(
    ("file", "text", "line"),
    [
        ("x.xml", xml("<!-- é -->"), 3),
        ("x.xml", "<!-- é -->\n<databaseChangeLog/>", 1),
        ("x.yml", "# é\ndatabaseChangeLog:\n", 1),
        ("x.json", '{"databaseChangeLog": [\n"é"]}', 2),
    ],
)
def test_a_changelog_that_is_not_utf_8_is_an_error(file: str, text: str, line: int, load: Load) -> None:
    with pytest.raises(CatalogError, match="not UTF-8") as raised:
        load({"1_a.sql": "SELECT 1;", file: text.encode("latin-1")})
    assert raised.value.place is not None
    assert (raised.value.place.file, raised.value.place.line) == (file, line)


@pytest.mark.parametrize("encoding", ["x-unheard-of", "shift_jis"])
def test_an_encoding_that_can_not_be_read_is_an_error(encoding: str, load: Load) -> None:
    with pytest.raises(CatalogError, match="not XML") as raised:
        load({"x.xml": f"<?xml version='1.0' encoding='{encoding}'?><databaseChangeLog/>"})
    assert raised.value.place is not None


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("README.yaml", "text: see databaseChangeLog below\nmore:\n  databaseChangeLog: []\n"),
        ("pom.xml", "<!-- databaseChangeLog -->\n<project><databaseChangeLog/></project>"),
        ("package.json", '{"name": "databaseChangeLog", "x": {"databaseChangeLog": []}}'),
        ("tsconfig.json", '{"databaseChangeLogs": [}'),
    ],
)
def test_a_file_that_mentions_changelogs_is_none(file: str, text: str, load: Load) -> None:
    assert load({"1_a.sql": "SELECT 1;", file: text}).format == "plain"


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("x.yaml", '---\n"databaseChangeLog" :\n- include: {file: a.sql}\n'),
        ("x.yaml", "{databaseChangeLog: [{include: {file: a.sql}}]}"),
        ("x.json", '{"$schema": "x", "databaseChangeLog": [{"include": {"file": "a.sql"}}]}'),
        ("x.xml", "<!-- <a> -->" + xml("<include file='a.sql'/>").partition("?>")[2]),
    ],
)
def test_a_changelog_is_recognised_by_its_root(file: str, text: str, load: Load) -> None:
    assert run(load({"a.sql": "SELECT 1;", file: text})) == ["SELECT 1"]


@pytest.mark.parametrize("header", ["", f"{HEADER}--changeset me:1\n"])
def test_a_file_that_is_included_twice_is_an_error(header: str, load: Load) -> None:
    twice = xml('<include file="a.sql"/>', '<include file="a.sql"/>')
    with pytest.raises(DuplicateVersionError, match=r"a\.sql is included twice\nfix") as raised:
        load({"x.xml": twice, "a.sql": f"{header}SELECT 1;"})
    assert raised.value.files == ("a.sql",)
