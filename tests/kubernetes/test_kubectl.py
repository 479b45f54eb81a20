"""The stand-in is held to the real client: what kubectl can't do with it, it doesn't do right."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl isn't installed")
pytestmark = needs_kubectl


class Kubectl:
    """kubectl, with the cluster under test."""

    def __init__(self, cluster: TestCluster, home: Path) -> None:
        self.environ = {**os.environ, "KUBECACHEDIR": str(home)}
        if cluster.kubeconfig:  # else the current one, which may be in HOME
            self.environ |= {"HOME": str(home), "KUBECONFIG": str(cluster.kubeconfig)}

    def __call__(self, *args: str, stdin: str | None = None, status: int = 0) -> str:
        done = subprocess.run(
            ["kubectl", *args], env=self.environ, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stderr
        return done.stdout


@pytest.fixture
def kubectl(cluster: TestCluster, tmp_path: Path) -> Kubectl:
    return Kubectl(cluster, tmp_path)


@pytest.fixture
def pod(cluster: TestCluster, postgres: str, target: object, kubectl: Kubectl) -> str:
    """The name of the pod that PostgreSQL runs in; it is ready."""
    return kubectl("get", "pods", "-n", postgres, "-l", "app=postgresql", "-o", "name").strip()


def test_get_lists_pods_by_label(pod: str) -> None:
    assert re.fullmatch(r"pod/postgresql-\S+", pod)


def test_exec_runs_psql(kubectl: Kubectl, postgres: str, pod: str) -> None:
    psql = ("exec", "-n", postgres, pod, "--", "psql", "-U", "slm_user", "-d", "action_history", "-Atc")
    assert kubectl(*psql, "SELECT 6 * 7") == "42\n"


def test_exec_passes_standard_input_on_and_the_exit_status_back(
    kubectl: Kubectl, postgres: str, pod: str
) -> None:
    shell = ("exec", "-i", "-n", postgres, pod, "--", "sh", "-c")
    assert kubectl(*shell, "cat; exit 3", stdin="to and fro", status=3) == "to and fro"


def test_apply_is_server_side_and_says_what_it_did(kubectl: Kubectl, namespace: str) -> None:
    service = str(manifests.service(namespace, "postgresql")).replace("'", '"')
    done = kubectl("apply", "--server-side", "--validate=false", "-f", "-", stdin=service)
    assert done == "service/postgresql serverside-applied\n"


@pytest.fixture(params=["websocket", "spdy"])
def forwarded(request: pytest.FixtureRequest, kubectl: Kubectl, postgres: str, pod: str) -> Iterator[int]:
    """The local port of ``kubectl port-forward``."""
    environ = {
        **kubectl.environ,
        "KUBECTL_PORT_FORWARD_WEBSOCKETS": str(request.param == "websocket").lower(),
    }
    command = ["kubectl", "port-forward", "-n", postgres, pod, ":5432", "--address", "127.0.0.1"]
    with subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        said = process.stdout.readline()
        match = re.search(r"127\.0\.0\.1:(\d+)", said)
        try:
            assert match, said
            yield int(match[1])
        finally:
            process.terminate()


def test_port_forward_carries_a_query(forwarded: int) -> None:
    with psycopg.connect(
        host="127.0.0.1",
        port=forwarded,
        user="slm_user",
        password=manifests.PASSWORD,
        dbname="action_history",
    ) as connection:
        assert connection.execute("SELECT repeat('x', 100000)").fetchone() == ("x" * 100000,)
