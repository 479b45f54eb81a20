"""The main job through a forward: the audit slice applied, and finished after the network broke."""

from __future__ import annotations

import threading
from contextlib import closing
from functools import partial
from pathlib import Path

import psycopg
import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.standin.server import StandIn
from tests.kubernetes.test_kubectl import Kubectl, kubectl, needs_kubectl

import datastorage
from pgslate import cli
from pgslate.errors import PgslateError
from pgslate.project.project import Project
from pgslate.slices.slice import Slice
from pgslate.targets.kubernetes import exit_status, run_many, service_target
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply

__all__ = ["kubectl"]  # the fixture

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def audit() -> Slice:
    """The seed's shortcut, out of the Data Storage service's catalog."""
    project = Project.open(start=Path(datastorage.__file__).parent)
    return project.slice(bundle="audit")


def has_audit_events(target: Target) -> bool:
    with closing(target.connect()) as connection:
        row = connection.execute("SELECT to_regclass('audit_events') IS NOT NULL").fetchone()
    return bool(row and row[0])


def test_the_audit_slice_is_applied_and_the_second_time_there_is_nothing_to_do(
    cluster: TestCluster, namespace: str, audit: Slice
) -> None:
    cluster.apply(*manifests.postgres(namespace))
    with service_target(namespace, api=cluster.api, environ={}, patience=cluster.patience) as target:
        assert apply(audit, target).applied
        assert has_audit_events(target)
        assert not apply(audit, target).applied


def test_several_namespaces_are_provisioned_at_once(
    cluster: TestCluster, namespace: str, audit: Slice
) -> None:
    names = ("one", "two", "three")
    for name in names:
        cluster.apply(*manifests.postgres(namespace, name))

    def provision(service: str, tell: object) -> bool:
        with service_target(
            namespace, service=service, api=cluster.api, environ={}, patience=cluster.patience
        ) as target:
            apply(audit, target)
            return has_audit_events(target)

    outcomes = run_many({name: partial(provision, name) for name in names}, at_once=2)
    assert [(outcome.name, outcome.result) for outcome in outcomes] == [(name, True) for name in names]
    assert exit_status(outcomes) == 0


def test_a_run_whose_pod_is_replaced_fails_cleanly_and_the_next_one_finishes_it(
    cluster: TestCluster, namespace: str, audit: Slice, faults: StandIn
) -> None:
    cluster.apply(*manifests.postgres(namespace))
    with service_target(namespace, api=cluster.api, environ={}, patience=cluster.patience) as target:
        with closing(target.connect(autocommit=True)) as blocker:
            # the run waits for this lock, and so is in its middle when the pod goes
            blocker.execute("CREATE TABLE audit_events (); DROP TABLE audit_events; CREATE SCHEMA held")
            blocker.execute("BEGIN; LOCK pg_namespace IN ACCESS EXCLUSIVE MODE")
            gone = threading.Timer(0.5, faults.cut_forwards)
            gone.start()
            with pytest.raises((PgslateError, psycopg.OperationalError)):
                apply(audit, target)
            gone.join()
        apply(audit, target)
        assert has_audit_events(target)


@needs_kubectl
@pytest.mark.parametrize("document", ["README.md", "docs/kubernetes.md"])
def test_the_commands_of_the_documentation_lead_to_a_verified_schema(
    cluster: TestCluster,
    kubectl: Kubectl,
    namespace: str,
    document: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lines = [line.strip().removeprefix("$ ") for line in (ROOT / document).read_text().splitlines()]
    begin = lines.index("kind create cluster")
    _, create, deploy, *ours = lines[begin : begin + 5]
    assert create == "kubectl create namespace test"  # of which the fixture made one
    monkeypatch.chdir(ROOT)
    for name in ("PGUSER", "PGPASSWORD", "PGDATABASE", "PGSLATE_DSN"):
        monkeypatch.delenv(name, raising=False)
    if cluster.kubeconfig:
        monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))

    def here(command: str) -> list[str]:
        return [namespace if word == "test" else word for word in command.split()]

    program, *args = here(deploy)
    assert program == "kubectl"
    if cluster.standin:
        kubectl(*args, "--validate=false")
    else:
        manifest = (ROOT / args[-1]).read_text().replace("pgvector/pgvector:pg17", manifests.IMAGE)
        kubectl(*args[:-1], "-", stdin=manifest)
    for command in ours:
        program, *args = here(command)
        assert program == "pgslate"
        assert cli.main(args) == 0, capfd.readouterr().err
    assert "as they should be" in capfd.readouterr().out
