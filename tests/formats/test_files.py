"""What can be wrong with a file, in any format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import (
    CatalogError,
    DuplicateVersionError,
    MigrationFailedError,
    Place,
    SqlSyntaxError,
)
from pgslate.targets.target import Target
from pgslate.trace.tracer import trace


def test_two_files_of_one_version_are_an_error(load: Load) -> None:
    with pytest.raises(DuplicateVersionError) as raised:
        load({"001_a.sql": "SELECT 1", "1_b.sql": "SELECT 1"})
    assert set(raised.value.files) == {"001_a.sql", "1_b.sql"}


def test_files_may_share_a_number_where_names_are_versions(load: Load) -> None:
    catalog = load({"2_b.sql": "SELECT 1", "10_a.sql": "SELECT 1", "02_a.sql": "SELECT 1"}, versions="names")
    assert [m.version for m in catalog] == ["02_a", "2_b", "10_a"]


def test_other_versions_are_refused(load: Load) -> None:
    with pytest.raises(ValueError, match="one of numbers, names, not 'dates'"):
        load({"1_a.sql": "SELECT 1"}, versions="dates")


def test_a_file_without_a_number_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"add_users\.sql has no version"):
        load({"001_a.sql": "SELECT 1", "add_users.sql": "SELECT 1"})


@pytest.mark.parametrize("name", ["posts", "post_tags", "prefix", "preferences", "presets", "afterlife"])
def test_an_ordinary_word_without_a_number_is_an_error_too(name: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=rf"{name}\.sql has no version"):
        load({"001_a.sql": "SELECT 1", f"{name}.sql": "SELECT 1"})


@pytest.mark.parametrize(
    "name",
    ["schema", "seeds", "init_db", "post-deploy", "pre_migrations", "afterMigrate", "beforeEachMigrate"],
)
def test_what_other_tools_read_beside_the_migrations_is_left_out(name: str, load: Load) -> None:
    catalog = load({"001_a.sql": "SELECT 1", f"{name}.sql": "SELECT 1"})
    assert f"left out: {name}.sql" in catalog.evidence


def test_files_that_are_none_of_the_migrations_can_be_ignored(load: Load) -> None:
    files = {"001_a.sql": "SELECT 1", "XXX_later.sql": "SELECT 2", "002_draft.sql": "SELECT 3"}
    catalog = load(files, ignore=["XXX_later.sql", "*_draft.sql"])
    assert [m.file for m in catalog] == ["001_a.sql"]


def test_to_ignore_what_is_not_there_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"'drafts/\*', and there is no such file"):
        load({"001_a.sql": "SELECT 1"}, ignore=["drafts/*"])


def test_bytes_that_are_not_utf_8_are_shown_where_they_stand(load: Load) -> None:
    with pytest.raises(CatalogError) as raised:
        load({"1_a.sql": "SELECT 1;\nSELECT 'é';".encode("latin-1")})
    assert (
        str(raised.value)
        == "1_a.sql:2:9: not UTF-8 text\nSELECT 'é';\n        ^\nfix: save the file as UTF-8"
    )


def test_a_nul_character_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="NUL"):
        load({"1_a.sql": b"SELECT 1;\0"})


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(load: Load) -> None:
    text = "-- +goose Up\nSELECT 1;\nSELECT 2;\n-- +goose Down\nSELECT 3;\n"
    plain = load({"1_a.sql": text}).migrations[0]
    windows = load({"1_a.sql": b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()}).migrations[0]
    assert windows.checksum == plain.checksum
    assert [(s.text, s.line) for s in windows.statements] == [("SELECT 1", 2), ("SELECT 2", 3)]


def test_a_syntax_error_has_its_place_in_the_file(load: Load, database: Target) -> None:
    catalog = load({"1_a.sql": "-- migrate:up\n\nSELECT 1;\n  SELECT FROM FROM x;\n-- migrate:down\n"})
    with pytest.raises(SqlSyntaxError) as raised:
        trace(catalog, database)
    assert str(raised.value.place) == "1_a.sql:4:15"
    assert raised.value.place is not None
    assert raised.value.place.caret() == "  SELECT FROM FROM x;\n              ^"


def test_a_string_that_is_not_closed_has_its_place_before_any_server_is_asked(load: Load) -> None:
    catalog = load({"1_a.sql": "-- migrate:up\n\nSELECT 1;\n  SELECT 'x;\n-- migrate:down\n"})
    with pytest.raises(SqlSyntaxError) as raised:
        catalog.parse()
    assert str(raised.value.place) == "1_a.sql:4:10"


def test_a_file_that_can_not_be_read_is_an_error(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({"1_a.sql": "SELECT 1"})
    (root / "2_b.sql").symlink_to(root / "gone.sql")
    with pytest.raises(CatalogError, match=r"2_b\.sql can't be read"):
        Catalog.load(root)


def test_versions_sort_by_their_numbers(load: Load) -> None:
    files = {f"{name}.sql": "SELECT 1" for name in ("10_a", "9_b", "1000_c", "22_d", "9b_e")}
    assert [m.version for m in load(files)] == ["9", "9b", "10", "22", "1000"]


@pytest.mark.parametrize(
    ("file", "version", "name"),
    [
        ("001_create_users.sql", "001", "create_users"),
        ("0001-create-users.sql", "0001", "create-users"),
        ("V1.2.3_x.sql", "1.2.3", "x"),
        ("2024-01-31_x.sql", "2024-01-31", "x"),
        ("2024_01_31_120000_x.sql", "2024_01_31_120000", "x"),
        ("20250124T113100Z.sql", "20250124T113100Z", "20250124T113100Z"),
        ("007_2fa.sql", "007", "2fa"),
        ("007_2_factors.sql", "007", "2_factors"),
        ("42.sql", "42", "42"),
    ],
)
def test_a_plain_name_says_its_version(file: str, version: str, name: str, load: Load) -> None:
    migration = load({file: "SELECT 1"}, format="plain").migrations[0]
    assert (migration.version, migration.name) == (version, name)


PRISMA = {
    "20240101000000_users/migration.sql": "SELECT 1;",
    "20240102000000_posts/migration.sql": "SELECT 1;",
}


@pytest.mark.parametrize("name", ["20240102000000_posts", "20240102000000", "posts"])
def test_a_migration_in_a_folder_is_found_by_any_of_its_names(name: str, load: Load) -> None:
    found = load(PRISMA).find(name)
    assert found is not None
    assert found.name == "posts"


@pytest.mark.parametrize("name", ["migration.sql", "migration", "nothing", ""])
def test_what_several_or_none_are_called_finds_nothing(name: str, load: Load) -> None:
    assert load(PRISMA).find(name) is None


@pytest.mark.parametrize("name", ["7", "007", "007_a.sql", "007_a", "a"])
def test_leading_zeros_do_not_matter(name: str, load: Load) -> None:
    found = load({"007_a.sql": "SELECT 1;", "070_b.sql": "SELECT 1;"}).find(name)
    assert found is not None
    assert found.version == "007"


def test_a_folder_that_is_named_as_a_migration_is_an_error(load: Load, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"001_a\.sql is a folder"):
        load({"001_a.sql/deeper.sql": "SELECT 1", "002_b.sql": "SELECT 1"})


def test_a_pipe_among_the_files_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("SELECT 1;")
    os.mkfifo(tmp_path / "002_b.sql")
    with pytest.raises(CatalogError, match=r"002_b\.sql can't be read: it is no file"):
        Catalog.load(tmp_path)


def test_a_statement_that_is_nested_too_deeply_is_told_with_its_place(
    tmp_path: Path, database: Target
) -> None:
    (tmp_path / "001_a.sql").write_text("SELECT 1;\nSELECT 1" + "+1" * 60_000 + ";")
    with pytest.raises(MigrationFailedError, match="stack depth limit exceeded") as raised:
        trace(Catalog.load(tmp_path), database)
    assert raised.value.place is not None
    assert (raised.value.place.line, len(raised.value.place.caret()) < 500) == (2, True)


def test_of_a_long_line_what_is_around_the_place_is_shown() -> None:
    place = Place("a.sql", 1, 5001, "x" * 5000 + "! " + "y" * 5000)
    line, _, pointer = place.caret().partition("\n")
    assert (line[len(pointer) - 1], len(line)) == ("!", 200)
