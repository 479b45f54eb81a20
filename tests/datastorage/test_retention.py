"""Retention drops whole months, and says of each other month why it stays."""

from __future__ import annotations

import datetime as dt

import psycopg
import pytest

from datastorage.cli import main
from datastorage.retention import drop_expired, plan_retention
from pgslate.targets.target import Target

LATER = dt.date(2033, 1, 15)
DECEMBER, JANUARY = "audit_events_y2025m12", "audit_events_y2026m01"


def insert(connection: psycopg.Connection, day: str, **fields: object) -> None:
    """One event on ``day``."""
    fields = {
        "event_timestamp": f"{day} 12:00Z",
        "event_date": day,
        "event_type": "a.b.c",
        "event_category": "b",
        "event_action": "c",
        "event_outcome": "success",
        "correlation_id": "rr-1",
        **fields,
    }
    names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, fields))
    values = psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(fields))
    connection.execute(
        psycopg.sql.SQL("INSERT INTO audit_events ({}) VALUES ({})").format(names, values),
        list(fields.values()),
    )


def reasons(connection: psycopg.Connection, as_of: dt.date = LATER) -> dict[str, str | None]:
    return {month.name: month.reason for month in plan_retention(connection, as_of=as_of)}


def test_a_month_may_go_when_its_last_event_may(audit: psycopg.Connection) -> None:
    insert(audit, "2025-12-31")
    insert(audit, "2026-01-01", retention_days=3000)

    assert reasons(audit, dt.date(2032, 12, 28)) == {
        DECEMBER: "events are kept until 2032-12-29",
        JANUARY: "events are kept until 2034-03-20",
    }
    assert reasons(audit, dt.date(2032, 12, 29))[DECEMBER] is None


def test_holds_and_children_keep_a_month(audit: psycopg.Connection) -> None:
    insert(audit, "2025-12-05", event_id="00000000-0000-0000-0000-000000000001")
    insert(
        audit,
        "2026-01-05",
        correlation_id="rr-2",
        retention_days=9000,
        parent_event_id="00000000-0000-0000-0000-000000000001",
        parent_event_date="2025-12-05",
    )
    assert reasons(audit)[DECEMBER] == "1 events of other months name a parent in it"

    audit.execute(
        "INSERT INTO audit_legal_holds (correlation_id, action, reason, actor)"
        " VALUES ('rr-1', 'placed', 'r', 'a')"
    )
    assert reasons(audit)[DECEMBER] == "1 events are on legal hold"


def test_an_event_that_was_born_on_hold_keeps_its_month(audit: psycopg.Connection) -> None:
    insert(audit, "2025-12-05", legal_hold=True)

    assert reasons(audit)[DECEMBER] == "1 events are on legal hold"


def test_what_may_go_is_dropped_and_the_rest_stays(audit: psycopg.Connection, audit_database: Target) -> None:
    insert(audit, "2025-12-05", event_id="00000000-0000-0000-0000-000000000001")
    insert(
        audit,
        "2026-01-05",
        parent_event_id="00000000-0000-0000-0000-000000000001",
        parent_event_date="2025-12-05",
    )

    # January goes first, and with it its reference to December.
    drop_expired(audit_database, as_of=dt.date(2033, 3, 1))

    assert plan_retention(audit) == []
    assert audit.execute("SELECT count(*) FROM audit_event_chain").fetchone() == (2,)


def test_without_drop_nothing_changes(
    audit: psycopg.Connection, audit_database: Target, capsys: pytest.CaptureFixture[str]
) -> None:
    insert(audit, "2025-12-05")

    assert main(["retention", "--dsn", audit_database.dsn, "--as-of", "2033-01-15"]) == 0

    assert "audit_events_y2025m12  1 events  may go" in capsys.readouterr().out
    assert audit.execute("SELECT count(*) FROM audit_events").fetchone() == (1,)
