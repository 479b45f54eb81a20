"""One environment for each service's suite: local, or a namespace of a cluster (see ``environment_for``)."""

from __future__ import annotations

import uuid
from collections.abc import Generator, Iterator

import pytest

from datastorage import AuditClient
from datastorage.infrastructure import environment_for
from datastorage.infrastructure.environment import Environment
from datastorage.services import Service
from datastorage.services import service as service_named


@pytest.fixture(scope="module")
def service(request: pytest.FixtureRequest) -> Service:
    """The service that the file is named after: ``test_NAME.py``."""
    return service_named(request.path.stem.removeprefix("test_"))


@pytest.fixture(scope="module")
def environment(service: Service) -> Iterator[Environment]:
    """The service's contract in a database of its own, and Data Storage over it."""
    with environment_for(service.name) as environment:
        yield environment


@pytest.fixture
def client(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditClient]:
    """A client of the environment's Data Storage service."""
    with AuditClient(environment.url, spool=tmp_path_factory.mktemp("spool")) as client:
        yield client


@pytest.fixture
def correlation_id() -> str:
    """One remediation's id, of its own."""
    return f"rr-{uuid.uuid4().hex[:12]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows its environment's logs."""
    report = yield
    environment = getattr(item, "funcargs", {}).get("environment")
    if report.failed and environment is not None:
        report.sections.append(("environment", environment.logs()))
    return report
