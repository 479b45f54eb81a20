"""The service as it is run: its role, its tokens, where it listens, and the months it makes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.testclient import TestClient

from datastorage.cli import main
from datastorage.e2e import suite
from datastorage.grants import grant
from datastorage.server.app import create_app
from datastorage.server.auth import create_token, read_tokens
from datastorage.server.months import bounds_of
from datastorage.server.partitions import policy_maker
from datastorage.server.settings import Settings
from pgslate.targets.target import Target, dsn_with

EVENT: dict[str, Any] = {
    "event_type": "gateway.signal.received",
    "event_category": "signal",
    "event_action": "received",
    "event_outcome": "success",
    "correlation_id": "rr-1",
}
NOW = dt.datetime(2026, 3, 15, tzinfo=dt.UTC)


@pytest.fixture
def role(audit_database: Target) -> str:
    """The DSN of a role with the service's rights."""
    with audit_database.connect(autocommit=True) as owner:
        grant(owner, "datastorage_test")
    return dsn_with(audit_database.dsn, user="datastorage_test")


@pytest.fixture
def service(role: str, audit_database: Target) -> Iterator[TestClient]:
    maker = policy_maker(audit_database.dsn)
    with TestClient(create_app(Settings(dsn=role), make_partitions=maker, now=lambda: NOW)) as client:
        yield client


def test_a_month_without_a_partition_is_made_before_the_insert(
    service: TestClient, audit_database: Target
) -> None:
    batch = [{**EVENT, "event_timestamp": f"2026-{month:02}-10T00:00:00Z"} for month in (2, 3, 1)]

    answer = service.post("/api/v1/audit/events/batch", json=batch)

    assert answer.status_code == 201, answer.text
    assert {"audit_events_y2026m02", "audit_events_y2026m03"} <= set(suite.partitions_of(audit_database))


def test_a_month_that_was_taken_away_is_made_again(service: TestClient, audit_database: Target) -> None:
    event = {**EVENT, "event_timestamp": "2026-02-10T00:00:00Z"}
    service.post("/api/v1/audit/events", json=event)
    with audit_database.connect(autocommit=True) as owner:
        owner.execute("ALTER TABLE audit_events DETACH PARTITION audit_events_y2026m02")
        owner.execute("DROP TABLE audit_events_y2026m02")

    assert service.post("/api/v1/audit/events", json=event).status_code == 201


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET severity = 'low'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "INSERT INTO audit_event_chain SELECT * FROM audit_event_chain",
        "INSERT INTO audit_event_ids VALUES (gen_random_uuid(), '2025-12-05')",
        "SELECT * FROM audit_events_y2025m12",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE audit_events DISABLE TRIGGER ALL",
    ],
)
def test_its_role_can_insert_and_select_and_nothing_else(role: str, statement: str) -> None:
    with psycopg.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_tokens_open_what_their_scopes_say(role: str, tmp_path: Path) -> None:
    secrets = {}
    lines = []
    for scope in ("read", "write"):
        secrets[scope], token = create_token(scope, frozenset({scope}))
        lines.append(token.line())
    tokens = tmp_path / "tokens"
    tokens.write_text("# made by the test\n\n" + "\n".join(lines))
    event = {**EVENT, "event_timestamp": "2026-01-10T00:00:00Z"}

    with TestClient(create_app(Settings(dsn=role, tokens_file=tokens), now=lambda: NOW)) as service:

        def post(authorization: str | None) -> Any:
            headers = {"Authorization": authorization} if authorization else {}
            return service.post("/api/v1/audit/events", json=event, headers=headers)

        statuses = [
            post(None).status_code,
            post("Bearer nonsense").status_code,
            post(f"Basic {secrets['write']}").status_code,
            post(f"Bearer {secrets['read']}").status_code,
            post(f"bearer {secrets['write']}").status_code,
        ]
        ready = service.get("/health/ready").status_code

    assert statuses == [401, 401, 401, 403, 201]
    assert ready == 200
    assert secrets["write"] not in tokens.read_text()


def test_the_command_makes_a_token_that_the_service_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tokens"

    assert main(["token", "gateway", "--scope", "write", "--scope", "read", "--file", str(file)]) == 0

    (token,) = read_tokens(file)
    assert (token.name, token.scopes) == ("gateway", frozenset({"read", "write"}))
    assert capsys.readouterr().out.startswith("ds_")


def test_a_file_that_holds_no_tokens_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("gateway everything abc\n")

    with pytest.raises(ValueError, match=r"tokens:1: expected NAME SCOPE"):
        read_tokens(file)


def test_without_tokens_it_listens_on_this_machine_only(
    audit_database: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--dsn", audit_database.dsn, "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "without tokens the service listens on this machine only" in capsys.readouterr().err


def test_a_password_is_not_repeated_when_the_database_cannot_be_reached(
    capsys: pytest.CaptureFixture[str],
) -> None:
    dsn = "postgresql://me:hunter2@127.0.0.1:1/db"

    assert main(["verify-chain", "--dsn", dsn]) == 3
    assert "hunter2" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("FOR VALUES FROM ('2025-12-01') TO ('2026-01-01')", (dt.date(2025, 12, 1), dt.date(2026, 1, 1))),
        ("FOR VALUES FROM (MINVALUE) TO ('2026-01-01')", (dt.date.min, dt.date(2026, 1, 1))),
        ("DEFAULT", None),
    ],
)
def test_bounds_are_read_from_what_postgresql_says(text: str, bounds: object) -> None:
    assert bounds_of(text) == bounds
