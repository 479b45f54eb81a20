"""A database for every test: pgslate against what people use today, on one server, in one run.

    python -m bench.clones                  # 10, 60 and 300 tables; durable or not; 1, 2 and 8 workers
    python -m bench.clones --tables 60 --workers 2 --seconds 1
    python -m bench.clones --write          # and write docs/performance.md's section and its plot

All take turns on one server, with one schema, of which every one makes a full copy for each test; further
lines are pgslate with the slice of five tables, and what the server takes for an empty database.
"""

from __future__ import annotations

import argparse

from bench.clones.budgets import budgets
from bench.clones.measuring import Measured, measure
from bench.clones.telling import write_docs


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", type=int, nargs="+", default=[10, 60, 300])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--seconds", type=float, default=1.5, help="how long each tool runs in each setting")
    parser.add_argument("--only", choices=["durable", "fast"], help="only the one kind of server")
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md's section, and the plot"
    )
    asked = parser.parse_args()
    durable = {"durable": [True], "fast": [False], None: [False, True]}[asked.only]
    found: list[Measured] = []
    for several in measure(asked.tables, durable, asked.workers, asked.seconds):
        print(f"-- {several[0].setting.label}")
        for one in several:
            print(
                f"{one.contender:30} {one.tests:5} tests {one.wait:7.1f} ms until DSN {one.median:8.1f} ms"
                f" {one.p99:8.1f} p99 {one.run:8.1f} run {one.ratio:6.2f} x",
                flush=True,
            )
        for _, what, budget, got in budgets(several):
            print(f"   {what}: {got} (budget {budget})", flush=True)
        found += several
        if asked.write:  # each time: a run that is cut short leaves what it has measured
            write_docs(found)
