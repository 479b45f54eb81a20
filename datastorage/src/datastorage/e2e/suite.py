"""The checks of every service's suite: its events arrive, in order, and the right index finds them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from psycopg.sql import SQL

from datastorage.infrastructure.environment import Environment
from datastorage.services import Service
from pgslate.targets.target import Target

EVENTS = "/api/v1/audit/events"

#: What the audit slice makes: the events, their ids, the chain over them, and the legal holds.
AUDIT_TABLES = frozenset({"audit_events", "audit_event_ids", "audit_event_chain", "audit_legal_holds"})


def eventually_events(
    environment: Environment, correlation_id: str, *, at_least: int = 2, timeout: float = 60.0
) -> list[dict[str, Any]]:
    """The events of a correlation, oldest first, once there are ``at_least`` so many.

    Raises ``AssertionError`` with what there is and the environment's logs after ``timeout`` seconds.
    """
    until = time.monotonic() + timeout
    pause = 0.01
    with httpx.Client(base_url=environment.url, timeout=5.0) as http:
        while True:
            answer = http.get(EVENTS, params={"correlation_id": correlation_id, "limit": 1000})
            events = answer.json().get("data", []) if answer.status_code == 200 else []
            if len(events) >= at_least:
                return list(reversed(events))
            if time.monotonic() >= until:
                raise AssertionError(
                    f"{len(events)} events of {correlation_id} after {timeout} s, not {at_least};"
                    f" last answer {answer.status_code}: {answer.text[:500]}\n{environment.logs()}"
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.5)


def eventually_ready(environment: Environment, *, timeout: float = 60.0) -> None:
    """Returns when the service is ready.

    Raises ``AssertionError`` with its last answer after ``timeout`` s.
    """
    until = time.monotonic() + timeout
    with httpx.Client(base_url=environment.url, timeout=5.0) as http:
        while (answer := http.get("/health/ready")).status_code != 200:
            if time.monotonic() >= until:
                raise AssertionError(f"not ready after {timeout} s: {answer.text}\n{environment.logs()}")
            time.sleep(0.1)


def plan_of_correlation_query(database: Target, correlation_id: str) -> str:
    """How PostgreSQL reads a correlation's events, with enough rows of others for an index to matter."""
    with database.connect(autocommit=True) as connection:
        connection.execute(_OTHERS)
        connection.execute("ANALYZE audit_events")
        plan = connection.execute(
            "EXPLAIN (COSTS OFF) SELECT * FROM audit_events WHERE correlation_id = %s"
            " ORDER BY event_timestamp DESC, event_id DESC LIMIT 100",
            [correlation_id],
        )
        return "\n".join(line for (line,) in plan)


def indexes_behind(database: Target, plan: str) -> set[str]:
    """The parents, on audit_events, of the partitions' indexes that a plan names."""
    with database.connect() as connection:
        rows = connection.execute(_INDEX_PARENTS).fetchall()
    return {parent for child, parent in rows if child in plan}


def tables_of(database: Target) -> frozenset[str]:
    """The tables there are, without the partitions and pgslate's own."""
    with database.connect() as connection:
        return frozenset(name for (name,) in connection.execute(_TABLES))


def partitions_of(database: Target) -> list[str]:
    """The partitions of audit_events, by name."""
    with database.connect() as connection:
        rows = connection.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
        )
        return sorted(name for (name,) in rows)


def differences_from_run(events: Sequence[dict[str, Any]], service: Service) -> list[str]:
    """What tells these events, in their order, from one typical run of the service; empty: nothing."""
    found = [(event["event_type"], event["event_outcome"]) for event in events]
    wanted = [(step.event_type, step.outcome) for step in service.run]
    differences = [] if found == wanted else [f"expected {wanted}, found {found}"]
    stamps = [event["event_timestamp"] for event in events]
    if stamps != sorted(stamps):
        differences.append(f"out of order: {stamps}")
    unknown = {kind for kind, _ in found if not any(_matches(kind, known) for known in service.events)}
    return differences + [f"{kind} is not in the contract of {service.name}" for kind in sorted(unknown)]


@contextmanager
def logs_on_failure(environment: Environment) -> Iterator[None]:
    """Adds the environment's logs to whatever is raised inside."""
    try:
        yield
    except BaseException as error:
        error.add_note(environment.logs())
        raise


def _matches(event_type: str, known: str) -> bool:
    return event_type.startswith(known[:-1]) if known.endswith("*") else event_type == known


_OTHERS = SQL("""
    INSERT INTO audit_events
        (event_timestamp, event_date, event_type, event_category, event_action, event_outcome, correlation_id)
    SELECT t, (t AT TIME ZONE 'UTC')::date, 'other.kind.made', 'kind', 'made', 'success', 'other-' || n
    FROM CAST('2025-12-05 12:00Z' AS timestamptz) AS t, generate_series(1, 2000) AS n
""")
_INDEX_PARENTS = SQL("""
    SELECT i.inhrelid::regclass::text, i.inhparent::regclass::text
    FROM pg_inherits AS i JOIN pg_index AS x ON x.indexrelid = i.inhparent
    WHERE x.indrelid = 'audit_events'::regclass
""")
_PARTITIONS = SQL(
    "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_events'::regclass"
)
_TABLES = SQL("""
    SELECT c.relname FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
""")
