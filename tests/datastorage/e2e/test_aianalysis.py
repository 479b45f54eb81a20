"""AIAnalysis: what it analysed, as audit events, and the workflows it chooses from."""

from __future__ import annotations

import httpx

from datastorage import AuditClient
from datastorage.e2e import suite
from datastorage.infrastructure.environment import Environment
from datastorage.services import Service

WORKFLOWS = "/api/v1/workflows"


def embedding(*places: int) -> list[float]:
    """A direction in the 768 dimensions of the catalog."""
    return [1.0 if n in places else 0.0 for n in range(768)]


def test_a_run_is_persisted_and_found_by_its_correlation_id(
    environment: Environment, service: Service, client: AuditClient, correlation_id: str
) -> None:
    for event in service.typical_run(correlation_id):
        client.record(event)

    events = suite.eventually_events(environment, correlation_id, at_least=len(service.run))

    assert suite.differences_from_run(events, service) == []


def test_its_query_reads_the_correlation_index(environment: Environment, correlation_id: str) -> None:
    plan = suite.plan_of_correlation_query(environment.database, correlation_id)

    assert suite.indexes_behind(environment.database, plan) == {"idx_audit_events_correlation"}


def test_the_tables_of_the_contract_are_there(environment: Environment, service: Service) -> None:
    assert set(service.tables) <= suite.tables_of(environment.database)


def test_a_workflow_is_found_by_its_labels_and_the_nearest_in_meaning_comes_first(
    environment: Environment,
) -> None:
    with httpx.Client(base_url=environment.url) as http:
        for name, direction in (("drain-node", embedding(1)), ("cordon-node", embedding(1, 2))):
            new = {
                "workflow_name": name,
                "version": "1.0.0",
                "title": name,
                "content": "steps: []",
                "labels": {"signal_type": "NodeNotReady", "severity": "critical", "team": "platform"},
                "embedding": direction,
            }
            assert http.post(WORKFLOWS, json=new).status_code == 201

        wanted = {"labels": {"severity": "critical", "team": "platform"}, "embedding": embedding(1)}
        found = http.post(f"{WORKFLOWS}/search", json=wanted).json()["data"]
        near = http.post(f"{WORKFLOWS}/search", json={**wanted, "min_similarity": 0.9}).json()["data"]

    assert [one["workflow_name"] for one in found] == ["drain-node", "cordon-node"]
    assert [round(one["similarity"], 3) for one in found] == [1.0, 0.707]
    assert [one["workflow_name"] for one in near] == ["drain-node"]


def test_the_workflows_that_every_installation_starts_with_are_there(environment: Environment) -> None:
    with httpx.Client(base_url=environment.url) as http:
        found = http.post(f"{WORKFLOWS}/search", json={"labels": {"signal_type": "CrashLoopBackOff"}})

    assert [one["workflow_name"] for one in found.json()["data"]] == ["restart-pod"]
