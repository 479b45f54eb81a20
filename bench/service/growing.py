"""How ingest and a query by correlation id grow with the rows that are there."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.service.filling import fill, some_correlations
from bench.service.writing import by_copy, through_service, warm_up

from datastorage import load
from datastorage.infrastructure.local import DATABASE, LocalEnvironment
from datastorage.infrastructure.migrations import apply_audit_migrations
from datastorage.infrastructure.process import ServiceProcess
from pgslate.targets.embedded.server import Server

SIZES = (100_000, 500_000, 1_000_000, 2_000_000, 5_000_000)
BASE = 500_000  # what the budget compares the largest size to
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


def measure_growth(
    sizes: Sequence[int], count: int, queries: int, clients: int
) -> tuple[list[Growth], Turns | None]:
    """Ingest and query at each size; the server keeps its data on disk: five million rows are 5 GB."""
    with (
        Server.start(tmpfs=False, settings={"max_wal_size": "8GB"}) as server,
        LocalEnvironment("workflowexecution", server=server) as environment,
        ExitStack() as small,
    ):
        apply_audit_migrations("", "", sys.stderr, dsn=environment.database.dsn)
        environment.deploy()
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
