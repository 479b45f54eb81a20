"""The audit service against the budget: batches to raw COPY, single posts, and how both and a query grow.

    python -m bench.service --write               # 100 thousand to 5 million rows; ten minutes on two cores
    python -m bench.service --sizes 20000 100000  # a taste of it

COPY and the service write the same events to the same table on the same server, in turns: a ratio in one run.
So is the query's growth: at the end a copy of the database as it was at the budget's 500 thousand rows and
the whole one are asked in turns.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import datetime as dt
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from bench import page

from datastorage import load
from datastorage.e2e import LocalEnvironment
from datastorage.e2e.local import DATABASE
from datastorage.e2e.process import ServiceProcess
from pgslate.targets.embedded.server import Server

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
BATCH = 1000
SIZES = (100_000, 500_000, 1_000_000, 2_000_000, 5_000_000)
BASE = 500_000  # what the budget compares the largest size to
PER_CORRELATION = 5  # events a remediation, however many there are
CORRELATIONS = 1_000_000  # of the events that are written while measuring
SMALL = "at_base"  # the copy of the database at BASE rows


@dataclass(frozen=True, slots=True)
class Growth:
    """At ``rows`` rows: events a second by COPY and through the service, and a query's p50 and p99 in ms."""

    rows: int
    copy_per_second: float
    service_per_second: float
    query_p50_ms: float
    query_p99_ms: float


@dataclass(frozen=True, slots=True)
class Turns:
    """Queries at the base and at the largest size, in turns: p50 and p99 in ms, the median of the rounds."""

    base_rows: int
    rows: int
    base_p50_ms: float
    base_p99_ms: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True)
class Speed:
    """``ratios`` of the service to COPY, a round each; single posts; the machine's load before and after."""

    ratios: tuple[float, ...]
    single_p50_ms: float
    single_p99_ms: float
    loads: tuple[float, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", type=int, nargs="*", default=SIZES, help="rows, in ascending order; none: only the speed"
    )
    parser.add_argument("--events", type=int, default=20_000, help="events per measurement of ingest")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of single posts")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md's section, and the plot"
    )
    asked = parser.parse_args()
    speed = measure_speed(asked.events, asked.seconds, asked.clients)
    if asked.write:
        write_part("speed", speed_part(speed))
    if asked.sizes:
        began = os.getloadavg()[0]
        growth, turns = measure_growth(asked.sizes, asked.events, asked.queries, asked.clients)
        if asked.write:
            write_part("growth", growth_part(growth, turns, (began, os.getloadavg()[0])))
            (page.DOCS / "performance-service.svg").write_text(svg_of(growth))


def measure_speed(count: int, seconds: float, clients: int) -> Speed:
    """Batches in turns with COPY, and single posts."""
    began = os.getloadavg()[0]
    with LocalEnvironment("workflowexecution") as environment:
        warm_up(environment)
        ratios = ratios_to_copy(environment, count, clients)
        print(f"batches of {BATCH}: {statistics.median(ratios):.2f} x raw COPY (budget: at least 0.5)")
        p50, p99 = single_posts(environment, seconds)
        print(f"single posts at 200/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms (budget: p99 < 25 ms)", flush=True)
    return Speed(ratios, p50, p99, (began, os.getloadavg()[0]))


def measure_growth(
    sizes: Sequence[int], count: int, queries: int, clients: int
) -> tuple[list[Growth], Turns | None]:
    """Ingest and query at each size; the server keeps its data on disk: five million rows are 5 GB."""
    with (
        Server.start(tmpfs=False, settings={"max_wal_size": "8GB"}) as server,
        LocalEnvironment("workflowexecution", server=server) as environment,
        ExitStack() as small,
    ):
        warm_up(environment)
        growth: list[Growth] = []
        base = None
        filled = 0
        for size in sizes:
            filled = fill(environment.database.dsn, filled, size)
            growth.append(measure(environment, filled, count, queries, clients))
            told = growth[-1]
            print(
                f"{told.rows:>9,} rows: COPY {told.copy_per_second:>7,.0f}/s,"
                f" service {told.service_per_second:>7,.0f}/s, query p50 {told.query_p50_ms:.2f} ms,"
                f" p99 {told.query_p99_ms:.2f} ms, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            if size == BASE < max(sizes):
                base = small.enter_context(copy_of(environment)).url, filled
        turns = in_turns(*base, environment.url, filled, queries, sizes[-1]) if base else None
        if turns is not None:
            print(
                f"in turns: p50 {turns.base_p50_ms:.2f} and {turns.p50_ms:.2f} ms,"
                f" p99 {turns.base_p99_ms:.2f} and {turns.p99_ms:.2f} ms (budget: p99 < 20 ms, at most 1.3 x)"
            )
    return growth, turns


@contextmanager
def copy_of(environment: LocalEnvironment) -> Iterator[ServiceProcess]:
    """The service over a copy of the database as it is now."""
    # A database that is copied may have nobody connected to it.
    environment.process.close()
    environment.server.create_database(SMALL, template=DATABASE)
    environment.process.restart()
    arguments = [
        argument.replace(DATABASE, SMALL) for argument in environment.arguments(environment.server.port)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        ServiceProcess(arguments, Path(folder) / "service.log") as process,
    ):
        yield process


def events(count: int) -> list[dict[str, Any]]:
    """Events as the load command makes them, all of one month."""
    return [load.sample_event(NOW, correlations=CORRELATIONS) for _ in range(count)]


def warm_up(environment: LocalEnvironment) -> None:
    """Plans prepared, code loaded, pages there."""
    through_service(environment, 5 * BATCH, 4)
    by_copy(environment.database.dsn, 5 * BATCH, 1)


def ratios_to_copy(environment: LocalEnvironment, count: int, clients: int) -> tuple[float, ...]:
    """Rounds in which both write in turns, with as many connections each."""
    rounds = []
    for _ in range(7):
        copied = by_copy(environment.database.dsn, count, clients)
        served = through_service(environment, count, clients)
        rounds.append(served / copied)
        print(f"    COPY {copied:,.0f}/s, service {served:,.0f}/s: {served / copied:.2f}", flush=True)
    return tuple(rounds)


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
    """p50 and p99, in milliseconds, of single posts at 200 a second: the median of three rounds."""
    rounds = []
    for _ in range(3):
        bodies = [load.body_of([event])[1:-1] for event in events(int(200 * seconds / 3))]
        figures = asyncio.run(load.post_singles(environment.url, bodies, rate=200))
        if figures.failed:
            raise SystemExit(f"posts failed: {figures.failed}")
        rounds.append((figures.percentile(50) * 1000, figures.percentile(99) * 1000))
        print(f"    p50 {rounds[-1][0]:.1f} ms, p99 {rounds[-1][1]:.1f} ms", flush=True)
    p50, p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
    return p50, p99


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


def measure(environment: LocalEnvironment, filled: int, count: int, queries: int, clients: int) -> Growth:
    """Query and ingest at the size the table has now."""
    times = asyncio.run(query_times(environment.url, some_correlations(filled, queries)))
    with environment.database.connect(autocommit=True) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM audit_event_ids").fetchone() or (0,)
    return Growth(
        rows=rows,
        copy_per_second=by_copy(environment.database.dsn, count, clients),
        service_per_second=through_service(environment, count, clients),
        query_p50_ms=percentile(times, 50),
        query_p99_ms=percentile(times, 99),
    )


def in_turns(base_url: str, base_filled: int, url: str, filled: int, queries: int, rows: int) -> Turns:
    """Nine rounds of queries at the base and at the whole, in turns."""
    found: dict[str, list[list[float]]] = {base_url: [], url: []}
    for _ in range(9):
        for each, numbers in ((base_url, base_filled), (url, filled)):
            found[each].append(asyncio.run(query_times(each, some_correlations(numbers, queries))))

    def median(each: str, percent: float) -> float:
        return statistics.median(percentile(times, percent) for times in found[each])

    return Turns(BASE, rows, median(base_url, 50), median(base_url, 99), median(url, 50), median(url, 99))


def percentile(times: Sequence[float], percent: float) -> float:
    """Of seconds in ascending order, in milliseconds."""
    return times[min(len(times) - 1, int(len(times) * percent / 100))] * 1000


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


def speed_part(speed: Speed) -> list[str]:
    """What stands above the growth."""
    ratios, ratio = speed.ratios, statistics.median(speed.ratios)
    return [
        "## The audit service",
        "",
        "Over HTTP, on an embedded server. COPY writes the same events to the same table, through the same"
        " triggers, with as many connections, in turns with the service. Made by `python -m bench.service"
        f" --write`, on {os.cpu_count()} cores, {_told(speed.loads)}.",
        "",
        "| | measured | budget |",
        "|---|---:|---|",
        f"| batches of {BATCH:,} / raw COPY, median of {len(ratios)} rounds"
        f" ({min(ratios):.2f} to {max(ratios):.2f}) | {ratio:.2f} | at least 0.5 |",
        f"| single posts at 200/s, p50, ms | {speed.single_p50_ms:.1f} | |",
        f"| single posts at 200/s, p99, ms | {speed.single_p99_ms:.1f} | under 25 |",
    ]


def growth_part(growth: Sequence[Growth], turns: Turns | None, loads: tuple[float, float]) -> list[str]:
    """The table of sizes, and the query at two of them in turns."""
    lines = [
        f"How it grows, with the data on disk and five events a correlation at any size, {_told(loads)}:",
        "",
        f"| rows | {' | '.join(f'{point.rows:,}' for point in growth)} |",
        f"|---|{'---:|' * len(growth)}",
    ]
    for title, value in (
        ("COPY, events/s", lambda point: f"{point.copy_per_second:,.0f}"),
        ("service, events/s", lambda point: f"{point.service_per_second:,.0f}"),
        ("service / COPY", lambda point: f"{point.service_per_second / point.copy_per_second:.2f}"),
        ("query by correlation id, p50, ms", lambda point: f"{point.query_p50_ms:.2f}"),
        ("query by correlation id, p99, ms", lambda point: f"{point.query_p99_ms:.2f}"),
    ):
        lines.append(f"| {title} | {' | '.join(map(value, growth))} |")
    if turns is not None:
        p50, p99 = turns.p50_ms / turns.base_p50_ms, turns.p99_ms / turns.base_p99_ms
        lines += [
            "",
            "The query at two sizes, asked in turns on one server (median of nine rounds):",
            "",
            f"| | {turns.base_rows:,} rows | {turns.rows:,} rows | ratio | budget |",
            "|---|---:|---:|---:|---|",
            f"| p50, ms | {turns.base_p50_ms:.2f} | {turns.p50_ms:.2f} | {p50:.2f} | |",
            f"| p99, ms | {turns.base_p99_ms:.2f} | {turns.p99_ms:.2f} | {p99:.2f} |"
            " under 20 ms, at most 1.3 x |",
        ]
    plot = "![Events a second, and milliseconds of a query, by rows](performance-service.svg)"
    return [*lines, "", plot]


def _told(loads: tuple[float, float]) -> str:
    return f"the machine's load {loads[0]:.1f} when it began and {loads[1]:.1f} when it ended"


def write_part(name: str, lines: Sequence[str]) -> None:
    """Put one part of the section into docs/performance.md, between its marks."""
    begin, end = (f"<!-- bench.service.{name}: {word} -->" for word in ("begin", "end"))
    page.put("\n".join([begin, *lines, "", end]))


def svg_of(growth: Sequence[Growth]) -> str:
    """Two plots side by side: events a second, and a query's p50 and p99, both over the number of rows."""
    ingest = [
        ("COPY", "#8a8a8a", [point.copy_per_second for point in growth]),
        ("service", "#4e79a7", [point.service_per_second for point in growth]),
    ]
    query = [
        ("p50", "#8a8a8a", [point.query_p50_ms for point in growth]),
        ("p99", "#4e79a7", [point.query_p99_ms for point in growth]),
    ]
    rows = [point.rows for point in growth]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 320">'
        "<style>text{font:12px sans-serif;fill:#777}</style>"
    )
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
        f'<rect x="{left}" y="{top}" width="{width}" height="{height}" fill="none" stroke="#8888"/>',
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
            f'<text x="{left + width - 60}" y="{top + 18 + 16 * number}" style="fill:{colour}">{name}</text>'
        )
    return "".join(parts)


if __name__ == "__main__":
    main()
