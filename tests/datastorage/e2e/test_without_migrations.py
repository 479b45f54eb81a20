"""The failure that started it all, cured: no tables is not an HTTP 500, and heals by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import httpx
import pytest

from datastorage import AuditClient
from datastorage.e2e import suite
from datastorage.infrastructure.environment import Environment, create_environment
from datastorage.infrastructure.migrations import apply_audit_migrations
from datastorage.services import service as service_named


@pytest.fixture
def environment() -> Iterator[Environment]:
    """Data Storage over an empty database."""
    with create_environment("workflowexecution") as environment:
        environment.deploy()
        yield environment


def test_without_migrations_it_says_what_is_missing_and_after_apply_every_event_arrives(
    environment: Environment, client: AuditClient, correlation_id: str
) -> None:
    workflowexecution = service_named("workflowexecution")
    not_ready = httpx.get(f"{environment.url}/health/ready")
    for event in workflowexecution.typical_run(correlation_id):
        client.record(event)
    answer = httpx.get(f"{environment.url}{suite.EVENTS}", params={"correlation_id": correlation_id})

    apply_audit_migrations("", "", sys.stderr, dsn=environment.database.dsn)
    environment.grant()

    suite.eventually_ready(environment)
    events = suite.eventually_events(environment, correlation_id, at_least=len(workflowexecution.run))
    assert suite.differences_from_run(events, workflowexecution) == []
    assert not_ready.status_code == 503
    assert not_ready.json()["missing"] == list(workflowexecution.tables)
    assert not_ready.json()["fix"] == f"pgslate apply {' '.join(workflowexecution.tables)}"
    assert (answer.status_code, answer.json()["missing"]) == (503, ["audit_events"])
