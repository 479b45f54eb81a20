"""An event id is taken once, whatever the days of those who claim it, and whoever is faster."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from datastorage.grants import grant
from datastorage.retention import drop_expired
from datastorage.server.app import create_app
from datastorage.server.settings import Settings
from pgslate.targets.target import Target, dsn_with

EVENTS = "/api/v1/audit/events"
NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
INSERT = (
    "INSERT INTO audit_events"
    " (event_id, event_timestamp, event_date, event_type, event_category, event_action, event_outcome,"
    " correlation_id) VALUES (%s, %s, %s, 'a', 'b', 'c', 'success', 'rr-1')"
)


def event(event_id: uuid.UUID, day: str) -> dict[str, Any]:
    return {
        "event_id": str(event_id),
        "event_timestamp": f"{day}T10:00:00Z",
        "event_type": "a.b.c",
        "event_category": "b",
        "event_action": "c",
        "event_outcome": "success",
        "correlation_id": "rr-1",
    }


@pytest.fixture
def service(audit_database: Target) -> Iterator[TestClient]:
    with audit_database.connect(autocommit=True) as owner:
        grant(owner, "datastorage_ids")
    dsn = dsn_with(audit_database.dsn, user="datastorage_ids")
    with TestClient(create_app(Settings(dsn=dsn), now=lambda: NOW)) as client:
        yield client


@pytest.mark.parametrize("day", ["2025-12-05", "2025-12-06", "2026-01-05"])
def test_an_id_that_another_transaction_is_about_to_take_is_a_conflict(
    service: TestClient, audit: psycopg.Connection, audit_database: Target, day: str
) -> None:
    taken = uuid.uuid4()
    with audit_database.connect() as first, ThreadPoolExecutor(1) as pool:
        first.execute(INSERT, [taken, "2025-12-05 09:00Z", "2025-12-05"])
        posted = pool.submit(service.post, EVENTS, json=event(taken, day))
        while not (posted.done() or somebody_waits(audit)):
            time.sleep(0.01)
        first.commit()
        answer = posted.result()

    assert answer.status_code == 409, answer.text
    assert audit.execute("SELECT count(*) FROM audit_events").fetchone() == (1,)


def test_batches_that_share_ids_in_any_order_store_each_once(
    service: TestClient, audit: psycopg.Connection
) -> None:
    ids = [uuid.uuid4() for _ in range(300)]
    days = ["2025-12-05", "2025-12-06", "2026-01-05"]

    def post(seed: int) -> int:
        shuffled = random.Random(seed).sample(ids, len(ids))  # noqa: S311
        batch = [event(one, days[seed % 3]) for one in shuffled]
        return int(service.post(f"{EVENTS}/batch", json=batch).status_code)

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(post, range(24)))

    # One day wins; its other batches find everything there.
    assert statuses.count(201) == 1
    assert sorted(set(statuses)) == [200, 201, 409], statuses
    assert audit.execute("SELECT count(*), count(DISTINCT event_id) FROM audit_events").fetchone() == (
        300,
        300,
    )


def test_an_id_is_free_again_when_its_month_was_dropped(
    audit: psycopg.Connection, audit_database: Target
) -> None:
    taken = uuid.uuid4()
    audit.execute(INSERT, [taken, "2025-12-05 09:00Z", "2025-12-05"])
    with pytest.raises(psycopg.errors.UniqueViolation):
        audit.execute(INSERT, [taken, "2026-01-05 09:00Z", "2026-01-05"])

    drop_expired(audit_database, as_of=dt.date(2033, 2, 1))

    assert audit.execute("SELECT count(*) FROM audit_event_ids").fetchone() == (0,)


def somebody_waits(connection: psycopg.Connection) -> bool:
    """Whether a backend of this database waits for a lock."""
    row = connection.execute(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ).fetchone()
    return row != (0,)
