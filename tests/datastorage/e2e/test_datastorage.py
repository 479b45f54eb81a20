"""DataStorage itself: the whole catalog, and the life of a workflow in it."""

from __future__ import annotations

import uuid
from pathlib import Path

import httpx
import pytest

from datastorage import AuditClient
from datastorage.cli import main
from datastorage.e2e import suite
from datastorage.infrastructure.environment import Environment
from datastorage.services import Service
from datastorage.services import service as service_named

WORKFLOWS = "/api/v1/workflows"


def test_a_run_is_persisted_and_found_by_its_correlation_id(
    environment: Environment, service: Service, client: AuditClient, correlation_id: str
) -> None:
    for event in service.typical_run(correlation_id):
        client.record(event)

    events = suite.eventually_events(environment, correlation_id, at_least=len(service.run))

    assert suite.differences_from_run(events, service) == []


def test_every_table_of_the_catalog_is_there(environment: Environment) -> None:
    tables = suite.tables_of(environment.database)

    assert tables > suite.AUDIT_TABLES
    assert {"resource_action_traces", "notification_audit", "action_embeddings", "workflows"} <= tables


def test_a_new_version_of_a_workflow_takes_over(environment: Environment) -> None:
    name = f"wf-{uuid.uuid4().hex[:8]}"
    with httpx.Client(base_url=environment.url) as http:
        for version in ("1.0.0", "1.1.0"):
            new = {"workflow_name": name, "version": version, "title": name, "content": f"steps: [{version}]"}
            created = http.post(WORKFLOWS, json=new)
            assert created.status_code == 201, created.text
        again = http.post(WORKFLOWS, json=new)
        versions = http.get(WORKFLOWS, params={"workflow_name": name}).json()["data"]
        one = http.get(f"{WORKFLOWS}/{versions[0]['workflow_id']}").json()

    assert again.status_code == 409
    assert [(v["version"], v["is_latest_version"]) for v in versions] == [("1.1.0", True), ("1.0.0", False)]
    assert one == versions[0]


def test_an_unknown_workflow_is_not_found(environment: Environment) -> None:
    assert httpx.get(f"{environment.url}{WORKFLOWS}/{uuid.uuid4()}").status_code == 404


def test_emit_plays_the_part_of_a_service(
    environment: Environment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    gateway = service_named("gateway")

    assert main(["emit", "gateway", "--url", environment.url]) == 0

    correlation_id = capsys.readouterr().out.strip()
    events = suite.eventually_events(environment, correlation_id, at_least=len(gateway.run))
    assert suite.differences_from_run(events, gateway) == []


@pytest.mark.parametrize("batch", ["1", "100"])
def test_load_says_how_many_events_were_stored(
    environment: Environment, capsys: pytest.CaptureFixture[str], batch: str
) -> None:
    assert main(["load", "--url", environment.url, "--events", "250", "--batch", batch, "--rate", "500"]) == 0

    assert capsys.readouterr().out.startswith("250 events, ")
