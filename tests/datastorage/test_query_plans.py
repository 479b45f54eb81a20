"""The service's statements use the index that was made for them, also where PostgreSQL knows nothing yet."""

from __future__ import annotations

import datetime as dt
import itertools
import re
import uuid
from collections.abc import Callable

import psycopg
import pytest

from datastorage.e2e.suite import indexes_behind
from datastorage.server.query import Cursor, Filters, select_events
from datastorage.server.store import SESSION
from pgslate.targets.target import Target

INSERT = (
    "INSERT INTO audit_events"
    " (event_timestamp, event_date, event_type, event_category, event_action, event_outcome, correlation_id)"
    " SELECT t, t::date, 'gateway.signal.received', 'signal', 'received', 'success', %s"
    " FROM generate_series(1, 5000) AS n, LATERAL ("
    "  SELECT timestamptz '2025-12-05 00:00Z' + n * interval '10 s') AS at (t)"
)
CURSOR = Cursor(dt.datetime(2025, 12, 31, tzinfo=dt.UTC), uuid.UUID(int=0))


@pytest.fixture
def explain(audit: psycopg.Connection) -> Callable[[Filters, Cursor | None], str]:
    """The plan that a connection of the service has for a page, made when it was first asked for."""
    audit.execute(SESSION, ["15000"])
    prepared: set[bytes] = set()

    def plan(filters: Filters, cursor: Cursor | None) -> str:
        statement, parameters = select_events(filters, cursor, 100)
        if statement not in prepared:
            numbers = itertools.count(1)
            audit.execute(b"PREPARE page AS " + re.sub(rb"%s", lambda _: b"$%d" % next(numbers), statement))
            prepared.add(statement)
        places = ", ".join(["%s"] * len(parameters))
        with psycopg.ClientCursor(audit) as literally:
            literally.execute(f"EXPLAIN (COSTS OFF) EXECUTE page ({places})", parameters)
            return "\n".join(line for (line,) in literally)

    return plan


@pytest.mark.parametrize("cursor", [None, CURSOR], ids=["first page", "later page"])
def test_a_correlation_is_found_by_its_index_in_months_that_were_empty_when_it_was_planned(
    audit: psycopg.Connection,
    audit_database: Target,
    explain: Callable[[Filters, Cursor | None], str],
    cursor: Cursor | None,
) -> None:
    audit.execute("ANALYZE audit_events")
    explain(Filters(correlation_id="rr-7"), cursor)

    audit.execute(INSERT, ["rr-7"])

    plan = explain(Filters(correlation_id="rr-7"), cursor)
    assert indexes_behind(audit_database, plan) == {"idx_audit_events_correlation"}, plan
    assert not re.search(r"Filter:.*correlation_id", plan), plan


def test_a_page_of_a_large_correlation_reads_only_that_page(
    audit: psycopg.Connection, explain: Callable[[Filters, Cursor | None], str]
) -> None:
    audit.execute(INSERT, ["rr-7"])
    audit.execute(INSERT, ["rr-8"])
    audit.execute("ANALYZE audit_events")

    plan = explain(Filters(correlation_id="rr-7"), CURSOR)

    # A full sort would read all of the correlation before the first row leaves it.
    assert "Incremental Sort" in plan
    assert not re.search(r"^ *(->  )?Sort$", plan, re.MULTILINE), plan
