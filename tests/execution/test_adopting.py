"""A database that another migration tool has migrated: adopted, verified, and then grown by one migration."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.execution.ledgers_of_tools import (
    FLYWAY_TABLE,
    NAMES,
    PRISMA_TABLE,
    SAMPLES,
    SQLX_TABLE,
    USERS,
    Sample,
    flyway_row,
    prisma_row,
    sqlx_row,
)

from pgslate import Project, adopt, apply, plan, status, verify
from pgslate.errors import LedgerError, UsageError, VerificationError
from pgslate.report import status as report
from pgslate.targets.target import Target, dsn_with

Write = Callable[[Mapping[str, str]], Path]
BY_NAME = {sample.tool: sample for sample in SAMPLES}
FLYWAY = BY_NAME["flyway"]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files into a folder of migrations, and get the folder."""

    def written(files: Mapping[str, str]) -> Path:
        root = tmp_path / "migrations"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return written


def run_sql(target: Target, *texts: str) -> None:
    with target.connect(autocommit=True) as connection:
        for text in texts:
            connection.execute(text.encode())


def migrated(sample: Sample, write: Write, database: Target) -> Project:
    """The sample's project, and the database as its tool left it."""
    run_sql(database, USERS, NAMES, sample.ledger)
    return Project.open(write(sample.files), format=sample.format)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.tool)
def test_each_tools_database_is_adopted_and_grows(sample: Sample, write: Write, database: Target) -> None:
    project = migrated(sample, write, database)
    said = f"{sample.title} up to {sample.applied[-1]}"
    before = status(project, database)
    assert before.migrated_by == said
    assert f"migrated by {said}: pgslate adopt" in report.text(before, "db")
    for refused in (plan, apply):
        with pytest.raises(LedgerError, match=re.escape(said)) as caught:
            refused(project.slice(), database)
        assert "pgslate adopt" in caught.value.fix

    done = adopt(project, database)
    assert (done.tool, tuple(m.version for m in done.migrations)) == (sample.title, sample.applied)

    after = status(project, database)
    assert after.migrated_by == ""
    assert {row.applied_by for row in after.applied} == {sample.title}
    assert f"applied by {sample.title}" in report.text(after, "db")
    assert len(after.pending) == 1
    assert after.left_out == ()

    grown = apply(project.slice(), database)
    assert [each.version for each in grown.applied] == [done.pending[0].version]
    assert verify(project.slice(), database).ok
    assert apply(project.slice(), database).nothing_to_do


def assert_refused(project: Project, database: Target, reason: str) -> None:
    with pytest.raises(LedgerError, match=reason):
        adopt(project, database)
    assert status(project, database).applied == ()


def test_a_failed_row_of_flyway_is_refused(write: Write, database: Target) -> None:
    failed = flyway_row(1, "1", "V1__users.sql", USERS) + flyway_row(
        2, "2", "V2__names.sql", NAMES, success=False
    )
    project = migrated(replace(FLYWAY, ledger=FLYWAY_TABLE + failed), write, database)
    assert_refused(project, database, "V2__names.sql failed")


def test_a_file_that_was_edited_since_is_refused(write: Write, database: Target) -> None:
    edited = FLYWAY.files | {"V2__names.sql": NAMES + "SELECT 1;\n"}
    project = migrated(replace(FLYWAY, files=edited), write, database)
    assert_refused(project, database, "V2__names.sql was edited after Flyway applied it")


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("prisma", "20240101000002_names/migration.sql"),
        ("sqlx", "20240101000002_names.sql"),
        ("sqitch", "deploy/names.sql"),
        ("drizzle", "0001_names.sql"),
    ],
)
def test_each_tool_that_keeps_checksums_tells_edited_files(
    tool: str, file: str, write: Write, database: Target
) -> None:
    sample = BY_NAME[tool]
    project = migrated(replace(sample, files=sample.files | {file: NAMES + "SELECT 1;\n"}), write, database)
    assert_refused(project, database, f"was edited after {sample.title} applied it")


def test_other_line_ends_are_no_edit(write: Write, database: Target) -> None:
    ledger = SQLX_TABLE + sqlx_row(20240101000001, USERS.replace("\n", "\r\n"))
    project = migrated(
        replace(BY_NAME["sqlx"], ledger=ledger + sqlx_row(20240101000002, NAMES)), write, database
    )
    assert len(adopt(project, database).migrations) == 2


def test_a_migration_that_the_catalog_lacks_is_refused(write: Write, database: Target) -> None:
    ledger = FLYWAY.ledger + flyway_row(3, "9", "V9__gone.sql", "SELECT 1;")
    project = migrated(replace(FLYWAY, ledger=ledger), write, database)
    assert_refused(project, database, "V9__gone.sql is applied, and the catalog has no such migration")


def test_what_flyway_began_with_stands_for_all_below(write: Write, database: Target) -> None:
    ledger = FLYWAY_TABLE + (
        "INSERT INTO flyway_schema_history VALUES"
        " (1, '2', 'b', 'BASELINE', '<< Flyway Baseline >>', NULL, 'me', now(), 0, true);"
    )
    project = migrated(replace(FLYWAY, ledger=ledger), write, database)
    assert [m.version for m in adopt(project, database).migrations] == ["1", "2"]


def test_a_repeatable_script_that_changed_is_run_again(write: Write, database: Target) -> None:
    view = "CREATE OR REPLACE VIEW all_users AS SELECT id FROM users;\n"
    changed = "CREATE OR REPLACE VIEW all_users AS SELECT id, name FROM users;\n"
    row = (
        "INSERT INTO flyway_schema_history VALUES"
        " (3, NULL, 'd', 'SQL', 'R__view.sql', 5, 'me', now(), 1, true);"
    )
    sample = replace(FLYWAY, files=FLYWAY.files | {"R__view.sql": changed}, ledger=FLYWAY.ledger + row)
    project = migrated(sample, write, database)
    run_sql(database, view)
    assert [m.version for m in adopt(project, database).pending] == ["3", "R__view"]
    apply(project.slice(), database)
    assert verify(project.slice(), database).ok


def test_a_dirty_version_of_golang_migrate_is_refused(write: Write, database: Target) -> None:
    sample = BY_NAME["golang-migrate"]
    project = migrated(replace(sample, ledger=sample.ledger.replace("false", "true")), write, database)
    assert_refused(project, database, "version 2 is dirty")


def test_a_migration_of_prisma_that_never_finished_is_refused(write: Write, database: Target) -> None:
    ledger = PRISMA_TABLE + prisma_row("20240101000001_users", USERS)
    unfinished = prisma_row("20240101000002_names", NAMES, "NULL")
    project = migrated(replace(BY_NAME["prisma"], ledger=ledger + unfinished), write, database)
    assert_refused(project, database, "20240101000002_names failed, or still runs")


def test_a_migration_that_prisma_rolled_back_is_pending(write: Write, database: Target) -> None:
    ledger = PRISMA_TABLE + prisma_row("20240101000001_users", USERS)
    rolled_back = prisma_row("20240101000002_names", NAMES, "NULL", "now()")
    sample = replace(BY_NAME["prisma"], ledger=ledger + rolled_back)
    run_sql(database, USERS, sample.ledger)
    project = Project.open(write(sample.files))
    assert [m.version for m in adopt(project, database).migrations] == ["20240101000001_users"]


def test_a_failed_migration_of_sqlx_is_refused(write: Write, database: Target) -> None:
    ledger = SQLX_TABLE + sqlx_row(20240101000001, USERS) + sqlx_row(20240101000002, NAMES, success=False)
    project = migrated(replace(BY_NAME["sqlx"], ledger=ledger), write, database)
    assert_refused(project, database, "version 20240101000002 failed")


def test_a_failed_changeset_of_liquibase_is_refused(write: Write, database: Target) -> None:
    sample = BY_NAME["liquibase"]
    project = migrated(replace(sample, ledger=sample.ledger.replace("MARK_RAN", "FAILED")), write, database)
    assert_refused(project, database, "changelog.sql::2::ann failed")


def test_a_committed_file_of_another_hash_is_refused(write: Write, database: Target) -> None:
    sample = BY_NAME["graphile-migrate"]
    ledger = sample.ledger.replace("('sha1:000002'", "('sha1:fffff2'")
    project = migrated(replace(sample, ledger=ledger), write, database)
    assert_refused(project, database, "was edited after Graphile Migrate applied it")


def test_a_version_that_goose_took_back_is_pending(write: Write, database: Target) -> None:
    project = migrated(BY_NAME["goose"], write, database)
    assert [m.version for m in adopt(project, database).pending] == ["00003"]


def test_a_table_that_the_role_may_not_read_is_passed_over(write: Write, database: Target, role: str) -> None:
    project = migrated(FLYWAY, write, database)
    other = Target(dsn_with(database.dsn, user=role))
    with pytest.raises(UsageError, match="the role may read"):
        adopt(project, other)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.tool)
def test_a_claim_that_isnt_so_is_refused(sample: Sample, write: Write, database: Target) -> None:
    project = migrated(sample, write, database)
    run_sql(database, "DROP INDEX users_name")
    with pytest.raises(VerificationError, match="users_name"):
        adopt(project, database)
    assert status(project, database).applied == ()


def test_where_two_tools_were_at_work_one_is_named(write: Write, database: Target) -> None:
    sample = BY_NAME["rails"]
    project = migrated(sample, write, database)
    run_sql(database, "CREATE TABLE goose_db_version (id int, version_id bigint, is_applied bool)")
    run_sql(database, "INSERT INTO goose_db_version VALUES (1, 20240001, true)")
    with pytest.raises(UsageError, match="several tools") as caught:
        adopt(project, database)
    assert "--tool" in caught.value.fix
    assert adopt(project, database, tool="rails").table == "public.schema_migrations"


def test_a_tool_that_isnt_there_is_said(write: Write, database: Target) -> None:
    project = migrated(FLYWAY, write, database)
    with pytest.raises(UsageError, match="no table of goose"):
        adopt(project, database, tool="goose")


def test_a_database_without_any_tools_table_is_said(write: Write, database: Target) -> None:
    with pytest.raises(UsageError, match="no table of a migration tool"):
        adopt(Project.open(write(FLYWAY.files)), database)


def test_what_pgslate_applied_is_not_adopted(write: Write, database: Target) -> None:
    project = Project.open(write(FLYWAY.files))
    apply(project.slice(), database)
    with pytest.raises(LedgerError, match="has rows already"):
        adopt(project, database)


def test_a_tools_table_for_another_catalog_stops_nothing(write: Write, database: Target) -> None:
    project = Project.open(write(FLYWAY.files))
    run_sql(database, FLYWAY.ledger)
    assert len(apply(project.slice(), database).applied) == 3


def test_what_is_assumed_on_the_command_line_needs_no_adoption(write: Write, database: Target) -> None:
    project = migrated(FLYWAY, write, database)
    assert len(apply(project.slice(), database, assume_applied=["1", "2"]).applied) == 1


REVISION = """from alembic import op

revision = "{0}"
down_revision = {1}


def upgrade():
    op.execute("{2}")
"""
INI = "[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = {0}\n"
ENV = """
from alembic import context
from sqlalchemy import create_engine

if context.is_offline_mode():
    context.configure(url="postgresql://", dialect_name="postgresql", literal_binds=True)
    context.run_migrations()
else:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
    with engine.connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""


def url_for_psycopg(target: Target) -> str:
    with target.connect() as connection:
        info = connection.info
        return f"postgresql+psycopg://{info.user}@/{info.dbname}?host={info.host}&port={info.port}"


@pytest.mark.skipif(find_spec("alembic") is None, reason="alembic is not installed")
def test_what_alembic_itself_upgraded_is_adopted_up_to_its_heads(write: Write, database: Target) -> None:
    import alembic.command
    import alembic.config

    revisions = {
        "aaa": ("None", "CREATE TABLE users (id int)"),
        "bbb": ("'aaa'", "CREATE TABLE teams (id int)"),
        "ccc": ("'aaa'", "CREATE TABLE notes (id int)"),
        "ddd": ("('bbb', 'ccc')", "CREATE TABLE tags (id int)"),
    }
    root = write(
        {f"versions/{name}_x.py": REVISION.format(name, *each) for name, each in revisions.items()}
        | {"env.py": ENV, "script.py.mako": "", "../alembic.ini": INI.format("postgresql://")}
    )
    config = alembic.config.Config(str(root.parent / "alembic.ini"))
    config.set_main_option("sqlalchemy.url", url_for_psycopg(database))
    alembic.command.upgrade(config, "ccc")
    project = Project.open(root)
    assert sorted(m.version for m in adopt(project, database).migrations) == ["aaa", "ccc"]
    assert {row.applied_by for row in status(project, database).applied} == {"Alembic"}
    applied = apply(project.slice(), database, allow_out_of_order=True).applied
    assert sorted(each.version for each in applied) == ["bbb", "ddd"]


@pytest.mark.skipif(find_spec("yoyo") is None, reason="yoyo is not installed")
def test_what_yoyo_itself_applied_is_adopted(write: Write, database: Target) -> None:
    sample = BY_NAME["yoyo"]
    root = write({file: text for file, text in sample.files.items() if not file.startswith("0003")})
    options = ("--batch", "--no-config-file", "-d", url_for_psycopg(database))
    subprocess.run([sys.executable, "-m", "yoyo", "apply", *options, str(root)], check=True)
    write(sample.files)
    project = Project.open(root, format="yoyo")
    assert [m.version for m in adopt(project, database).migrations] == ["0001_users", "0002_names"]
    assert [each.version for each in apply(project.slice(), database).applied] == ["0003_teams"]
