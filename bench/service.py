"""The audit service against the budget: batches to raw COPY, single posts, and how both and a query grow.

    python bench/service.py                       # 100 thousand to 5 million rows; about a quarter of an hour
    python bench/service.py --sizes 20000,100000  # a taste of it
    python bench/service.py --json out.json --svg out.svg

COPY and the service write the same events to the same table on the same server, in turns: a ratio in one run.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import io
import json
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from datastorage import load
from datastorage.e2e import LocalEnvironment

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
BATCH = 1000
SIZES = "100000,500000,1000000,2000000,5000000"
CORRELATIONS_PER_EVENT = 0.2  # five events a remediation, however many there are
CORRELATIONS = 1_000_000  # of the events that are written while measuring


@dataclass(frozen=True, slots=True)
class Growth:
    """At ``rows`` rows: events a second by COPY and through the service, and a query's p50 and p99 in ms."""

    rows: int
    copy_per_second: float
    service_per_second: float
    query_p50_ms: float
    query_p99_ms: float


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", default="100000,500000,1000000,2000000,5000000", help="rows, in ascending order"
    )
    parser.add_argument("--events", type=int, default=20_000, help="events per measurement of ingest")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of single posts")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--svg", type=Path)
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]

    with LocalEnvironment("workflowexecution") as environment:
        dsn = environment.database.dsn
        warm_up(environment)
        ratio = ratio_to_copy(environment, asked.events, asked.clients)
        singles = single_posts(environment, asked.seconds)
        print(f"batches of {BATCH}: {ratio:.2f} x raw COPY (budget: at least 0.5)")
        print(
            f"single posts at 200/s: p50 {singles[0]:.1f} ms, p99 {singles[1]:.1f} ms (budget: p99 < 25 ms)"
        )
        growth = []
        for size in sizes:
            fill(dsn, size)
            growth.append(measure(environment, asked.events, asked.queries, asked.clients))
            print(
                f"{growth[-1].rows:>9,} rows: COPY {growth[-1].copy_per_second:>7,.0f}/s,"
                f" service {growth[-1].service_per_second:>7,.0f}/s,"
                f" query p50 {growth[-1].query_p50_ms:.2f} ms, p99 {growth[-1].query_p99_ms:.2f} ms",
                flush=True,
            )
    result = {
        "ratio_to_copy": ratio,
        "single_p50_ms": singles[0],
        "single_p99_ms": singles[1],
        "growth": [asdict(point) for point in growth],
    }
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if asked.svg:
        asked.svg.write_text(svg_of(growth), encoding="utf-8")
    if not asked.json:
        json.dump(result, sys.stdout)
        print()


def events(count: int) -> list[dict[str, Any]]:
    """Events as the load command makes them, all of one month."""
    return [load.sample_event(NOW, correlations=CORRELATIONS) for _ in range(count)]


def warm_up(environment: LocalEnvironment) -> None:
    """Plans prepared, code loaded, pages there."""
    through_service(environment, 5 * BATCH, 4)
    by_copy(environment.database.dsn, 5 * BATCH, 1)


def ratio_to_copy(environment: LocalEnvironment, count: int, clients: int) -> float:
    """The median of rounds in which both write in turns, with as many connections each."""
    rounds = []
    for _ in range(5):
        copied = by_copy(environment.database.dsn, count, clients)
        served = through_service(environment, count, clients)
        rounds.append(served / copied)
        print(f"    COPY {copied:,.0f}/s, service {served:,.0f}/s: {served / copied:.2f}", flush=True)
    return statistics.median(rounds)


def by_copy(dsn: str, count: int, connections: int) -> float:
    """Events a second by COPY in batches, from text that was made ready before."""
    texts = [copy_text(events(BATCH)) for _ in range(count // BATCH)]
    columns = ", ".join([*load.sample_event(NOW), "event_date"])
    statement = f"COPY audit_events ({columns}) FROM STDIN (FORMAT csv)".encode()

    def write(share: list[bytes]) -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for text in share:
                with connection.cursor().copy(statement) as copy:
                    copy.write(text)

    started = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(write, [texts[n::connections] for n in range(connections)]))
    return count / (time.perf_counter() - started)


def copy_text(batch: list[dict[str, Any]]) -> bytes:
    """A batch as COPY's CSV."""
    out = io.StringIO()
    writer = csv.writer(out)
    for event in batch:
        values = [json.dumps(value) if isinstance(value, dict) else value for value in event.values()]
        writer.writerow([*values, event["event_timestamp"][:10]])
    return out.getvalue().encode()


def through_service(environment: LocalEnvironment, count: int, clients: int) -> float:
    """Events a second by posted batches."""
    batches = [(BATCH, load.body_of(events(BATCH))) for _ in range(count // BATCH)]
    figures = asyncio.run(load.post_batches(environment.url, batches, clients=clients))
    if figures.failed:
        raise SystemExit(f"posts failed: {figures.failed}\n{environment.logs()[-3000:]}")
    return figures.events_per_second


def single_posts(environment: LocalEnvironment, seconds: float) -> tuple[float, float]:
    """p50 and p99, in milliseconds, of single posts at 200 a second."""
    bodies = [load.body_of([event])[1:-1] for event in events(int(200 * seconds))]
    figures = asyncio.run(load.post_singles(environment.url, bodies, rate=200))
    if figures.failed:
        raise SystemExit(f"posts failed: {figures.failed}")
    return figures.percentile(50) * 1000, figures.percentile(99) * 1000


FILL = """
    INSERT INTO audit_events
        (event_timestamp, event_date, event_type, event_category, event_action, event_outcome, correlation_id,
         actor_type, actor_id, resource_type, resource_id, namespace, severity, duration_ms, event_data)
    SELECT t, (t AT TIME ZONE 'UTC')::date, 'workflowexecution.workflow.started', 'workflow', 'started',
           'success', 'rr-' || (random() * %(correlations)s)::int, 'service', 'workflowexecution-controller',
           'WorkflowExecution', 'we-' || n %% 1000, 'production', 'info', n %% 5000,
           jsonb_build_object('workflow', 'restart-pod', 'step', n %% 7)
    FROM generate_series(1, %(rows)s) AS n
    CROSS JOIN LATERAL (
        SELECT timestamptz '2025-12-01 00:00Z' + n * interval '1 second' * (44 * 86400.0 / %(rows)s)
    ) AS at (t)
"""


def fill(dsn: str, rows: int) -> None:
    """Brings the table to ``rows`` rows, by two connections, and does what autovacuum would."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        (there,) = connection.execute("SELECT count(*) FROM audit_events").fetchone() or (0,)
        missing = rows - there
        sizes = [20_000] * (missing // 20_000) + (
            [missing % 20_000] if missing > 0 and missing % 20_000 else []
        )

        def write(share: list[int]) -> None:
            with psycopg.connect(dsn, autocommit=True) as own:
                for size in share:
                    own.execute(FILL, {"rows": size, "correlations": int(rows * CORRELATIONS_PER_EVENT)})

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(write, [sizes[0::2], sizes[1::2]]))
        connection.execute("VACUUM ANALYZE audit_events")


def measure(environment: LocalEnvironment, count: int, queries: int, clients: int) -> Growth:
    """Ingest and query at the size the table has now."""
    with environment.database.connect(autocommit=True) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM audit_events").fetchone() or (0,)
        found = connection.execute(
            "SELECT correlation_id FROM audit_events TABLESAMPLE SYSTEM (1) LIMIT %s", [queries]
        ).fetchall()
    correlations = [name for (name,) in found] or ["rr-1"]
    times = asyncio.run(
        query_times(environment.url, [correlations[n % len(correlations)] for n in range(queries)])
    )
    return Growth(
        rows=rows,
        copy_per_second=by_copy(environment.database.dsn, count, clients),
        service_per_second=through_service(environment, count, clients),
        query_p50_ms=times[len(times) // 2] * 1000,
        query_p99_ms=times[int(len(times) * 0.99)] * 1000,
    )


async def query_times(url: str, correlations: list[str]) -> list[float]:
    """Seconds of each query by correlation id, in ascending order; the first few are not counted."""
    connection = load.Connection(url)
    times = []
    for number, correlation in enumerate([*correlations[:20], *correlations]):
        started = time.perf_counter()
        status, body = await connection.request("GET", f"{load.EVENTS}?correlation_id={correlation}")
        if status != 200:
            raise SystemExit(f"query failed: {status} {body[:300]!r}")
        if number >= 20:
            times.append(time.perf_counter() - started)
    connection.close()
    return sorted(times)


def svg_of(growth: list[Growth]) -> str:
    """Two plots side by side: events a second, and a query's p99, both over the number of rows."""
    ingest = [
        ("COPY", "#888", [point.copy_per_second for point in growth]),
        ("service", "#06c", [point.service_per_second for point in growth]),
    ]
    query = [
        ("p50", "#888", [point.query_p50_ms for point in growth]),
        ("p99", "#06c", [point.query_p99_ms for point in growth]),
    ]
    rows = [point.rows for point in growth]
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 320" font-family="sans-serif">'
    plots = _plot(60, "events a second", rows, ingest) + _plot(
        510, "query by correlation id, ms", rows, query
    )
    return f"{head}{plots}</svg>\n"


def _plot(left: int, title: str, rows: list[int], lines: list[tuple[str, str, list[float]]]) -> str:
    top, width, height = 40, 340, 220
    most = max(max(values) for _, _, values in lines) * 1.1 or 1.0
    widest = max(rows)
    parts = [
        f'<text x="{left}" y="20" font-size="14" font-weight="bold">{title}</text>',
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#ccc"/>',
    ]
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = top + height * (1 - share)
        parts.append(f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{most * share:,.3g}</text>')
        x = left + width * share
        millions = widest * share / 1e6
        parts.append(f'<text x="{x:.0f}" y="{top + height + 18}" text-anchor="middle">{millions:.3g}</text>')
    parts.append(
        f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">million rows</text>'
    )
    for number, (name, colour, values) in enumerate(lines):
        points = " ".join(
            f"{left + width * row / widest:.1f},{top + height * (1 - value / most):.1f}"
            for row, value in zip(rows, values, strict=True)
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(
            f'<text x="{left + width - 60}" y="{top + 18 + 16 * number}" fill="{colour}">{name}</text>'
        )
    return "".join(parts)


if __name__ == "__main__":
    main()
