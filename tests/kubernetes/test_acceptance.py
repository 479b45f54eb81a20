"""The seed's acceptance criteria, AC0 to AC6, through its own functions, in a namespace of a cluster."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster

from datastorage.infrastructure import migrations
from pgslate.errors import MissingTablesError, ServiceNotFoundError
from pgslate.targets.kubernetes import service_target
from pgslate.targets.target import Target

INDEXES = {"idx_audit_events_correlation", "idx_audit_events_event_type", "idx_audit_events_timestamp"}
PARTITIONS = {"audit_events_y2025m12", "audit_events_y2026m01"}


@pytest.fixture(scope="module", autouse=True)
def nothing_from_the_environment() -> Iterator[None]:
    """The login is the Secret's, whatever libpq's variables say here."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("PGUSER", "PGPASSWORD", "PGDATABASE"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def kubeconfig_path(cluster: TestCluster) -> str:
    """As the seed's teams give it; empty for the current one."""
    return os.fspath(cluster.kubeconfig) if cluster.kubeconfig else ""


@pytest.fixture(scope="module")
def audited(cluster: TestCluster, kubeconfig_path: str, own_namespace: str) -> tuple[str, str]:
    """A namespace in which the shortcut was called, and what it wrote."""
    cluster.apply(*manifests.postgres(own_namespace))
    writer = io.StringIO()
    migrations.apply_audit_migrations(own_namespace, kubeconfig_path, writer)
    return own_namespace, writer.getvalue()


@contextmanager
def inside(cluster: TestCluster, namespace: str) -> Iterator[Target]:
    """The namespace's database, to look at."""
    with service_target(namespace, kubeconfig=cluster.kubeconfig, environ={}, timeout=60) as target:
        yield target


def relations(cluster: TestCluster, namespace: str, kinds: str) -> set[str]:
    """The relations of these relkinds in public."""
    with inside(cluster, namespace) as target, target.connect() as connection:
        rows = connection.execute(
            "SELECT relname::text FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind = ANY(%s)",
            [list(kinds)],
        )
        return {row[0] for row in rows}


def test_ac0_every_team_gets_audit_events_with_its_partitions_and_indexes(
    cluster: TestCluster, audited: tuple[str, str]
) -> None:
    namespace, _ = audited
    assert {"audit_events", *PARTITIONS} <= relations(cluster, namespace, "rp")
    assert relations(cluster, namespace, "I") >= INDEXES


def test_ac1_audit_events_exists_and_is_empty(cluster: TestCluster, audited: tuple[str, str]) -> None:
    with inside(cluster, audited[0]) as target, target.connect() as connection:
        assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == (0,)


def test_ac2_the_indexes_of_workflowexecution_are_created(
    cluster: TestCluster, audited: tuple[str, str]
) -> None:
    assert relations(cluster, audited[0], "I") >= INDEXES


def test_ac3_the_partitions_are_created_and_the_table_is_partitioned(
    cluster: TestCluster, audited: tuple[str, str]
) -> None:
    assert "audit_events" in relations(cluster, audited[0], "p")
    assert relations(cluster, audited[0], "r") >= PARTITIONS


def test_ac4_the_shortcut_says_what_it_does_and_works_twice(
    audited: tuple[str, str], kubeconfig_path: str
) -> None:
    namespace, first = audited
    assert "013_create_audit_events_table.sql" in first
    again = io.StringIO()
    migrations.apply_audit_migrations(namespace, kubeconfig_path, again)
    assert "013_create_audit_events_table.sql" not in again.getvalue()
    assert "verified" in again.getvalue()
    assert manifests.PASSWORD not in first + again.getvalue()


def test_ac5_verify_returns_when_all_is_there_and_names_what_is_missing(
    audited: tuple[str, str], kubeconfig_path: str
) -> None:
    config = migrations.default_migration_config(audited[0], kubeconfig_path)
    migrations.verify_migrations(replace(config, tables=("audit_events",)), io.StringIO())
    with pytest.raises(MissingTablesError) as caught:
        migrations.verify_migrations(replace(config, tables=("notification_audit",)), io.StringIO())
    assert "public.notification_audit" in caught.value.tables


@pytest.mark.usefixtures("pgvector")
def test_ac6_aianalysis_gets_the_workflow_catalog_beside_audit_events(
    cluster: TestCluster, namespace: str, kubeconfig_path: str
) -> None:
    cluster.apply(*manifests.postgres(namespace))
    config = migrations.MigrationConfig(
        namespace, kubeconfig_path, tables=["audit_events", "remediation_workflow_catalog"]
    )
    migrations.apply_migrations(config, io.StringIO())
    assert {"audit_events", "remediation_workflow_catalog"} <= relations(cluster, namespace, "rp")
    migrations.verify_migrations(config, io.StringIO())


@pytest.mark.usefixtures("pgvector")
def test_the_data_storage_service_gets_everything(
    cluster: TestCluster, namespace: str, kubeconfig_path: str
) -> None:
    cluster.apply(*manifests.postgres(namespace))
    migrations.apply_all_migrations(namespace, kubeconfig_path, io.StringIO())
    migrations.verify_migrations(
        migrations.default_migration_config(namespace, kubeconfig_path), io.StringIO()
    )


def test_a_namespace_without_the_service_is_told_apart_from_a_missing_table(
    namespace: str, kubeconfig_path: str
) -> None:
    with pytest.raises(ServiceNotFoundError):
        migrations.apply_audit_migrations(namespace, kubeconfig_path, io.StringIO())
    with pytest.raises(ServiceNotFoundError):
        migrations.verify_migrations(
            migrations.default_migration_config(namespace, kubeconfig_path), io.StringIO()
        )
