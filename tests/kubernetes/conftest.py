"""A cluster for the tests: the stand-in, or with PGSLATE_TEST_KUBERNETES=1 that of the current kubeconfig."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.kubernetes import manifests
from tests.kubernetes.standin.server import StandIn

from pgslate.targets.kubernetes import kubeconfig as kubeconfigs
from pgslate.targets.kubernetes.api import HttpApi, path_of
from pgslate.targets.kubernetes.readiness import Patience
from pgslate.targets.target import Target

REAL = os.environ.get("PGSLATE_TEST_KUBERNETES") == "1"

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class TestCluster:
    """A cluster under test. ``standin`` is None on a real one; ``kubeconfig`` is None for the current one."""

    __test__ = False  # for pytest: not a class of tests

    api: HttpApi
    kubeconfig: Path | None
    standin: StandIn | None

    def apply(self, *objects: manifests.Json) -> None:
        """Server-side apply, one after another."""
        for value in objects:
            self.api.apply(value)

    @property
    def patience(self) -> Patience:
        """Enough for an image to be pulled on a real node."""
        return Patience(timeout=30.0 if self.standin else 240.0)

    @property
    def hasty(self) -> Patience:
        """Gives up on hopeless trouble as soon as it was seen twice."""
        return Patience(timeout=20.0 if self.standin else 120.0, hopeless=0.2 if self.standin else 5.0)


@pytest.fixture(scope="session")
def standin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """The stand-in cluster, for the whole session."""
    if REAL:
        pytest.skip("about the stand-in, where a real cluster is tested")
    with StandIn() as standin:
        yield standin


@pytest.fixture(scope="session")
def cluster(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestCluster]:
    """The cluster that tests run against."""
    if REAL:
        api = HttpApi(kubeconfigs.load())
        yield TestCluster(api, None, None)
        api.close()
        return
    standin = request.getfixturevalue("standin")
    kubeconfig = standin.kubeconfig(tmp_path_factory.mktemp("cluster"))
    api = HttpApi(kubeconfigs.load(kubeconfig))
    yield TestCluster(api, kubeconfig, standin)
    api.close()


@pytest.fixture
def faults(cluster: TestCluster) -> Iterator[StandIn]:
    """The stand-in, for tests that need faults: they run on it alone."""
    if cluster.standin is None:
        pytest.skip("a real cluster has no faults on demand")
    yield cluster.standin
    cluster.standin.faults.clear()


@pytest.fixture
def namespace(cluster: TestCluster) -> Iterator[str]:
    """A namespace of the test's own, removed afterwards."""
    yield from _namespace(cluster)


@pytest.fixture(scope="module")
def own_namespace(cluster: TestCluster) -> Iterator[str]:
    """A namespace of the module's own, removed afterwards."""
    yield from _namespace(cluster)


@pytest.fixture(scope="session")
def postgres(cluster: TestCluster) -> Iterator[str]:
    """A namespace with PostgreSQL in it, as the service ``postgresql``; for the whole session."""
    for name in _namespace(cluster):
        cluster.apply(*manifests.postgres(name))
        yield name


def _namespace(cluster: TestCluster) -> Iterator[str]:
    name = f"pgslate-test-{os.getpid()}-{next(_numbers)}"
    cluster.apply(manifests.namespace(name))
    yield name
    cluster.api.delete(path_of("namespaces", name=name))


@pytest.fixture(scope="session")
def pgvector(cluster: TestCluster, postgres: str) -> None:
    """For tests of migrations that need pgvector: a real cluster's image may be without it."""
    from pgslate.targets.kubernetes import service_target

    with (
        service_target(
            postgres, kubeconfig=cluster.kubeconfig, environ={}, patience=cluster.patience
        ) as target,
        target.connect() as connection,
    ):
        found = connection.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'").fetchone()
    if found is None:
        assert cluster.standin is None, "the stand-in's PostgreSQL has pgvector"
        pytest.skip(f"{manifests.IMAGE} has no pgvector: PGSLATE_TEST_POSTGRES_IMAGE names another image")


@pytest.fixture
def target(cluster: TestCluster, postgres: str) -> Iterator[Target]:
    """The session's PostgreSQL as a target; each ``connect()`` is a new connection."""
    from pgslate.targets.kubernetes import service_target

    with service_target(
        postgres, kubeconfig=cluster.kubeconfig, environ={}, patience=cluster.patience
    ) as target:
        target.connect().close()  # the first is the one that was opened to see that the server answers
        yield target


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A forward that is closed leaves no thread behind."""
    yield
    left = [t for t in threading.enumerate() if t.name.startswith("pgslate-forward")]
    for thread in left:
        thread.join(timeout=5)
    assert not [t for t in left if t.is_alive()]
