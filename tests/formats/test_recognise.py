"""Which layout a folder is in is found by looking, and said with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, CodeMigrationError, UsageError
from pgslate.formats import names

FOLDERS: dict[str, dict[str, str]] = {
    "goose": {"001_a.sql": "-- +goose Up\nSELECT 1;\n-- +goose Down\nSELECT 2;"},
    "golang-migrate": {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 2;", "embed.go": "package m"},
    "sqlx": {
        "1_a.sql": "-- no-transaction\nSELECT 1;",
        "2_b.up.sql": "SELECT 1;",
        "2_b.down.sql": "SELECT 2;",
    },
    "dbmate": {"20240101_a.sql": "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;"},
    "sql-migrate": {"1-a.sql": "-- +migrate Up\nSELECT 1;\n-- +migrate Down\nSELECT 2;"},
    "flyway": {"V1__a.sql": "SELECT 1;", "U1__a.sql": "SELECT 2;", "R__v.sql": "SELECT 3;"},
    "sqitch": {
        "sqitch.plan": "%project=x\n\na 2024-01-01T00:00:00Z Me <me@example.org>\n",
        "deploy/a.sql": "SELECT 1;",
        "revert/a.sql": "SELECT 2;",
    },
    "liquibase": {
        "a.sql": "--liquibase formatted sql\n--changeset me:1\nSELECT 1;\n--rollback SELECT 2;\n",
        "b.sql": "SELECT 1;",
    },
    "drizzle": {
        "0000_a.sql": "SELECT 1;",
        "meta/_journal.json": '{"entries": [{"idx": 0, "when": 0, "tag": "0000_a", "breakpoints": true}]}',
    },
    "prisma": {
        "20240101000000_a/migration.sql": "SELECT 1;",
        "migration_lock.toml": 'provider = "postgresql"\n',
    },
    "diesel": {"2024-01-01-000000_a/up.sql": "SELECT 1;", "2024-01-01-000000_a/down.sql": "SELECT 2;"},
    "tern": {"001_a.sql": "SELECT 1;\n---- create above / drop below ----\nSELECT 2;"},
    "yoyo": {
        "1_a.sql": "-- depends:\nSELECT 1;",
        "2_b.sql": "-- depends: 1_a\nSELECT 1;",
        "2_b.rollback.sql": "SELECT 2;",
    },
    "graphile-migrate": {"committed/000001.sql": "--! Previous: -\n--! Hash: sha1:a\n\nSELECT 1;\n"},
    "node-pg-migrate": {"1700000000000_a.sql": "-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 2;"},
    "nested": {"1/01_a.up.sql": "SELECT 1;", "2/01_b.up.sql": "SELECT 1;", "2/01_b.down.sql": "SELECT 2;"},
    "plain": {"001-a.sql": "SELECT 1;", "001-a.rollback.sql": "SELECT 2;", "schema.sql": "SELECT 3;"},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_each_format_is_recognised_and_runs_only_its_way_up(name: str, load: Load) -> None:
    catalog = load(FOLDERS[name])
    assert catalog.format == name
    assert catalog.evidence
    assert "SELECT 2" not in "".join(s.text for m in catalog for s in m.statements)


@pytest.mark.parametrize("name", FOLDERS)
def test_each_format_can_be_given_by_name(name: str, load: Load) -> None:
    assert load(FOLDERS[name], format=name).evidence.startswith("given")


def test_every_format_has_a_folder_here() -> None:
    assert set(names()) - set(FOLDERS) == {"alembic", "supabase"}


def test_supabase_is_told_by_the_folder_above(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({"20240101000000_a.sql": "SELECT 1;"})
    (root.parent / "config.toml").write_text('project_id = "x"\n')
    assert Catalog.load(root).format == "supabase"


def test_sqlx_is_told_by_the_crate_above(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({"20240101000000_a.sql": "SELECT 1;"})
    (root.parent / "Cargo.toml").write_text("[dependencies]\nsqlx = '0.8'\n")
    assert Catalog.load(root).format == "sqlx"


def test_what_was_left_out_is_in_the_evidence(load: Load) -> None:
    assert (
        "left out: 1 that take migrations back (001-a.rollback.sql), schema.sql"
        in load(FOLDERS["plain"]).evidence
    )


def test_the_folder_below_is_named_where_this_one_holds_none(
    folder: Callable[[Mapping[str, str]], Path],
) -> None:
    root = folder(FOLDERS["prisma"]).parent
    with pytest.raises(CatalogError, match="holds no migrations") as raised:
        Catalog.load(root)
    assert raised.value.fix == f"point --catalog at {root / 'migrations'}"


def test_an_unknown_format_is_told_the_known_ones(load: Load) -> None:
    with pytest.raises(UsageError, match="there is no format 'rails'") as raised:
        load(FOLDERS["plain"], format="rails")
    assert "golang-migrate" in raised.value.fix


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="there is no folder"):
        Catalog.load(tmp_path / "nowhere")


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="holds no migrations"):
        Catalog.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("goose", "002_b.go"),
        ("golang-migrate", "2_b.go"),
        ("node-pg-migrate", "1700000000001_b.js"),
        ("node-pg-migrate", "1700000000001_b.ts"),
        ("plain", "002-b.py"),
        ("plain", "002_b.rb"),
        ("prisma", "20240102000000_b/migration.ts"),
        ("flyway", "V2__B.java"),
        ("nested", "2/02_b.rs"),
    ],
)
def test_migrations_in_code_are_named_unless_they_are_to_be_left_out(
    name: str, code: str, load: Load
) -> None:
    files = FOLDERS[name] | {code: "code"}
    with pytest.raises(CodeMigrationError, match=code) as raised:
        load(files)
    assert raised.value.files == (code,)
    assert load(files, skip_code=True).format == name


@pytest.mark.parametrize(
    "other", ["embed.go", "index.ts", "001_a_test.go", "types.d.ts", "README.md", "atlas.sum"]
)
def test_files_that_are_no_migrations_are_not_taken_for_some(other: str, load: Load) -> None:
    assert len(load(FOLDERS["plain"] | {other: "x"})) == 1


def test_links_that_lead_in_a_circle_are_followed_once(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder(FOLDERS["plain"])
    (root / "again").symlink_to(root)
    assert len(Catalog.load(root)) == 1
