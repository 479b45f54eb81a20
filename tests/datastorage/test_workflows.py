"""Workflows over HTTP: what can't be kept is refused by name, and never a fault of the service."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from datastorage.server.app import create_app
from datastorage.server.settings import Settings
from pgslate.targets.target import Target

WORKFLOWS = "/api/v1/workflows"
#: Half of a surrogate pair: JSON can say it, UTF-8 can't.
JSON = {"Content-Type": "application/json"}
HALF = "\ud800"


@pytest.fixture
def service(whole_database: Target) -> Iterator[TestClient]:
    settings = Settings(dsn=whole_database.dsn)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def workflow(**given: Any) -> dict[str, Any]:
    return {"workflow_name": "wake-pod", "version": "1.0.0", "title": "Restart", "content": "{}", **given}


@pytest.mark.parametrize(
    "given",
    [
        {"parameters": {"a": [HALF]}},
        {"parameters": {HALF: 1}},
        {"parameters": {"a": "\0"}},
        {"labels": {"a": HALF}},
        {"labels": {HALF: "a"}},
        {"labels": {"a": "\0"}},
        {"labels": {str(number): "a" for number in range(101)}},
        {"workflow_name": HALF},
        {"title": "\0"},
    ],
)
def test_a_workflow_that_cannot_be_kept_is_the_callers_mistake(
    service: TestClient, given: dict[str, Any]
) -> None:
    answer = service.post(WORKFLOWS, content=json.dumps(workflow(**given)), headers=JSON)

    assert answer.status_code == 422, answer.text
    assert service.get(WORKFLOWS, params={"workflow_name": "wake-pod"}).json()["data"] == []


@pytest.mark.parametrize(
    "labels", [{"a": HALF}, {HALF: "a"}, {"a": "\0"}, {str(number): "a" for number in range(40_000)}]
)
def test_a_search_that_cannot_be_asked_is_the_callers_mistake(
    service: TestClient, labels: dict[str, str]
) -> None:
    answer = service.post(f"{WORKFLOWS}/search", content=json.dumps({"labels": labels}), headers=JSON)

    assert answer.status_code == 422, answer.text
