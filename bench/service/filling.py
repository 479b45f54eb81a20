"""Rows in bulk, as other remediations would have left them, and queries for some of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import psycopg

PER_CORRELATION = 5  # events a remediation, however many there are

# A remediation's events come close to each other, among those of others: 200 remediations in a thousand rows.
FILL = """
    WITH inserted AS (
        INSERT INTO audit_events
            (event_timestamp, event_date, event_type, event_category, event_action, event_outcome,
             correlation_id, actor_type, actor_id, resource_type, resource_id, namespace, severity,
             duration_ms, event_data, event_hash)
        SELECT t, (t AT TIME ZONE 'UTC')::date, 'workflowexecution.workflow.started', 'workflow', 'started',
               'success', 'filled-' || n / 1000 * 200 + n %% 200, 'service', 'workflowexecution-controller',
               'WorkflowExecution', 'we-' || n %% 1000, 'production', 'info', n %% 5000,
               jsonb_build_object('workflow', 'restart-pod', 'step', n %% 7), sha256(int8send(n))
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
        CROSS JOIN LATERAL (SELECT timestamptz '2025-12-01 00:00Z' + n * interval '0.75 second') AS at (t)
        RETURNING event_id, event_date
    )
    INSERT INTO audit_event_ids SELECT event_id, event_date FROM inserted ORDER BY event_id
"""


def fill(dsn: str, first: int, rows: int) -> int:
    """Brings the table to so many rows, by two connections, and does what autovacuum would.

    Puts in numbers from ``first``, and gives the number after the last. Without the triggers, for the sake of
    time: these rows have no link in the chain.
    """
    with psycopg.connect(dsn, autocommit=True) as connection:
        counted = connection.execute("SELECT count(*) FROM audit_event_ids").fetchone()
        assert counted is not None  # a count is one row
        after = first + max(0, rows - int(counted[0]))
        starts = range(first, after, 20_000)

        def write(share: Sequence[int]) -> None:
            with psycopg.connect(dsn, autocommit=True) as own:
                own.execute("SET session_replication_role = replica")
                for start in share:
                    own.execute(FILL, {"first": start, "last": min(start + 20_000, after) - 1})

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, [starts[0::2], starts[1::2]]))
        connection.execute("VACUUM ANALYZE audit_events, audit_event_ids")
    return after


def some_correlations(filled: int, count: int) -> list[str]:
    """So many of those that ``fill`` made, from all over."""
    return [f"filled-{number}" for number in random.choices(range(filled // PER_CORRELATION), k=count)]  # noqa: S311
