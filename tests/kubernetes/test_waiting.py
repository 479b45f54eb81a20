"""Ready within the timeout, or an error that says why not, and early where waiting is no use."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.kubernetes import manifests
from tests.kubernetes.conftest import TestCluster
from tests.kubernetes.standin.kubelet import Running
from tests.kubernetes.standin.server import StandIn

from pgslate.errors import ClusterAuthError, ClusterError, PodNotReadyError, ServerNotReadyError
from pgslate.targets.kubernetes import service_target
from pgslate.targets.kubernetes.api import HttpApi, path_of
from pgslate.targets.kubernetes.discovery import find_backend
from pgslate.targets.kubernetes.kubeconfig import load
from pgslate.targets.kubernetes.readiness import Patience, wait_for_pod


def broken(namespace: str, **container: object) -> list[manifests.Json]:
    """PostgreSQL, but for what is said of its container."""
    secret, _, service = manifests.postgres(namespace)
    made = {**manifests.postgres_container("postgresql-secret"), **container}
    return [secret, manifests.deployment(namespace, "postgresql", made), service]


def failure(cluster: TestCluster, namespace: str) -> PodNotReadyError:
    with pytest.raises(PodNotReadyError) as caught:
        service_target(namespace, api=cluster.api, environ={}, patience=cluster.hasty)
    assert caught.value.exit_status == 3
    return caught.value


def test_an_image_that_is_not_there_ends_the_wait_early(cluster: TestCluster, namespace: str) -> None:
    cluster.apply(*broken(namespace, image="pgslate.invalid/postgres:17", imagePullPolicy="Never"))
    error = failure(cluster, namespace)
    assert "of the same trouble" in error.message
    assert "ErrImageNeverPull" in error.message
    assert "pgslate.invalid/postgres:17" in error.message
    assert "check the image's name" in error.fix


def test_an_image_that_can_not_be_pulled_ends_the_wait_early(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    cluster.apply(*broken(namespace, image="registry.invalid/postgres:17"))
    error = failure(cluster, namespace)
    assert "ImagePullBackOff" in error.message
    assert "no such host" in error.message


def test_a_crash_loop_ends_the_wait_early_with_the_last_words(cluster: TestCluster, namespace: str) -> None:
    last = "echo 'FATAL: no config file'; exit 3"
    cluster.apply(*broken(namespace, command=["sh", "-c", last]))
    error = failure(cluster, namespace)
    assert "status 3" in error.message
    assert "FATAL: no config file" in error.message
    assert error.message.splitlines()[0].endswith((": CrashLoopBackOff", ": Error"))  # they take turns
    assert f"kubectl logs -n {namespace} postgresql-" in error.fix


def test_a_container_that_ended_for_good_has_its_last_words_told(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    key = {"name": "db-0", "namespace": namespace}
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    container = {"name": "db", "image": "db", "ready": False, "restartCount": 0, "state": ended}
    faults.kubelet._running[namespace, "db-0"] = Running(log="FATAL: data directory is not empty\n")
    faults.store.put(
        "pods",
        {
            "metadata": {**key, "labels": {"app": "postgresql"}},
            "spec": {"containers": [{"name": "db", "image": "db"}], "restartPolicy": "Never"},
            "status": {"phase": "Failed", "containerStatuses": [{**container, "lastState": {}}]},
        },
    )
    cluster.apply(manifests.service(namespace, "postgresql"))
    assert "FATAL: data directory is not empty" in failure(cluster, namespace).message


def test_a_password_in_the_last_words_is_not_shown(cluster: TestCluster, namespace: str) -> None:
    last = "echo \"STATEMENT: ALTER ROLE app PASSWORD 'hush'; password=hush\"; exit 1"
    cluster.apply(*broken(namespace, command=["sh", "-c", last]))
    error = failure(cluster, namespace)
    assert "ALTER ROLE app PASSWORD ***" in error.message
    assert "hush" not in str(error)


def test_a_secret_that_is_missing_is_named(cluster: TestCluster, namespace: str) -> None:
    container = manifests.postgres_container("no-such-secret")
    deployment = manifests.deployment(namespace, "postgresql", container)
    cluster.apply(deployment, manifests.service(namespace, "postgresql"))
    error = failure(cluster, namespace)
    assert "CreateContainerConfigError" in error.message
    assert 'secret "no-such-secret" not found' in error.message
    assert "create the Secret" in error.fix


def test_a_pod_that_fits_no_node_says_what_the_scheduler_said(cluster: TestCluster, namespace: str) -> None:
    container = manifests.postgres_container("postgresql-secret")
    nowhere = {"nodeSelector": {"pgslate.test/nowhere": "true"}}
    deployment = manifests.deployment(namespace, "postgresql", container, **nowhere)
    cluster.apply(deployment, manifests.service(namespace, "postgresql"))
    error = failure(cluster, namespace)
    assert "Unschedulable" in error.message
    assert "affinity/selector" in error.message


def test_a_service_with_no_pods_says_which_label_they_would_have(
    cluster: TestCluster, namespace: str
) -> None:
    cluster.apply(manifests.service(namespace, "postgresql", selector={"app": "misspelt"}))
    with pytest.raises(PodNotReadyError, match=r"no endpoints: no pod .* has app=misspelt") as caught:
        service_target(namespace, api=cluster.api, environ={}, patience=Patience(timeout=0.5))
    assert "compare the service's selector" in caught.value.fix


def test_a_pod_that_comes_later_is_waited_for_and_said_so(cluster: TestCluster, namespace: str) -> None:
    secret, deployment, service = manifests.postgres(namespace)
    cluster.apply(secret, service)
    waiting = threading.Event()
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        if "no pods with app=postgresql yet" in line:
            waiting.set()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(
            service_target, namespace, api=cluster.api, environ={}, patience=cluster.patience, note=note
        )
        assert waiting.wait(10)
        cluster.apply(deployment)
        with coming.result() as target:
            target.connect().close()


# from here on by faults


def test_a_probe_that_fails_is_told_when_the_time_is_over(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    faults.kubelet.holding.add("slow")
    secret, deployment, service = manifests.postgres(namespace, "slow")
    cluster.apply(secret, deployment, service)
    with pytest.raises(PodNotReadyError, match="within 5 s") as caught:
        service_target(namespace, api=cluster.api, environ={}, patience=Patience(timeout=5))
    assert "Readiness probe failed: no response" in caught.value.message
    faults.kubelet.holding.discard("slow")


def held(cluster: TestCluster, namespace: str, faults: StandIn, upset: Callable[[], None]) -> None:
    """Wait for a pod that gets ready only after something upset the watch."""
    name = f"held-{namespace}"
    faults.kubelet.holding.add(name)
    cluster.apply(*manifests.postgres(namespace, name))
    backend = find_backend(cluster.api, namespace, name)
    waiting = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(
            wait_for_pod,
            cluster.api,
            backend,
            patience=Patience(timeout=30, watch=1),
            note=lambda line: waiting.set() if "Unhealthy" in line else None,
        )
        assert waiting.wait(10)
        upset()
        faults.kubelet.release(name)
        assert coming.result()["status"]["phase"] == "Running"


def test_a_watch_that_fell_too_far_behind_begins_anew(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    def upset() -> None:
        faults.faults.answer(410, "/pods$", times=1, message="too old resource version")
        faults.store.forget_history()

    held(cluster, namespace, faults, upset)


def test_a_watch_that_says_nothing_is_not_trusted_for_long(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    held(cluster, namespace, faults, faults.faults.slow_watch.set)


def test_who_may_list_but_not_watch_gets_there_too(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    faults.faults.forbidden.add(("watch", "pods"))
    held(cluster, namespace, faults, lambda: None)


@pytest.mark.parametrize("status", [410, 429, 500, 503])
def test_an_api_server_in_trouble_is_waited_for_too(
    cluster: TestCluster, postgres: str, faults: StandIn, status: int
) -> None:
    faults.faults.answer(status, "/pods$", times=2, message="the server is busy")
    lines: list[str] = []
    with service_target(
        postgres, api=cluster.api, environ={}, patience=cluster.patience, waiting=lines.append
    ):
        (busy,) = (line for line in lines if "the API server:" in line)
        assert f"answered {status}" in busy
    faults.faults.answer(status, "/pods$", times=100, message="the server is busy")
    with pytest.raises(ClusterError, match=f"answered {status}"):
        service_target(postgres, api=cluster.api, environ={}, patience=Patience(timeout=1))


def test_credentials_that_run_out_in_the_middle_are_said(
    cluster: TestCluster, namespace: str, faults: StandIn
) -> None:
    cluster.apply(manifests.service(namespace, "postgresql"))
    faults.faults.answer(401, "/pods$", times=5)
    with pytest.raises(ClusterAuthError, match="401"):
        service_target(namespace, api=cluster.api, environ={}, patience=cluster.patience)


def test_a_ready_pod_whose_server_never_answers_is_told_apart(
    cluster: TestCluster, postgres: str, faults: StandIn
) -> None:
    faults.faults.forward("refused", times=1000)
    with pytest.raises(ServerNotReadyError, match="ready, but PostgreSQL takes no connections") as caught:
        service_target(postgres, api=cluster.api, environ={}, patience=Patience(timeout=1))
    assert not isinstance(caught.value, PodNotReadyError)
    assert "connection refused" in " ".join(caught.value.attempts)


def test_nothing_is_waited_for_longer_than_the_clock_allows(cluster: TestCluster, namespace: str) -> None:
    cluster.apply(manifests.service(namespace, "postgresql"))
    backend = find_backend(cluster.api, namespace)
    clock = itertools.chain([0.0, 0.0], itertools.repeat(1000.0)).__next__
    with pytest.raises(PodNotReadyError, match="within 900 s"):
        wait_for_pod(cluster.api, backend, patience=Patience(timeout=900, watch=1, clock=clock))


def test_a_kept_connection_that_the_server_closed_is_replaced(cluster: TestCluster, faults: StandIn) -> None:
    assert cluster.kubeconfig
    api = HttpApi(load(cluster.kubeconfig))
    try:
        api.get(path_of("namespaces"))
        for _, connection in api._idle:
            connection.sock.shutdown(2)
        assert api.get(path_of("namespaces"))["items"]
    finally:
        api.close()
