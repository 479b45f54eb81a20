"""verify-chain: whatever a superuser does to the events afterwards, it shows."""

from __future__ import annotations

import json

import psycopg
import pytest

from datastorage.chain import verify_chain
from datastorage.cli import main
from pgslate.targets.target import Target

INSERT = (
    "INSERT INTO audit_events (event_timestamp, event_date, event_type, event_category, event_action,"
    " event_outcome, correlation_id)"
    " SELECT t, (t AT TIME ZONE 'UTC')::date, 'a.b.c', 'b', 'c', 'success', 'rr-' || n"
    " FROM CAST(%s AS timestamptz) AS t, generate_series(1, %s) AS n"
)


@pytest.fixture
def recorded(audit: psycopg.Connection) -> psycopg.Connection:
    """Three statements in one lane: 10 events, 1 event, 5 events."""
    for day, events in (("2025-12-05 10:00Z", 10), ("2025-12-06 10:00Z", 1), ("2026-01-05 10:00Z", 5)):
        audit.execute(INSERT, [day, events])
    return audit


def faults_after(connection: psycopg.Connection, *tampering: str) -> set[str]:
    """What is found after statements that only a superuser can run."""
    connection.execute("SET session_replication_role = replica")
    for statement in tampering:
        connection.execute(statement.encode())
    connection.execute("RESET session_replication_role")
    return {fault.what for fault in verify_chain(connection).faults}


def test_what_nobody_touched_is_intact(recorded: psycopg.Connection) -> None:
    verdict = verify_chain(recorded)

    assert verdict.ok
    assert (verdict.events, verdict.links, verdict.retired) == (16, 3, 0)
    assert [position for position, _ in verdict.heads.values()] == [3]


def test_a_changed_event_shows(recorded: psycopg.Connection) -> None:
    assert faults_after(
        recorded, "UPDATE audit_events SET event_outcome = 'failure' WHERE correlation_id = 'rr-7'"
    ) == {"the event was changed"}


def test_a_changed_event_with_its_hash_made_to_fit_shows_in_its_link(recorded: psycopg.Connection) -> None:
    faults = faults_after(
        recorded,
        "UPDATE audit_events SET event_outcome = 'failure' WHERE correlation_id = 'rr-7'",
        "UPDATE audit_events AS e SET event_hash = audit_event_hash(e)",
    )

    assert faults == {"its events' hashes are not those it was made of"}


def test_a_removed_event_shows(recorded: psycopg.Connection) -> None:
    assert faults_after(recorded, "DELETE FROM audit_events WHERE event_date = '2025-12-06'") == {
        "the event was removed"
    }


def test_an_event_that_was_smuggled_in_shows(recorded: psycopg.Connection) -> None:
    smuggled = (
        "INSERT INTO audit_events_y2025m12 (event_id, event_timestamp, event_date, event_type,"
        " event_category, event_action, event_outcome, correlation_id, event_hash)"
        " VALUES (gen_random_uuid(), '2025-12-09 10:00Z', '2025-12-09', 'a', 'b', 'c', 'success', 'x', '')"
    )

    (fault,) = faults_after(recorded, smuggled)
    assert "in no link" in fault


def test_a_removed_link_and_a_rewritten_one_show(recorded: psycopg.Connection) -> None:
    faults = faults_after(
        recorded,
        "UPDATE audit_event_chain SET event_ids = event_ids[2:] WHERE position = 1",
        "DELETE FROM audit_event_chain WHERE position = 2",
    )

    assert {
        "the link was changed: its hash is not that of what it says",
        "a link before this one is missing",
    } <= faults


def test_events_that_went_with_their_month_are_no_fault(recorded: psycopg.Connection) -> None:
    recorded.execute("ALTER TABLE audit_events DETACH PARTITION audit_events_y2025m12")

    verdict = verify_chain(recorded)

    assert verdict.ok
    assert (verdict.events, verdict.retired) == (5, 11)


def test_the_command_says_by_its_status_what_it_found(
    recorded: psycopg.Connection, audit_database: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify-chain", "--dsn", audit_database.dsn]) == 0
    assert "16 events in 3 links: intact" in capsys.readouterr().out
    faults_after(recorded, "DELETE FROM audit_events WHERE event_date = '2025-12-06'")

    assert main(["verify-chain", "--dsn", audit_database.dsn, "--format", "json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 1
