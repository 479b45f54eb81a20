"""The audit service against the budget: batches to raw COPY, single posts, and how both and a query grow.

    python -m bench.service --write               # 100 thousand to 5 million rows; ten minutes on two cores
    python -m bench.service --sizes 20000 100000  # a taste of it

COPY and the service write the same events to the same table on the same server, in turns: a ratio in one run.
So is the query's growth: at the end a copy of the database as it was at the budget's 500 thousand rows and
the whole one are asked in turns.
"""

from __future__ import annotations

import argparse
import os

from bench import page
from bench.service.growing import SIZES, measure_growth
from bench.service.plotting import svg_of
from bench.service.telling import growth_part, speed_part, write_part
from bench.service.writing import measure_speed


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
