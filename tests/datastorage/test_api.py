"""What the service answers: over HTTP, against a real database."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from datastorage.server.app import create_app
from datastorage.server.settings import Limits, Settings
from pgslate.targets.target import Target

EVENTS = "/api/v1/audit/events"
NOW = dt.datetime(2025, 12, 15, 12, tzinfo=dt.UTC)


def event(**given: Any) -> dict[str, Any]:
    """A workflow that started on 15 December 2025, with an id of its own."""
    return {
        "event_id": str(uuid.uuid4()),
        "event_timestamp": "2025-12-15T10:00:00Z",
        "event_type": "workflowexecution.workflow.started",
        "event_category": "workflow",
        "event_action": "started",
        "event_outcome": "success",
        "correlation_id": "rr-1",
        **given,
    }


@pytest.fixture
def service(audit_database: Target) -> Iterator[TestClient]:
    settings = Settings(
        dsn=audit_database.dsn, ready_cache_s=0, limits=Limits(batch_events=50, page_events=20)
    )
    with TestClient(create_app(settings, now=lambda: NOW)) as client:
        yield client


@pytest.fixture
def bare_service(database: Target) -> Iterator[TestClient]:
    """The service over an empty database."""
    with TestClient(create_app(Settings(dsn=database.dsn, ready_cache_s=0), now=lambda: NOW)) as client:
        yield client


def test_an_event_that_was_posted_can_be_read_back(service: TestClient) -> None:
    given = event(event_data={"workflow": "restart-pod", "steps": [1, 2.5, None]}, actor_ip="10.1.2.3")

    created = service.post(EVENTS, json=given)

    assert created.status_code == 201
    stored = service.get(f"{EVENTS}/{given['event_id']}").json()
    assert stored == created.json()
    assert stored["event_data"] == given["event_data"]
    assert stored["event_date"] == "2025-12-15"
    assert dt.datetime.fromisoformat(stored["event_timestamp"]) == dt.datetime(
        2025, 12, 15, 10, tzinfo=dt.UTC
    )
    assert len(stored["event_hash"]) == 64


def test_the_same_event_again_is_answered_with_the_stored_one(service: TestClient) -> None:
    given = event()
    first = service.post(EVENTS, json=given)

    again = service.post(EVENTS, json={**given, "event_timestamp": "2025-12-15T11:00:00+01:00"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


@pytest.mark.parametrize(
    "change",
    [{"severity": "high"}, {"event_timestamp": "2026-01-02T00:00:00Z"}, {"legal_hold": True}],
    ids=["field", "month", "hold"],
)
def test_another_body_under_the_same_id_is_a_conflict(service: TestClient, change: dict[str, Any]) -> None:
    given = event()
    service.post(EVENTS, json=given)

    answer = service.post(EVENTS, json={**given, **change})

    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"] == [{"item": 0, "event_id": given["event_id"]}]


def test_a_batch_with_one_wrong_event_stores_none_and_says_which(service: TestClient) -> None:
    batch = [event(), event(event_outcome="maybe"), event(duration_ms=-1), event()]

    answer = service.post(f"{EVENTS}/batch", json=batch)

    assert answer.status_code == 422
    assert [(one["item"], one["field"]) for one in answer.json()["errors"]] == [
        (1, "event_outcome"),
        (2, "duration_ms"),
    ]
    assert service.get(EVENTS).json()["data"] == []


def test_a_batch_with_a_conflict_stores_none(service: TestClient) -> None:
    taken = event()
    service.post(EVENTS, json=taken)

    answer = service.post(f"{EVENTS}/batch", json=[event(), {**taken, "severity": "low"}])

    assert answer.status_code == 409
    assert answer.json()["errors"] == [{"item": 1, "event_id": taken["event_id"]}]
    assert len(service.get(EVENTS).json()["data"]) == 1


def test_a_batch_that_was_half_stored_before_is_completed(service: TestClient) -> None:
    batch = [event() for _ in range(4)]
    service.post(f"{EVENTS}/batch", json=batch[:2])

    answer = service.post(f"{EVENTS}/batch", json=batch)
    again = service.post(f"{EVENTS}/batch", json=batch)

    assert (answer.status_code, answer.json()["created"], answer.json()["existing"]) == (201, 2, 2)
    assert (again.status_code, again.json()["created"]) == (200, 0)
    assert answer.json()["event_ids"] == [one["event_id"] for one in batch]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"event_timestamp": "2025-12-15T10:00:00"}, "event_timestamp"),
        ({"event_timestamp": "1999-01-01T00:00:00Z"}, "event_timestamp"),
        ({"event_timestamp": "2027-01-01T00:00:00Z"}, "event_timestamp"),
        ({"colour": "red"}, "colour"),
        ({"parent_event_id": str(uuid.uuid4())}, "parent_event_date"),
        ({"correlation_id": ""}, "correlation_id"),
        ({"actor_ip": "10.1.2"}, "actor_ip"),
    ],
)
def test_a_wrong_field_is_named(service: TestClient, change: dict[str, Any], field: str) -> None:
    answer = service.post(EVENTS, json=event(**change))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_text_that_postgresql_cannot_store_is_refused(service: TestClient) -> None:
    assert service.post(EVENTS, json=event(event_data={"a": "x\0y"})).status_code == 422
    assert service.post(EVENTS, json=event(event_data={"a": "\\u0000"})).status_code == 201
    assert service.get(EVENTS, params={"correlation_id": "a\0b"}).status_code == 422


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "9" * 400 + ".0"])
def test_a_number_that_is_not_finite_is_refused_and_not_stored_as_null(
    service: TestClient, number: str
) -> None:
    wrong = json.dumps(event(event_data={"a": [{"b": 7.5}]})).replace("7.5", number)
    text = json.dumps(event(event_data={"a": "NaN and Infinity"}))

    alone = service.post(EVENTS, content=wrong)
    batch = service.post(f"{EVENTS}/batch", content=f"[{text}, {wrong}]")

    assert (alone.status_code, batch.status_code) == (422, 422)
    assert [(one["item"], one["field"]) for one in batch.json()["errors"]] == [(1, "event_data")]
    assert service.post(EVENTS, content=text).status_code == 201


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_what_a_form_on_a_web_page_can_send_is_not_an_event(service: TestClient, kind: str) -> None:
    for path, body in ((EVENTS, event()), (f"{EVENTS}/batch", [event()])):
        answer = service.post(path, content=json.dumps(body), headers={"Content-Type": kind})

        assert answer.status_code == 415
        assert answer.json()["type"] == "urn:datastorage:problem:not-json"
    for kind in ("application/json; charset=utf-8", "application/cloudevents+json"):
        answer = service.post(EVENTS, content=json.dumps(event()), headers={"Content-Type": kind})
        assert answer.status_code == 201


def test_limits_are_answered_with_413_and_422(audit_database: Target) -> None:
    settings = Settings(dsn=audit_database.dsn, limits=Limits(body_bytes=2000, batch_events=2, page_events=5))
    with TestClient(create_app(settings, now=lambda: NOW)) as service:
        large = service.post(EVENTS, json=event(event_data={"text": "x" * 3000}))
        many = service.post(f"{EVENTS}/batch", json=[event() for _ in range(3)])
        page = service.get(EVENTS, params={"limit": 6})
        workflow = service.post("/api/v1/workflows/search", json={"labels": {"a": "x" * 3000}})

    assert [one.status_code for one in (large, many, page, workflow)] == [413, 422, 422, 413]
    assert many.json()["limit"] == 2


def test_pages_follow_each_other_without_a_gap_or_a_repeat(service: TestClient) -> None:
    # Five events share each timestamp, so that pages end between equals.
    batch = [event(event_timestamp=f"2025-12-15T10:00:{n // 5:02}Z") for n in range(43)]
    service.post(f"{EVENTS}/batch", json=batch)

    seen: list[dict[str, Any]] = []
    cursor = None
    for _ in range(20):
        page = service.get(
            EVENTS, params={"correlation_id": "rr-1", "limit": 7, **({"cursor": cursor} if cursor else {})}
        )
        seen += page.json()["data"]
        cursor = page.json()["pagination"]["next_cursor"]
        if cursor is None:
            break

    keys = [(one["event_timestamp"], one["event_id"]) for one in seen]
    assert keys == sorted(keys, reverse=True)
    assert {key[1] for key in keys} == {one["event_id"] for one in batch}
    assert len(keys) == 43


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"correlation_id": "rr-1"}, {"a", "b"}),
        ({"event_type": "gateway.signal.*"}, {"c"}),
        ({"event_type": "gateway_signal.*"}, set()),
        ({"event_type": "gateway.signal.received"}, {"c"}),
        ({"event_outcome": "failure"}, {"b"}),
        ({"severity": "high"}, {"b"}),
        ({"actor": "service:gateway"}, {"c"}),
        ({"actor": "gateway"}, {"c"}),
        ({"resource": "Pod:web-1"}, {"a"}),
        ({"since": "2025-12-16T00:00:00Z"}, {"b", "c"}),
        ({"until": "2025-12-16T00:00:00+00:00"}, {"a"}),
        ({"since": "2025-12-16T01:00:00+01:00", "until": "2025-12-16T00:00:01Z"}, {"b"}),
    ],
)
def test_filters_find_what_they_say(service: TestClient, filters: dict[str, str], found: set[str]) -> None:
    gateway = {"event_type": "gateway.signal.received", "event_category": "signal"}
    batch = [
        event(namespace="a", resource_type="Pod", resource_id="web-1"),
        event(
            namespace="b", event_outcome="failure", severity="high", event_timestamp="2025-12-16T00:00:00Z"
        ),
        event(
            namespace="c",
            correlation_id="rr-2",
            actor_type="service",
            actor_id="gateway",
            event_timestamp="2026-01-01T00:00:00Z",
            **gateway,
        ),
    ]
    assert service.post(f"{EVENTS}/batch", json=batch).status_code == 201

    data = service.get(EVENTS, params=filters).json()["data"]

    assert {one["namespace"] for one in data} == found


@pytest.mark.parametrize("cursor", ["x", "äö", "bm90IGEgY3Vyc29y", "MDAwMS0wMS0wMVQwMDowMDowMCswNTowMCBhYg"])
def test_a_cursor_that_is_not_ours_is_refused(service: TestClient, cursor: str) -> None:
    assert service.get(EVENTS, params={"cursor": cursor}).status_code == 422


def test_a_missing_table_is_a_503_that_says_what_to_run(bare_service: TestClient) -> None:
    posted = bare_service.post(EVENTS, json=event())
    read = bare_service.get(EVENTS)
    ready = bare_service.get("/health/ready")

    for answer in (posted, read, ready):
        assert answer.status_code == 503
        assert answer.json()["missing"] == ["audit_events"]
        assert answer.json()["fix"] == "pgslate apply audit_events"
        assert answer.headers["retry-after"] == "2"
    assert bare_service.get("/health/live").status_code == 200


def test_the_service_becomes_ready_by_itself_when_the_table_is_there(
    bare_service: TestClient, database: Target
) -> None:
    assert bare_service.get("/health/ready").status_code == 503

    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE audit_events (event_id uuid)")

    assert bare_service.get("/health/ready").status_code == 200


def test_a_month_without_a_partition_says_how_to_make_it_where_it_may_not(service: TestClient) -> None:
    answer = service.post(EVENTS, json=event(event_timestamp="2025-11-30T23:59:59Z"))

    assert answer.status_code == 503
    assert answer.json()["missing"] == ["2025-11"]
    assert answer.json()["fix"] == "pgslate partitions ensure --as-of 2025-11-01"


def test_a_parent_that_does_not_exist_is_the_callers_mistake(service: TestClient) -> None:
    answer = service.post(
        EVENTS, json=event(parent_event_id=str(uuid.uuid4()), parent_event_date="2025-12-15")
    )

    assert answer.status_code == 422


def test_holds_are_listed_until_they_are_released(service: TestClient) -> None:
    hold = {"correlation_id": "rr-1", "reason": "case 7", "actor": "legal"}
    service.post("/api/v1/audit/legal-holds", json={**hold, "action": "placed"})
    placed = service.get("/api/v1/audit/legal-holds").json()["data"]
    service.post("/api/v1/audit/legal-holds", json={**hold, "action": "released"})

    assert [one["correlation_id"] for one in placed] == ["rr-1"]
    assert service.get("/api/v1/audit/legal-holds").json()["data"] == []


def test_metrics_count_events_and_requests(service: TestClient) -> None:
    service.post(f"{EVENTS}/batch", json=[event(), event()])

    text = service.get("/metrics").text

    assert 'datastorage_events_total{result="created"} 2.0' in text
    assert (
        'datastorage_requests_total{method="POST",route="/api/v1/audit/events/batch",status="201"} 1.0'
        in text
    )


def test_an_unknown_path_is_a_problem_document_too(service: TestClient) -> None:
    answer = service.get("/nowhere")

    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:datastorage:problem:not-found"
