"""What audit_events promises by itself, whoever writes to it."""

from __future__ import annotations

from datetime import date

import psycopg
import pytest

from pgslate.targets.target import Target

INSERT = (
    "INSERT INTO audit_events"
    " (event_timestamp, event_date, event_type, event_category, event_action, event_outcome, correlation_id)"
    " SELECT t, (t AT TIME ZONE 'UTC')::date, 'gateway.signal.received', 'signal', 'received', 'success',"
    " 'rr-' || n"
    " FROM CAST(%s AS timestamptz) AS t, generate_series(1, %s) AS n"
)


def test_the_day_is_that_of_the_timestamp_in_utc(audit: psycopg.Connection) -> None:
    audit.execute("SET timezone = 'America/New_York'")

    for timestamp in ("2025-12-31 23:30:00-05", "2025-12-31 18:30:00-05"):
        audit.execute(
            "INSERT INTO audit_events (event_timestamp, event_type, event_category, event_action,"
            " event_outcome, correlation_id) VALUES (%s, 'a', 'b', 'c', 'success', 'x')",
            [timestamp],
        )

    rows = audit.execute(
        "SELECT tableoid::regclass::text, event_date FROM audit_events ORDER BY 1"
    ).fetchall()
    assert rows == [
        ("audit_events_y2025m12", date(2025, 12, 31)),
        ("audit_events_y2026m01", date(2026, 1, 1)),
    ]


def test_a_row_that_comes_with_the_wrong_month_lands_in_the_right_one(audit: psycopg.Connection) -> None:
    audit.execute(
        "INSERT INTO audit_events (event_timestamp, event_date, event_type, event_category, event_action,"
        " event_outcome, correlation_id)"
        " VALUES ('2025-12-05 12:00Z', '2026-01-20', 'a', 'b', 'c', 'success', 'x')"
    )

    rows = audit.execute("SELECT tableoid::regclass::text, event_date FROM audit_events").fetchall()
    assert rows == [("audit_events_y2025m12", date(2025, 12, 5))]


def test_a_month_without_a_partition_is_refused(audit: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="no partition"):
        audit.execute(INSERT, ["2031-05-05 12:00Z", 1])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET severity = 'low' WHERE false",
        "UPDATE audit_events_y2025m12 SET severity = 'low'",
        "DELETE FROM audit_events",
        "DELETE FROM audit_events_y2025m12",
        "TRUNCATE audit_events",
        "UPDATE audit_event_chain SET linked_at = now()",
        "DELETE FROM audit_legal_holds",
    ],
)
def test_nothing_that_was_recorded_can_be_changed(audit: psycopg.Connection, statement: str) -> None:
    audit.execute(INSERT, ["2025-12-05 12:00Z", 1])

    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
        audit.execute(statement.encode())


def test_one_statement_makes_one_link_in_the_lane_of_its_transaction(
    audit: psycopg.Connection,
) -> None:
    with audit.transaction():
        audit.execute(INSERT, ["2025-12-05 12:00Z", 1000])
        audit.execute(INSERT, ["2026-01-05 12:00Z", 10])
        audit.execute(INSERT, ["2026-01-05 12:00Z", 0])

    links = audit.execute(
        "SELECT position, cardinality(event_ids), first_date, lane - min(lane) OVER ()"
        " FROM audit_event_chain ORDER BY position"
    ).fetchall()
    assert links == [(1, 1000, date(2025, 12, 5), 0), (2, 10, date(2026, 1, 5), 0)]


def test_writers_at_the_same_time_take_different_lanes(audit_database: Target) -> None:
    with audit_database.connect() as one, audit_database.connect() as other:
        one.execute(INSERT, ["2025-12-05 12:00Z", 1])
        other.execute("SET LOCAL lock_timeout = '1s'")
        other.execute(INSERT, ["2025-12-05 12:00Z", 1])
        one.commit()
        other.commit()

        lanes = one.execute("SELECT count(DISTINCT lane), max(position) FROM audit_event_chain").fetchone()
    assert lanes == (2, 1)


def test_the_hash_is_the_same_under_any_session_settings(audit: psycopg.Connection) -> None:
    audit.execute(INSERT, ["2025-12-05 12:00:00.123456Z", 1])

    audit.execute("SET timezone = 'Asia/Kolkata'; SET datestyle = 'German'; SET extra_float_digits = 0")

    same = audit.execute("SELECT event_hash = audit_event_hash(e) FROM audit_events e").fetchall()
    assert same == [(True,)]


def test_a_parent_must_exist(audit: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        audit.execute(
            "INSERT INTO audit_events (event_timestamp, event_type, event_category, event_action,"
            " event_outcome, correlation_id, parent_event_id, parent_event_date)"
            " VALUES ('2025-12-05 12:00Z', 'a', 'b', 'c', 'success', 'x', gen_random_uuid(), '2025-12-05')"
        )


def test_the_correlation_index_serves_the_newest_events_of_a_correlation(audit: psycopg.Connection) -> None:
    audit.execute(INSERT, ["2025-12-05 12:00Z", 5000])
    audit.execute("ANALYZE audit_events")

    plan = audit.execute(
        "EXPLAIN SELECT * FROM audit_events WHERE correlation_id = 'rr-7'"
        " ORDER BY event_timestamp DESC LIMIT 100"
    ).fetchall()

    assert "correlation_id_event_timestamp_idx" in str(plan)
