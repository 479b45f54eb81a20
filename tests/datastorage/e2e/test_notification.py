"""Notification: what it sends, as audit events in PostgreSQL."""

from __future__ import annotations

import httpx

from datastorage import AuditClient
from datastorage.e2e import suite
from datastorage.infrastructure.environment import Environment
from datastorage.services import Service


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


def test_the_months_are_there_and_no_table_beyond_the_contract(environment: Environment) -> None:
    assert {"audit_events_y2025m12", "audit_events_y2026m01"} <= set(
        suite.partitions_of(environment.database)
    )
    assert suite.tables_of(environment.database) == suite.AUDIT_TABLES


def test_what_could_not_be_delivered_is_found_by_its_outcome(
    environment: Environment, service: Service, client: AuditClient, correlation_id: str
) -> None:
    for event in service.typical_run(correlation_id):
        client.record(event)
    suite.eventually_events(environment, correlation_id, at_least=len(service.run))

    filters = {"correlation_id": correlation_id, "event_outcome": "failure"}
    answer = httpx.get(f"{environment.url}{suite.EVENTS}", params=filters)

    assert [event["event_type"] for event in answer.json()["data"]] == ["notification.sent.email"]
