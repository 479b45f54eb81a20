"""The OpenAPI document: it says what is true, and no request that it allows makes the service fail."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from starlette.testclient import TestClient

from datastorage.events import FIELDS
from datastorage.server.app import create_app
from datastorage.server.settings import Settings
from pgslate.targets.target import Target

#: Requests for each operation and mode.
EXAMPLES = 300 if os.environ.get("PGSLATE_LONG") else 8
NOW = dt.datetime(2025, 12, 15, 12, tzinfo=dt.UTC)


@pytest.fixture
def service(whole_database: Target) -> Iterator[TestClient]:
    app = create_app(Settings(dsn=whole_database.dsn, ready_cache_s=0), now=lambda: NOW)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def document(service: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = service.get("/openapi.json").json()
    return found


def test_it_is_openapi_3_1_and_names_every_field_of_an_event(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/v1/audit/events"]["post"]["requestBody"]["content"]["application/json"]

    assert document["openapi"].startswith("3.1")
    assert tuple(body["schema"]["properties"]) == FIELDS


# The service's pool spreads its own work by chance, in threads that go on while requests are drawn.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_makes_it_fail(service: TestClient, document: dict[str, Any], mode: str) -> None:
    schema = schemathesis.openapi.from_dict(document)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
        def never_fails(case: Any) -> None:
            sent = case.as_transport_kwargs(base_url="http://testserver")
            answer = service.request(
                sent["method"],
                sent["url"],
                params=sent.get("params"),
                headers={
                    name: value for name, value in (sent.get("headers") or {}).items() if value.isascii()
                },
                content=json.dumps(sent["json"]) if "json" in sent else sent.get("data"),
            )
            # 503 is for a month without a partition, which this service may not make.
            assert answer.status_code < 500 or answer.json().get("missing"), (sent, answer.text)

        # An operation without parameters can't be asked wrongly.
        with suppress(Unsatisfiable):
            never_fails()
