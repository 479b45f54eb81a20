"""What each tool's files say about how they are run, read as the tool reads it."""

from __future__ import annotations

import pytest
from tests.formats.conftest import Load

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, CodeMigrationError, DuplicateVersionError


def run(catalog: Catalog) -> list[str]:
    """The statements of all migrations, in order."""
    return [statement.text for migration in catalog for statement in migration.statements]


# -- goose


def test_goose_takes_the_up_section_with_its_lines(load: Load) -> None:
    catalog = load({"1_a.sql": "-- a title\n--+goose up\nSELECT 1;\n-- +goose DOWN\nSELECT 2;\n"})
    assert [(s.text, s.line) for s in catalog.migrations[0].statements] == [("SELECT 1", 3)]


def test_goose_runs_without_a_transaction_where_it_says_so(load: Load) -> None:
    text = "-- +goose NO TRANSACTION\n-- +goose Up\nSELECT 1;\n"
    assert not load({"1_a.sql": text}).migrations[0].transactional


def test_goose_keeps_a_function_together_with_or_without_its_annotation(load: Load) -> None:
    body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$\nBEGIN\n  NULL;\nEND $$"
    framed = f"-- +goose Up\n-- +goose StatementBegin\n{body};\n-- +goose StatementEnd\nSELECT 1;"
    assert run(load({"1_a.sql": framed})) == [body, "SELECT 1"]


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("SELECT 1;\n", "has no '-- \\+goose Up'", 1),
        ("-- +goose Down\nSELECT 1;\n-- +goose Up\n", "comes before", 1),
        ("-- +goose Up\n-- +goose Up\n", "second", 2),
        ("-- +goose Up\n-- +goose Down\n-- +goose Down\n", "second", 3),
        ("-- +goose Up\n-- +goose StatementBegin\nSELECT 1;\n-- +goose Down\n", "never closed", 2),
        ("-- +goose Up\n-- +goose StatementEnd\n", "without StatementBegin", 2),
        ("-- +goose StatementBegin\n-- +goose Up\n", "comes before", 1),
        ("-- +goose Up\n  -- +goose Down\n", "indented", 2),
        ("-- +goose Up\n-- +goose NO TRANSACTIONS\n", "no annotation 'NO TRANSACTIONS'", 2),
    ],
)
def test_goose_annotations_that_make_no_sense_are_errors(
    text: str, message: str, line: int, load: Load
) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({"1_a.sql": text}, format="goose")
    assert raised.value.place is not None
    assert raised.value.place.line == line
    assert raised.value.fix


def test_goose_substitutes_only_where_it_was_switched_on(load: Load) -> None:
    text = (
        "-- +goose Up\nSELECT '$A ${B}';\n"
        "-- +goose ENVSUB ON\n-- $NOT_ME\nSELECT '$A ${B} ${C:-c} \\$A', $$x$$;\n"
        "-- +goose ENVSUB OFF\nSELECT '${B}';\n"
    )
    assert run(load({"1_a.sql": text}, defines={"A": "a", "B": "b"})) == [
        "SELECT '$A ${B}'",
        "SELECT 'a b c $A', $$x$$",
        "SELECT '${B}'",
    ]


def test_goose_names_the_variable_that_is_not_set(load: Load) -> None:
    with pytest.raises(CatalogError, match="SCHEMA is a variable") as raised:
        load({"1_a.sql": "-- +goose Up\n-- +goose ENVSUB ON\nSELECT 1 FROM ${SCHEMA}.t;\n"})
    assert str(raised.value.place) == "1_a.sql:3:15"
    assert raised.value.fix == "give it with --define SCHEMA=VALUE"


# -- dbmate, sql-migrate, node-pg-migrate


def test_dbmate_blocks_may_run_without_a_transaction(load: Load) -> None:
    migration = load({"1_a.sql": "-- migrate:up transaction:false\nSELECT 1;\n-- migrate:down\n"}).migrations[
        0
    ]
    assert not migration.transactional


def test_dbmate_runs_each_of_several_up_blocks_in_its_own_way(load: Load) -> None:
    text = (
        "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 0;\n"
        "-- migrate:up transaction:false\nSELECT 2;\n-- migrate:down\nSELECT 0;\n"
    )
    migration = load({"1_a.sql": text}).migrations[0]
    shape = [([s.text for s in block.statements], block.transactional) for block in migration.blocks]
    assert shape == [(["SELECT 1"], True), (["SELECT 2"], False)]
    assert [s.line for s in migration.statements if s.kind == "SelectStmt"] == [2, 6]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- migrate:down\nSELECT 1;\n-- migrate:up\n", "comes before"),
        ("SELECT 1;\n-- migrate:up\n", "SQL stands above"),
        ("SELECT 1;\n", "has no '-- migrate:up'"),
    ],
)
def test_dbmate_files_out_of_order_are_errors(text: str, message: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message):
        load({"1_a.sql": text}, format="dbmate")


def test_sql_migrate_sections_may_run_without_a_transaction(load: Load) -> None:
    text = "-- +migrate Up notransaction\nSELECT 1;\n-- +migrate Down\nSELECT 2;\n"
    catalog = load({"1_a.sql": text})
    assert (run(catalog), catalog.migrations[0].transactional) == (["SELECT 1"], False)


def test_sql_migrate_files_are_told_apart_by_their_names_and_run_by_number_then_name(load: Load) -> None:
    names = ["last.sql", "1_a.sql", "20240101_a-2.sql", "10_a.sql", "seeds.sql", "20240101_a-1.sql"]
    catalog = load({name: f"-- +migrate Up\nSELECT '{name}';\n" for name in names})
    in_order = ["1_a.sql", "10_a.sql", "20240101_a-1.sql", "20240101_a-2.sql", "last.sql", "seeds.sql"]
    assert [m.version for m in catalog] == in_order


def test_a_sql_migrate_file_is_still_found_by_its_number_where_only_one_has_it(load: Load) -> None:
    catalog = load(dict.fromkeys(("001_a.sql", "2_b.sql", "2_c.sql"), "-- +migrate Up\n"))
    assert [catalog.find(said) for said in ("1", "001", "2")] == [catalog.migrations[0]] * 2 + [None]


def test_what_lies_beside_sql_migrate_files_without_sections_is_left_out(load: Load) -> None:
    catalog = load({"1_a.sql": "-- +migrate Up\n", "schema.sql": "SELECT 1;"})
    assert [m.file for m in catalog] == ["1_a.sql"]


def test_sql_migrate_versions_are_as_before_where_they_were_said_to_be_names(load: Load) -> None:
    files = {"20240101_a-1.sql": "-- +migrate Up\n", "20240101_a-2.sql": "-- +migrate Up\n"}
    catalog = load(files, versions="names")
    assert [m.version for m in catalog] == ["20240101_a-1", "20240101_a-2"]


def test_node_pg_migrate_runs_a_file_without_titles_whole(load: Load) -> None:
    files = {"1_a.sql": "-- Up Migration\nSELECT 1;\n\n-- Down Migration\nSELECT 0;", "2_b.sql": "SELECT 2;"}
    assert run(load(files)) == ["SELECT 1", "SELECT 2"]


def test_node_pg_migrate_takes_only_down_sql_for_a_way_back(load: Load) -> None:
    files = {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 0;", "5_scale_down.sql": "SELECT 5;"}
    assert run(load(files, format="node-pg-migrate")) == ["SELECT 1", "SELECT 5"]


# -- golang-migrate, sqlx, diesel, prisma


def test_golang_migrate_files_may_hold_their_own_transaction(load: Load) -> None:
    blocks = load({"1_a.up.sql": "BEGIN;\nSELECT 1;\nCOMMIT;\nSELECT 2;"}).migrations[0].blocks
    assert [(b.first, len(b.statements), b.transactional) for b in blocks] == [(1, 1, True), (3, 1, True)]


def test_a_file_that_golang_migrate_would_pass_over_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"2_b\.sql says no direction"):
        load({"1_a.up.sql": "SELECT 1;", "2_b.sql": "SELECT 2;"})


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("1_a.up.sql", "1_a.down.go"),
        ("1_a.sql", "1_a.rollback.py"),
        ("1/01_a.up.sql", "1/01_a.down.js"),
    ],
)
def test_a_program_that_only_takes_a_migration_back_is_no_migration(up: str, down: str, load: Load) -> None:
    catalog = load({up: "SELECT 1;", down: ""})
    assert run(catalog) == ["SELECT 1"]
    assert f"left out: 1 that take migrations back ({down})" in catalog.evidence


def test_a_program_that_takes_a_migration_up_is_still_refused(load: Load) -> None:
    with pytest.raises(CodeMigrationError, match=r"1 migration is written in Go.*: 2_b\.up\.go"):
        load({"1_a.up.sql": "SELECT 1;", "2_b.up.go": "", "2_b.down.go": ""})


def test_sqlx_reads_its_mark_only_where_the_file_begins(load: Load) -> None:
    files = {"1_a.sql": "-- no-transaction\nSELECT 1;", "2_b.sql": "SELECT 1;\n-- no-transaction\n"}
    assert [m.transactional for m in load(files)] == [False, True]


@pytest.mark.parametrize("name", ["5_scale_down.sql", "5_a.rollback.sql", "5_tear-down.sql"])
def test_sqlx_takes_only_down_sql_for_a_way_back(name: str, load: Load) -> None:
    files = {"1_a.up.sql": "SELECT 1;", "1_a.down.sql": "SELECT 0;", name: "SELECT 5;"}
    assert run(load(files, format="sqlx")) == ["SELECT 1", "SELECT 5"]


@pytest.mark.parametrize("name", ["5_scale_down.sql", "5_a.down.sql", "5_revert.sql"])
def test_supabase_knows_no_way_back(name: str, load: Load) -> None:
    files = {"1_a.sql": "SELECT 1;", name: "SELECT 5;"}
    assert run(load(files, format="supabase")) == ["SELECT 1", "SELECT 5"]


def test_diesel_sorts_versions_as_text_and_reads_metadata(load: Load) -> None:
    files = {
        "2024-01-02-000000_b/up.sql": "SELECT 2;",
        "2024-01-02-000000_b/metadata.toml": "run_in_transaction = false\n",
        "00000000000000_diesel_initial_setup/up.sql": "SELECT 1;",
    }
    catalog = load(files)
    assert [(m.version, m.transactional) for m in catalog] == [
        ("00000000000000", True),
        ("20240102000000", False),
    ]


def test_a_diesel_folder_without_its_way_up_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"2_b holds no up\.sql"):
        load({"1_a/up.sql": "SELECT 1;", "2_b/down.sql": "SELECT 2;"})


def test_prisma_folders_of_one_timestamp_are_two_migrations(load: Load) -> None:
    files = {"20240101000000_b/migration.sql": "SELECT 2;", "20240101000000_a/migration.sql": "SELECT 1;"}
    catalog = load(files)
    assert [m.version for m in catalog] == ["20240101000000_a", "20240101000000_b"]


def test_a_prisma_folder_may_be_named_like_a_file(load: Load) -> None:
    catalog = load({"20240101_a/migration.sql": "SELECT 1;", "20240102_b.sql/migration.sql": "SELECT 2;"})
    assert [m.version for m in catalog] == ["20240101_a", "20240102_b.sql"]


def test_a_prisma_folder_without_its_sql_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"20240102_b holds no migration\.sql"):
        load({"20240101_a/migration.sql": "SELECT 1;", "20240102_b/notes.txt": ""})


def test_prisma_migrations_for_another_database_are_an_error(load: Load) -> None:
    files = {"20240101_a/migration.sql": "SELECT 1;", "migration_lock.toml": '# x\nprovider = "mysql"\n'}
    with pytest.raises(CatalogError, match="for mysql") as raised:
        load(files)
    assert str(raised.value.place) == "migration_lock.toml:2:1"


# -- folders for several databases


def test_the_files_for_postgresql_are_taken(load: Load) -> None:
    files = {
        "1_a.up.sql": "SELECT 1;",
        "1_a.mysql.up.sql": "SELECT `1`;",
        "2_b.postgres.autocommit.up.sql": "CREATE INDEX CONCURRENTLY i ON t (a);",
        "2_b.up.sql": "SELECT 2;",
        "2_b.cockroach.up.sql": "SELECT 3;",
        "2_b.postgres.autocommit.down.sql": "DROP INDEX i;",
    }
    catalog = load(files)
    assert [(m.file, m.transactional) for m in catalog] == [
        ("1_a.up.sql", True),
        ("2_b.postgres.autocommit.up.sql", False),
    ]


# -- flyway


def test_flyway_versions_compare_by_their_numbers(load: Load) -> None:
    files = {f"V{v}__x.sql": "SELECT 1;" for v in ("1_10", "1_9", "1.9.1", "2", "10")}
    assert [m.version for m in load(files)] == ["1.9", "1.9.1", "1.10", "2", "10"]


def test_flyway_takes_one_and_one_zero_for_the_same(load: Load) -> None:
    with pytest.raises(DuplicateVersionError):
        load({"V1__a.sql": "SELECT 1;", "V1.0__b.sql": "SELECT 1;"})


def test_flyway_repeatables_come_last_by_name(load: Load) -> None:
    files = {"R__b.sql": "SELECT 3;", "R__a.sql": "SELECT 2;", "V1__x.sql": "SELECT 1;"}
    catalog = load(files)
    assert (run(catalog), [m.repeatable for m in catalog]) == (
        ["SELECT 1", "SELECT 2", "SELECT 3"],
        [False, True, True],
    )


def test_flyways_newest_baseline_stands_for_what_is_before_it(load: Load) -> None:
    files = {
        "V1__a.sql": "SELECT 1;",
        "V2__b.sql": "SELECT 2;",
        "B2__all.sql": "SELECT 12;",
        "V3__c.sql": "SELECT 3;",
    }
    catalog = load(files)
    assert run(catalog) == ["SELECT 12", "SELECT 3"]
    assert "V1__a.sql" in catalog.evidence


def test_flyway_script_settings_are_read(load: Load) -> None:
    files = {
        "V1__a.sql": "SELECT '${x}';",
        "V1__a.sql.conf": "executeInTransaction=false\nplaceholderReplacement=false\n",
        "V2__b.sql": "SELECT 2;",
        "V2__b.sql.conf": "shouldExecute=false\n",
    }
    catalog = load(files)
    assert [(run(catalog), m.transactional) for m in catalog] == [(["SELECT '${x}'"], False)]


def test_flyway_placeholders_are_put_in_everywhere_but_in_comments(load: Load) -> None:
    text = "-- ${unknown}\nSELECT '${owner}', $$ ${owner} ${flyway:filename} $$;"
    assert run(load({"V1__a.sql": text}, defines={"owner": "me"})) == ["SELECT 'me', $$ me V1__a.sql $$"]


def test_a_flyway_placeholder_without_a_value_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="owner is a variable") as raised:
        load({"V1__a.sql": "SELECT 1;\nSELECT '${owner}';"})
    assert str(raised.value.place) == "V1__a.sql:2:9"


@pytest.mark.parametrize("file", ["V2_b.sql", "V2.sql", "R_b.sql", "V2_1_b.sql"])
def test_a_file_that_flyway_would_pass_over_is_an_error(file: str, load: Load) -> None:
    with pytest.raises(CatalogError, match="is not named as Flyway does"):
        load({"V1__a.sql": "SELECT 1;", file: "SELECT 2;"})


# -- tern, graphile-migrate


def test_tern_includes_shared_files_and_keeps_the_places(load: Load) -> None:
    files = {
        "001_a.sql": 'SELECT {{.one}};\n{{ template "shared/f.sql" . }}\nSELECT 3;\n'
        "---- create above / drop below ----\nX",
        "shared/f.sql": "SELECT\n  '{{.one}}';\nSELECT 2;",
    }
    statements = load(files, defines={"one": "1"}).migrations[0].statements
    assert [(" ".join(s.text.split()), s.line) for s in statements] == [
        ("SELECT 1", 1),
        ("SELECT '1'", 2),
        ("SELECT 2", 2),
        ("SELECT 3", 3),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"001_a.sql": "SELECT 1;", "003_c.sql": "SELECT 1;"}, "migration 2 is missing"),
        ({"001_a.sql": "SELECT 1;", "01_b.sql": "SELECT 1;"}, "claimed by two files"),
        ({"001_a.sql": '{{ template "shared/x.sql" . }}'}, "no file shared/x.sql"),
        ({"001_a.sql": "{{ if .x }}SELECT 1{{ end }};"}, "template logic"),
        ({"001_a.sql": "-- nothing"}, "holds no SQL"),
    ],
)
def test_tern_folders_that_tern_refuses_are_errors(files: dict[str, str], message: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message):
        load(files, format="tern")


def test_tern_files_may_run_without_a_transaction(load: Load) -> None:
    files = {"001_a.sql": "---- tern: disable-tx ----\nSELECT 1;\n---- create above / drop below ----\n"}
    assert not load(files).migrations[0].transactional


GRAPHILE = {
    "committed/000001.sql": "--! Previous: -\n--! Hash: sha1:a\n\n"
    "GRANT USAGE ON SCHEMA public TO :DATABASE_OWNER;\n",
    "committed/000002-next.sql": "--! Previous: sha1:a\n--! Hash: sha1:b\n\n"
    "--! no-transaction\nSELECT ':TIME';\n",
}


def test_graphile_migrate_files_are_a_chain(load: Load) -> None:
    catalog = load(GRAPHILE, defines={"DATABASE_OWNER": "me"})
    assert [(m.name, m.transactional) for m in catalog] == [("000001", True), ("next", False)]
    assert run(catalog) == ["GRANT USAGE ON SCHEMA public TO me", "SELECT ':TIME'"]
    assert catalog.migrations[0].statements[0].line == 4


def test_a_graphile_migrate_chain_that_is_broken_is_an_error(load: Load) -> None:
    files = {"committed/000001.sql": "--! Previous: -\n--! Hash: sha1:z\n\nSELECT 1;\n"}
    with pytest.raises(CatalogError, match="follows sha1:a"):
        load(GRAPHILE | files)


def test_a_graphile_migrate_placeholder_without_a_value_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="DATABASE_OWNER is a variable") as raised:
        load(GRAPHILE)
    assert str(raised.value.place) == "committed/000001.sql:4:33"


# -- nested and plain


def test_nested_folders_are_run_by_their_numbers(load: Load) -> None:
    files = {f"{file}.up.sql": "SELECT 1;" for file in ("10/01_a", "9/02_b", "9/01_c", "9/10_d")}
    assert [m.version for m in load(files)] == ["9/01", "9/02", "9/10", "10/01"]


def test_a_nested_file_without_a_number_is_taken_where_it_is_alone(load: Load) -> None:
    assert [m.version for m in load({"v1.0/base.sql": "SELECT 1;", "v1.1/more.sql": "SELECT 1;"})] == [
        "v1.0",
        "v1.1",
    ]
    with pytest.raises(CatalogError, match="has no version"):
        load({"v1.0/other.sql": "SELECT 1;"})


def test_a_plain_file_that_takes_back_one_of_its_number_is_left_out(load: Load) -> None:
    catalog = load({"1_a.sql": "SELECT 1;", "1_a_down.sql": "SELECT 0;", "2_b.sql": "SELECT 2;"})
    assert [m.file for m in catalog] == ["1_a.sql", "2_b.sql"]


@pytest.mark.parametrize("name", ["5_scale_down.sql", "003_undo.sql", "7-revert.sql"])
def test_a_plain_file_that_may_be_a_migration_or_take_one_back_is_asked_for(name: str, load: Load) -> None:
    with pytest.raises(CatalogError, match="may be a migration") as caught:
        load({"4_a.sql": "SELECT 1;", name: "SELECT 2;"})
    assert f'ignore = ["{name}"]' in caught.value.fix


def test_numbered_files_of_folders_below_are_known_to_be_passed_over(load: Load) -> None:
    catalog = load({"3_c.sql": "SELECT 3;", "old/1_a.sql": "SELECT 1;", "old/1_a.down.sql": "SELECT 0;"})
    assert catalog.passed_over == ("old/1_a.sql",)


def test_a_plain_folder_may_keep_its_ways_up_and_down_apart(load: Load) -> None:
    catalog = load({"up/1_a.sql": "SELECT 1;", "down/1_a.sql": "SELECT 2;"})
    assert run(catalog) == ["SELECT 1"]


def test_a_plain_file_is_cut_at_its_undo_mark(load: Load) -> None:
    assert run(load({"1_a.sql": "SELECT 1;\n-- //@UNDO\nSELECT 2;"})) == ["SELECT 1"]
    assert run(load({"1_a.sql": "-- Up\nSELECT 1;\n-- Down\nSELECT 2;"})) == ["SELECT 1"]
    assert run(load({"1_a.sql": "SELECT 1;\n-- Rollback:\n-- DROP TABLE t;\n"})) == ["SELECT 1"]


def test_sql_below_a_title_that_may_mean_the_way_back_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="looks like the way back") as raised:
        load({"1_a.sql": "SELECT 1;\n-- Down\nDROP TABLE t;"})
    assert str(raised.value.place) == "1_a.sql:2:1"


@pytest.mark.parametrize("mark", ["-- postgres-migrations disable-transaction", "-- atlas:txmode none"])
def test_a_plain_file_may_say_that_it_needs_no_transaction(mark: str, load: Load) -> None:
    assert not load({"1_a.sql": f"{mark}\nSELECT 1;"}).migrations[0].transactional


@pytest.mark.parametrize("mark", ["goose", "migrate"])
def test_a_folder_in_which_only_some_files_have_the_mark_may_be_plain(load: Load, mark: str) -> None:
    files = {"1_a.sql": f"-- +{mark} Up\nSELECT 1;", "2_b.sql": "SELECT 2;"}
    with pytest.raises(CatalogError, match=r"2_b\.sql has no") as raised:
        load(files)
    assert 'format = "plain"' in raised.value.fix
    assert [m.version for m in load(files, format="plain")] == ["1", "2"]
