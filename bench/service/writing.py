"""Batches in turns with raw COPY, and single posts: what the service takes in, and how fast."""

from __future__ import annotations

import asyncio
import csv
import datetime as dt
import io
import json
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg

from datastorage import load
from datastorage.infrastructure.local import LocalEnvironment
from datastorage.infrastructure.migrations import apply_audit_migrations

NOW = dt.datetime(2026, 1, 15, 12, tzinfo=dt.UTC)
BATCH = 1000
CORRELATIONS = 1_000_000  # of the events that are written while measuring


@dataclass(frozen=True, slots=True)
class Speed:
    """``ratios`` of the service to COPY, a round each; single posts; the machine's load before and after."""

    ratios: tuple[float, ...]
    single_p50_ms: float
    single_p99_ms: float
    loads: tuple[float, float]


def measure_speed(count: int, seconds: float, clients: int) -> Speed:
    """Batches in turns with COPY, and single posts."""
    began = os.getloadavg()[0]
    with LocalEnvironment("workflowexecution") as environment:
        apply_audit_migrations("", "", sys.stderr, dsn=environment.database.dsn)
        environment.deploy()
        warm_up(environment)
        ratios = ratios_to_copy(environment, count, clients)
        print(f"batches of {BATCH}: {statistics.median(ratios):.2f} x raw COPY (budget: at least 0.5)")
        p50, p99 = single_posts(environment, seconds)
        print(f"single posts at 200/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms (budget: p99 < 25 ms)", flush=True)
    return Speed(ratios, p50, p99, (began, os.getloadavg()[0]))


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
