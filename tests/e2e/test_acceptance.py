"""The seed's acceptance criteria, AC0 to AC6, through its own functions, on an embedded server."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from datastorage.infrastructure import migrations
from pgslate.errors import MissingTablesError, ServerNotReadyError, UnknownTableError, UsageError
from pgslate.targets.target import Target

AUDIT_INDEXES = {"idx_audit_events_correlation", "idx_audit_events_event_type", "idx_audit_events_timestamp"}


def on(database: Target, *tables: str) -> migrations.MigrationConfig:
    return migrations.MigrationConfig(dsn=database.dsn, tables=tables)


def names(database: Target, kinds: str) -> set[str]:
    """The relations of these relkinds in public."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT relname::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = ANY(%s)",
            [list(kinds)],
        )
        return {row[0] for row in rows}


def test_ac0_every_team_gets_audit_events_with_its_partitions_and_indexes(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    assert {"audit_events", "audit_events_y2025m12", "audit_events_y2026m01"} <= names(database, "rp")
    assert names(database, "I") >= AUDIT_INDEXES


def test_ac1_audit_events_exists_and_is_empty(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    with database.connect() as connection:
        assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == (0,)


def test_ac2_the_indexes_of_workflowexecution_are_created(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    assert {name for name in names(database, "I") if name.startswith("idx_audit_events_")} >= AUDIT_INDEXES


def test_ac3_the_partitions_are_created_and_the_table_is_partitioned(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    assert "audit_events" in names(database, "p")
    assert {"audit_events_y2025m12", "audit_events_y2026m01"} <= names(database, "r")


def test_ac4_the_shortcut_works_twice(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    told = io.StringIO()
    migrations.apply_audit_migrations("", "", told, dsn=database.dsn)
    assert "to apply" not in told.getvalue()
    assert "verified" in told.getvalue()


def test_ac5_verify_returns_when_all_is_there(database: Target) -> None:
    migrations.apply_all_migrations("", "", io.StringIO(), dsn=database.dsn)
    told = io.StringIO()
    migrations.verify_migrations(on(database), told)
    assert "verified every table" in told.getvalue()


def test_a_table_that_was_dropped_since_is_missed_by_the_next_apply(database: Target) -> None:
    migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    with database.connect(autocommit=True) as connection:
        connection.execute("DROP TABLE audit_events_y2026m01 CASCADE")
    with pytest.raises(MissingTablesError) as caught:
        migrations.apply_audit_migrations("", "", io.StringIO(), dsn=database.dsn)
    assert caught.value.tables == ("public.audit_events_y2026m01",)


def test_ac5_verify_names_the_tables_that_are_missing(database: Target) -> None:
    with pytest.raises(MissingTablesError) as caught:
        migrations.verify_migrations(on(database, "audit_events"), io.StringIO())
    assert "public.audit_events" in caught.value.tables
    assert caught.value.fix


def test_ac6_aianalysis_gets_the_workflow_catalog_beside_audit_events(database: Target) -> None:
    config = on(database, "audit_events", "remediation_workflow_catalog")
    migrations.apply_migrations(config, io.StringIO())
    assert {"audit_events", "remediation_workflow_catalog"} <= names(database, "rp")
    migrations.verify_migrations(config, io.StringIO())


def test_the_defaults_are_those_that_the_teams_agreed_on() -> None:
    config = migrations.default_migration_config("ns", "/kubeconfig")
    assert (config.namespace, config.kubeconfig_path) == ("ns", "/kubeconfig")
    assert (config.postgres_service, config.postgres_user, config.postgres_db) == (
        "postgresql",
        "slm_user",
        "action_history",
    )
    assert tuple(config.tables) == ()


def test_the_metadata_of_migrations_is_what_their_sql_makes() -> None:
    by_file = {migration.file: migration for migration in migrations.available_migrations()}
    assert by_file["013_create_audit_events_table.sql"].tables == ("audit_events", "audit_event_ids")
    assert set(by_file["013_create_audit_events_table.sql"].indexes) >= AUDIT_INDEXES
    assert by_file["1000_create_audit_events_partitions.sql"].tables == (
        "audit_events_y2025m12",
        "audit_events_y2026m01",
    )
    assert set(by_file["012_adr033_multidimensional_tracking.sql"].indexes) == {
        "idx_incident_type_success",
        "idx_workflow_success",
    }
    assert by_file["012_adr033_multidimensional_tracking.sql"].tables == ()


def test_the_metadata_of_migrations_is_in_the_order_of_their_application() -> None:
    files = [migration.file for migration in migrations.available_migrations()]
    assert files.index("024_add_legal_hold.sql") < files.index("1000_create_audit_events_partitions.sql")
    assert len(files) == 24


def test_the_migrations_have_the_names_that_the_teams_know() -> None:
    by_file = {migration.file: migration.name for migration in migrations.available_migrations()}
    assert by_file["001_initial_schema.sql"] == "initial_schema"
    assert by_file["012_adr033_multidimensional_tracking.sql"] == "adr033_tracking"
    assert by_file["013_create_audit_events_table.sql"] == "audit_events"
    assert by_file["015_create_workflow_catalog_table.sql"] == "workflow_catalog"
    assert by_file["1000_create_audit_events_partitions.sql"] == "audit_partitions"


def test_a_migration_of_another_catalog_is_named_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "pgslate.toml").write_text('catalog = "."\n')
    (tmp_path / "013_create_audit_events_table.sql").write_text("CREATE TABLE audit_events (id int);")
    (migration,) = migrations.available_migrations(tmp_path)
    assert migration.name == "create_audit_events_table"


def test_a_partition_that_a_table_list_names_is_made_as_the_policy_would(database: Target) -> None:
    migrations.apply_migrations(on(database, "audit_events_y2031m07"), io.StringIO())
    assert "audit_events_y2031m07" in names(database, "r")
    with pytest.raises(MissingTablesError, match="audit_events_y2031m08"):
        migrations.verify_migrations(on(database, "audit_events_y2031m08"), io.StringIO())


def test_a_server_that_is_not_there_is_told_apart_from_a_missing_table() -> None:
    config = migrations.MigrationConfig(dsn="postgresql://nobody@127.0.0.1:1/none", timeout=0.1)
    with pytest.raises(ServerNotReadyError):
        migrations.apply_migrations(config, io.StringIO())
    with pytest.raises(ServerNotReadyError):
        migrations.verify_migrations(config, io.StringIO())


def test_a_table_that_no_migration_makes_is_an_error_with_a_suggestion(database: Target) -> None:
    with pytest.raises(UnknownTableError, match="audit_evnts") as caught:
        migrations.apply_migrations(on(database, "audit_evnts"), io.StringIO())
    assert "audit_events" in caught.value.fix


def test_without_a_namespace_or_dsn_there_is_no_target() -> None:
    with pytest.raises(UsageError, match="no target"):
        migrations.apply_migrations(
            replace(migrations.default_migration_config("", ""), tables=["audit_events"]), io.StringIO()
        )


def test_the_writer_hears_of_each_migration_and_never_of_a_password(database: Target) -> None:
    told = io.StringIO()
    with_password = database.dsn.replace("postgres@", "postgres:hush-hush@")
    migrations.apply_migrations(migrations.MigrationConfig(dsn=with_password, tables=["audit_events"]), told)
    assert "013_create_audit_events_table.sql" in told.getvalue()
    assert "hush-hush" not in told.getvalue()
