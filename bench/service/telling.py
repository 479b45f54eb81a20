"""docs/performance.md's section about the service."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence

from bench import page
from bench.service.growing import Growth, Turns
from bench.service.writing import BATCH, Speed


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
