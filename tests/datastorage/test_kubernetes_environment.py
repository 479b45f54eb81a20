"""The same suite against a cluster: the stand-in of the Kubernetes tests, with a real PostgreSQL in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from datastorage import AuditClient
from datastorage.e2e import suite
from datastorage.infrastructure import manifests
from datastorage.infrastructure.migrations import apply_migrations
from datastorage.services import service as service_named

pytest.importorskip("wsproto")

from tests.kubernetes.standin.server import StandIn

from datastorage.infrastructure.kubernetes import KubernetesEnvironment
from pgslate.targets.kubernetes import kubeconfig as kubeconfigs
from pgslate.targets.kubernetes.api import HttpApi, NotFoundError, path_of


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with StandIn() as standin:
        yield standin.kubeconfig(tmp_path_factory.mktemp("cluster"))


def test_a_suite_passes_in_a_namespace_that_is_gone_afterwards(kubeconfig: Path, tmp_path: Path) -> None:
    signalprocessing = service_named("signalprocessing")

    with KubernetesEnvironment(
        "signalprocessing", kubeconfig=kubeconfig, workload="Deployment"
    ) as environment:
        apply_migrations(environment.migrations("audit_events"), sys.stderr)
        environment.deploy()
        with AuditClient(environment.url, spool=tmp_path) as client:
            for event in signalprocessing.typical_run("rr-1"):
                client.record(event)
        events = suite.eventually_events(environment, "rr-1")
        tables = suite.tables_of(environment.database)

    assert suite.differences_from_run(events, signalprocessing) == []
    assert tables == suite.AUDIT_TABLES
    api = HttpApi(kubeconfigs.load(kubeconfig))
    with pytest.raises(NotFoundError):
        api.get(path_of("namespaces", name=environment.namespace))
    api.close()


def test_postgresql_is_a_stateful_set_with_its_password_in_a_secret() -> None:
    workload, service = manifests.postgres("test", image="postgres:17", workload="StatefulSet")

    container = workload["spec"]["template"]["spec"]["containers"][0]
    assert (workload["kind"], workload["spec"]["serviceName"]) == ("StatefulSet", service["metadata"]["name"])
    assert [one["name"] for one in container["env"] if "valueFrom" in one] == ["POSTGRES_PASSWORD"]
