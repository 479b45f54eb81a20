"""yoyo's order, and what the comments that a file begins with say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import process_time

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, CodeMigrationError


def test_a_file_runs_below_what_it_depends_on_and_else_by_name(load: Load) -> None:
    files = {
        "1_a.sql": "-- the first\n-- depends: 2_b\nSELECT 2;",
        "2_b.sql": "-- depends:\nSELECT 1;",
        "3_c.sql": "--depends: 1_a 2_b\n-- transactional: false\n\nSELECT 3;\n-- depends: nothing\n",
        "3_c.rollback.sql": "SELECT 0;",
        "post-apply.sql": "SELECT 4;",
    }
    catalog = load(files)
    assert [(m.version, m.name, m.transactional, m.repeatable) for m in catalog] == [
        ("2_b", "b", True, False),
        ("1_a", "a", True, False),
        ("3_c", "c", False, False),
        ("post-apply", "post-apply", True, True),
    ]
    assert catalog.evidence.startswith("1_a.sql has '-- depends: 2_b'")


def test_names_sort_with_their_ending(load: Load) -> None:
    names = ("post-apply-grants.sql", "post-apply.sql", "0001.sql", "0001-b.sql", "0001_c.sql")
    catalog = load({"yoyo.ini": "[DEFAULT]\n", **dict.fromkeys(names, "SELECT 1;")})
    assert [m.version for m in catalog] == ["0001-b", "0001", "0001_c", "post-apply-grants", "post-apply"]


def test_a_file_comes_as_soon_as_what_it_depends_on_is_there(load: Load) -> None:
    files = {"a.sql": "-- depends: c", "b.sql": "SELECT 1;", "c.sql": "SELECT 1;", "d.sql": "SELECT 1;"}
    assert [m.version for m in load(files)] == ["b", "c", "a", "d"]


@pytest.mark.parametrize("named", ["posts", "preferences", "drop_legacy", "schema", "1_scale_down"])
def test_every_file_is_run_but_a_rollback(named: str, load: Load) -> None:
    files = {
        "users.sql": f"-- depends: {named}\nSELECT 2;",
        f"{named}.sql": "SELECT 1;",
        f"{named}.rollback.sql": "SELECT 0;",
    }
    assert [m.version for m in load(files)] == [named, "users"]


def test_a_long_chain_is_ordered_in_a_moment(load: Load) -> None:
    files = {f"{number}.sql": f"-- depends: {number + 1}\n" for number in range(1000, 6000)}
    started = process_time()
    catalog = load({**files, "6000.sql": "SELECT 1;"})
    assert process_time() - started < 5
    assert [m.version for m in catalog] == [str(number) for number in range(6000, 999, -1)]


def test_a_circle_is_named_without_what_only_depends_on_it(load: Load) -> None:
    files = {
        "a.sql": "-- depends: b",
        "b.sql": "-- depends: c",
        "c.sql": "-- depends: b",
        "d.sql": "SELECT 1;",
    }
    with pytest.raises(CatalogError, match=r"none can be the first: (b\.sql, c\.sql|c\.sql, b\.sql)\n"):
        load(files)


def test_a_folder_is_told_by_its_configuration(load: Load) -> None:
    catalog = load({"yoyo.ini": "[DEFAULT]\n", "users.sql": "SELECT 1;"})
    assert (catalog.format, catalog.migrations[0].version) == ("yoyo", "users")


def test_a_comment_that_names_no_migration_tells_nothing(load: Load) -> None:
    assert load({"1_a.sql": "-- depends: on nothing\nSELECT 1;"}).format == "plain"


@pytest.mark.parametrize(
    ("sources", "format"),
    [
        ("migrations", "yoyo"),
        ("%(here)s/other\n  ./migr*/", "yoyo"),
        ("other", "plain"),
        ("*/migrations", "plain"),
        ("package:shop:migrations", "plain"),
    ],
)
def test_a_configuration_above_tells_what_its_sources_lead_to(
    sources: str, format: str, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    root = folder({"1_a.sql": "SELECT 1;"})
    (root.parent / "yoyo.ini").write_text(f"[DEFAULT]\nsources = {sources}\n")
    assert Catalog.load(root).format == format


@pytest.mark.parametrize("ini", ["sources = migrations\n", "[DEFAULT]\nsources = a\0b\n", "[DEFAULT\n"])
def test_a_configuration_that_is_none_tells_nothing(
    ini: str, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    root = folder({"1_a.sql": "SELECT 1;"})
    (root.parent / "yoyo.ini").write_text(ini)
    assert Catalog.load(root).format == "plain"


@pytest.mark.parametrize(
    ("files", "format"),
    [
        (("V1__users.sql", "V2__posts.sql", "V10__x.sql", "R__v.sql"), "flyway"),
        (("1_a.up.sql", "2_b.up.sql"), "golang-migrate"),
        (("20240101000000_a.sql", "20240102000000_b.sql"), "sqlx"),
    ],
)
@pytest.mark.parametrize("has_ini", [False, True])
def test_a_folder_of_another_tool_is_none_of_yoyo(
    files: tuple[str, ...], format: str, has_ini: bool, folder: Callable[[Mapping[str, str]], Path]
) -> None:
    depends = f"-- depends: {files[0].removesuffix('.sql')}\nSELECT 2;"
    root = folder(dict.fromkeys(files, "SELECT 1;") | {files[1]: depends})
    if has_ini:
        (root.parent / "yoyo.ini").write_text("[DEFAULT]\nsources = migrations\n")
    if format == "sqlx":
        (root.parent / "Cargo.toml").write_text("[dependencies]\nsqlx = '0.8'\n")
    assert Catalog.load(root).format == format


def test_numbers_that_names_do_not_sort_by_are_plain(load: Load) -> None:
    files = {"001_a.sql": "SELECT 1;", "9_d.sql": "-- depends: 001_a\nSELECT 2;", "010_c.sql": "SELECT 3;"}
    catalog = load(files)
    assert (catalog.format, [m.version for m in catalog]) == ("plain", ["001", "9", "010"])


def test_numbers_with_letters_can_be_compared(load: Load) -> None:
    files = {"14b_a.sql": "SELECT 1;", "14.3_c.sql": "-- depends: 14b_a\nSELECT 2;"}
    assert load(files).format == "yoyo"


def test_numbers_tell_nothing_where_a_file_depends_on_a_later_one(load: Load) -> None:
    files = {"1_a.sql": "-- depends: 10_c\nSELECT 3;", "9_b.sql": "SELECT 2;", "10_c.sql": "SELECT 1;"}
    catalog = load(files)
    assert (catalog.format, [m.version for m in catalog]) == ("yoyo", ["10_c", "1_a", "9_b"])


def test_a_migration_in_python_is_code(load: Load) -> None:
    files = {"a.sql": "SELECT 1;", "b.sql": "-- depends: a c\nSELECT 2;", "c.py": "from yoyo import step\n"}
    with pytest.raises(CodeMigrationError, match=r"c\.py"):
        load(files)
    assert len(load(files, skip_code=True)) == 2


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("-- depends: a\n-- depends: z\n", "there is no z.sql", "b.sql:2:1"),
        ("-- depends: a\n-- transactional: no\n", "not 'no'", "b.sql:2:1"),
        ("-- depends: b a\n", "none can be the first: b.sql", ""),
    ],
)
def test_a_directive_that_makes_no_sense_is_an_error(text: str, message: str, place: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({"a.sql": "SELECT 1;", "b.sql": text + "SELECT 2;"})
    assert str(raised.value.place or "") == place
    assert raised.value.fix


def test_files_that_share_a_number_are_yoyos_where_one_can_be_rolled_back(load: Load) -> None:
    files = dict.fromkeys(("0005_a.sql", "0006_c.sql", "0006_b.sql", "0006_b.rollback.sql"), "SELECT 1;")
    catalog = load(files)
    assert catalog.format == "yoyo"
    assert [m.version for m in catalog] == ["0005_a", "0006_b", "0006_c"]
    assert "share a number, and there is 0006_b.rollback.sql" in catalog.evidence


def test_files_with_numbers_of_their_own_are_plain_though_one_can_be_rolled_back(load: Load) -> None:
    files = dict.fromkeys(("0005_a.sql", "0006_b.sql", "0006_b.rollback.sql"), "SELECT 1;")
    assert load(files).format == "plain"
