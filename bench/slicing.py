"""Trace, plan, lock and the three forms, on generated catalogs from 50 to 800 migrations.

    python -m bench.slicing --write

A session is one psycopg session that sends the same files, one message a file: every time is given beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import page
from bench.generate import write

from pgslate.catalog.catalog import Catalog
from pgslate.dump.definitions import script_of
from pgslate.dump.outcome import take
from pgslate.slices import lockfile
from pgslate.slices.lockfile import Lock
from pgslate.slices.slice import slice_of, whole
from pgslate.targets.embedded.server import Server
from pgslate.trace import document
from pgslate.trace.effects import relations
from pgslate.trace.trace_cache import trace_of
from pgslate.trace.tracer import trace

BEGIN, END = "<!-- slicing: begin -->", "<!-- slicing: end -->"

# What each number may be at most, where the design says so: (attribute, what it is, budget in words).
ROWS = (
    ("session", "one psycopg session, s", ""),
    ("trace", "trace / session", "at most 6"),
    ("one_more", "one migration added to a traced catalog, s", "at most 1"),
    ("objects", "objects form of the whole / session", "at most 0.35 at 400"),
    ("plan", "`plan` with a lock, as a process, s", "at most 0.35 at 400"),
    ("load", "loading the lock's trace, ms", "under 60 at 400"),
    ("memory", "memory of that `plan`, MB", "under 400"),
    ("slice", "one slice, mean, ms", ""),
    ("files", "mean share of the files form", ""),
    ("statements", "mean share of the statements form", ""),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """What was measured on one catalog; see ``ROWS`` for units."""

    migrations: int
    tables: int
    session: float
    trace: float
    one_more: float
    objects: float
    plan: float
    load: float
    memory: float
    slice: float
    files: float
    statements: float


def measure(sizes: Sequence[int]) -> Iterator[Growth]:
    """One row a size; each catalog has five tables for eight migrations, as design.md's 250 for 400."""
    with Server.start(major=18) as server:
        for migrations in sizes:
            with tempfile.TemporaryDirectory() as folder:
                tables = migrations * 5 // 8
                write(Path(folder) / "migrations", migrations, tables)
                yield _measured(server, Path(folder), migrations, tables)


def _measured(server: Server, folder: Path, migrations: int, tables: int) -> Growth:
    catalog = Catalog.load(folder / "migrations").parse()
    session = min(_send(server, [migration.source for migration in catalog]) for _ in range(3))
    target = server.create_database("bench_trace", template="template0")
    began = time.perf_counter()
    traced = trace(catalog, target).trace
    tracing = time.perf_counter() - began
    snapshot = take(server, catalog)
    server.drop_database("bench_trace")
    script = script_of(whole(catalog, traced, form="objects"), snapshot)
    objects = min(_send(server, [script]) for _ in range(3))
    names = {m.version: m.file for m in catalog}
    text = document.dumps(traced, names)
    load = min(_timed(lambda: document.loads(text)) for _ in range(5))
    asked = relations(traced)
    began = time.perf_counter()
    files = [slice_of(catalog, traced, [unit]) for unit in asked]
    each = (time.perf_counter() - began) / len(asked)
    statements = [slice_of(catalog, traced, [unit], form="statements") for unit in asked]
    plan, memory = _plan(folder, lockfile.dumps(Lock(traced, names, {}, {})))
    return Growth(
        migrations=migrations,
        tables=tables,
        session=session,
        trace=tracing / session,
        one_more=_one_more(catalog),
        objects=objects / session,
        plan=plan,
        load=load * 1000,
        memory=memory,
        slice=each * 1000,
        files=sum(len(one.migrations) for one in files) / len(files) / migrations,
        statements=sum(len(one.effects) for one in statements) / len(files) / len(traced.effects),
    )


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _send(server: Server, messages: Sequence[str]) -> float:
    """Seconds for one session that sends each message in a transaction of its own, to an empty database."""
    target = server.create_database("bench_session", template="template0")
    try:
        with target.connect(autocommit=True, prepare_threshold=None) as connection:
            began = time.perf_counter()
            for message in messages:
                with connection.transaction():
                    connection.execute(message.encode())
            return time.perf_counter() - began
    finally:
        server.drop_database("bench_session")


def _one_more(catalog: Catalog) -> float:
    """Seconds for the last migration, where all before it were traced; a cache of its own."""
    before = os.environ.get("PGSLATE_CACHE")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["PGSLATE_CACHE"] = cache
        try:
            trace_of(Catalog(catalog.root, catalog.format, catalog.migrations[:-1]))
            return _timed(lambda: trace_of(catalog))
        finally:
            if before is None:
                del os.environ["PGSLATE_CACHE"]
            else:
                os.environ["PGSLATE_CACHE"] = before


# In a small process of its own: a child's peak of memory begins with that of the process it was forked from.
_TIMED = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _plan(folder: Path, lock: str) -> tuple[float, float]:
    """Seconds and megabytes of a ``plan`` whose trace is in a lock."""
    (folder / "pgslate.lock").write_text(lock)
    (folder / "pgslate.toml").write_text('catalog = "migrations"\n')
    units = json.loads(lock)["units"]
    table = [name for kind, name, _, dropped in units if kind == "table" and dropped is None][-1]
    command = [sys.executable, "-m", "pgslate", "plan", table, "--format", "json"]
    # Python may keep what it compiled, as it does where pgslate is installed.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PYTHONDONTWRITE"))}
    best, memory = float("inf"), 0.0
    for _ in range(6):
        timed = [sys.executable, "-c", _TIMED, *command]
        told = subprocess.run(timed, cwd=folder, env=environment, check=True, capture_output=True)
        seconds, kilobytes = map(float, told.stdout.split())
        best, memory = min(best, seconds), kilobytes / 1024
    return best, memory


def section(found: Sequence[Growth]) -> str:
    """The Markdown table, between its marks."""
    sizes = " | ".join(f"{one.migrations} / {one.tables}" for one in found)
    lines = [f"| migrations / tables | {sizes} | budget |", f"|---|{'---|' * len(found)}---|"]
    for attribute, title, budget in ROWS:
        values = " | ".join(f"{getattr(one, attribute):.3g}" for one in found)
        lines.append(f"| {title} | {values} | {budget} |")
    head = "## Slicing\n\nHow it grows, on generated catalogs (`python -m bench.slicing --write`):\n"
    return "\n".join([BEGIN, head, *lines, "", "![growth](performance-slicing.svg)", "", END])


def plot(found: Sequence[Growth]) -> str:
    """Seconds over migrations: the session, the trace, the objects form, a plan."""
    lines = (
        ("session", "#8a8a8a", [one.session for one in found]),
        ("trace", "#4e79a7", [one.trace * one.session for one in found]),
        ("objects form", "#59a14f", [one.objects * one.session for one in found]),
        ("plan with a lock", "#b07aa1", [one.plan for one in found]),
    )
    width, height, left, top = 520, 260, 60, 30
    widest = max(one.migrations for one in found)
    most = max(value for _, _, values in lines for value in values) * 1.05
    shapes = [f'<rect x="{left}" y="{top}" width="{width}" height="{height}" class="f"/>']
    for quarter in range(5):
        y, x = top + height * (1 - quarter / 4), left + width * quarter / 4
        shapes.append(f'<text x="{left - 6}" y="{y + 4:.0f}" class="e">{most * quarter / 4:.2g} s</text>')
        shapes.append(f'<text x="{x:.0f}" y="{top + height + 18}" class="m">{widest * quarter // 4}</text>')
    for number, (name, colour, values) in enumerate(lines):
        points = " ".join(
            f"{left + width * one.migrations / widest:.1f},{top + height * (1 - value / most):.1f}"
            for one, value in zip(found, values, strict=True)
        )
        shapes.append(f'<polyline points="{points}" stroke="{colour}" class="l"/>')
        shapes.append(f'<text x="{left + 14}" y="{top + 20 + 16 * number}" fill="{colour}">{name}</text>')
    style = "text{font:12px sans-serif;fill:#777}.e{text-anchor:end}.m{text-anchor:middle}"
    style += ".f{fill:none;stroke:#8888}.l{fill:none;stroke-width:2}"
    box = f"0 0 {left + width + 20} {top + height + 40}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"><style>{style}</style>'
    return f"{head}{''.join(shapes)}</svg>\n"


def write_docs(found: Sequence[Growth]) -> None:
    """Put the section and its plot into docs/."""
    page.put(section(found))
    (page.DOCS / "performance-slicing.svg").write_text(plot(found))


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 100, 200, 400, 800])
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md's section, and the plot"
    )
    asked = parser.parse_args()
    found: list[Growth] = []
    for one in measure(asked.sizes):
        found.append(one)
        told = ", ".join(f"{attribute} {getattr(one, attribute):.3g}" for attribute, _, _ in ROWS)
        print(f"{one.migrations} migrations, {one.tables} tables: {told}", flush=True)
    if asked.write:
        write_docs(found)


if __name__ == "__main__":
    main()
