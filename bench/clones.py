"""A database for every test: pgslate against what people use today, on one server, in one run.

    python -m bench.clones                  # 10, 60 and 300 tables; durable or not; 1, 2 and 8 workers
    python -m bench.clones --tables 60 --workers 2 --seconds 1
    python -m bench.clones --write          # and write docs/performance.md's section and its plot

What is measured is what a test pays: from asking for a database until its first query is answered, and
giving it back. Between the two the "test" waits, as a test that talks to a server does. All take turns on one
server, with one schema, of which every one makes a full copy for each test; one more line is pgslate with the
slice of five tables. pytest-postgresql and pgtestdbpy are measured through their own classes, if installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import multiprocessing
import os
import platform
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from bench.generate import write
from psycopg import sql

from pgslate.catalog import Catalog
from pgslate.clones import Databases
from pgslate.project import Project
from pgslate.slicing.replay import replay_all
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- bench.clones: begin -->", "<!-- bench.clones: end -->"

#: Seconds that a "test" takes between getting its database and giving it back.
WORK = 0.03

#: How often each tool has its turn in a setting; the least tests of a worker in a turn, of which the first
#: doesn't count.
TURNS, LEAST = 2, 5

#: Tables of the slice, and the name of the template that everybody but pgslate copies.
SLICE, TEMPLATE = 5, "bench_template"

Tests = AbstractContextManager[Callable[[], AbstractContextManager[str]]]
"""What a worker does once; gives what it does for each test: a context with a DSN."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the same tests are run: on which server, from how many processes."""

    tables: int
    durable: bool
    workers: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a test pays with one tool, in milliseconds; ``ratio`` is to plain CREATE DATABASE ... TEMPLATE.

    ``wait`` is the part of the median test until it has a DSN, before it connects.
    """

    setting: Setting
    tool: str
    tests: int
    wait: float
    median: float
    p99: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker has to know; it can be sent to another process."""

    dsn: str
    folder: str
    slice: tuple[str, ...]


# -- the tools: each is a function of a place, used once a worker


@contextmanager
def plain(place: Place) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """CREATE DATABASE ... TEMPLATE and DROP DATABASE on a connection that stays."""
    with psycopg.connect(place.dsn, autocommit=True) as admin:

        @contextmanager
        def test() -> Iterator[str]:
            name = f"plain_{os.getpid()}_{random.randrange(10**9)}"  # noqa: S311  no secret
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(TEMPLATE)
                )
            )
            yield Target(place.dsn).with_dbname(name).dsn
            admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))

        yield test


@contextmanager
def replay(place: Place) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """An empty database, and every migration."""
    catalog = Catalog.load(place.folder).parse()
    with psycopg.connect(place.dsn, autocommit=True) as admin:

        @contextmanager
        def test() -> Iterator[str]:
            name = f"replay_{os.getpid()}_{random.randrange(10**9)}"  # noqa: S311  no secret
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            dsn = Target(place.dsn).with_dbname(name).dsn
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
                replay_all(catalog, connection)
            yield dsn
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

        yield test


@contextmanager
def pytest_postgresql(place: Place) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """What its fixture ``postgresql`` does for each test, template and all."""
    from pytest_postgresql.janitor import DatabaseJanitor

    host, port, user = _address(place)

    @contextmanager
    def test() -> Iterator[str]:
        name = f"tests_{os.getpid()}"
        janitor = DatabaseJanitor(user=user, host=host, port=port, dbname=name, template_dbname=TEMPLATE)
        janitor.drop()
        with janitor:
            yield Target(place.dsn).with_dbname(name).dsn

    yield test


@contextmanager
def pgtestdbpy(place: Place) -> Iterator[Callable[[], AbstractContextManager[str]]]:
    """Its context manager ``clone``."""
    import pgtestdbpy as library

    host, port, user = _address(place)
    config = library.Config(user=user, password="", host=host, port=port)
    migrator = library.Migrator(
        lambda url: None, db_name=TEMPLATE, user=user, password="", host=host, port=port
    )

    @contextmanager
    def test() -> Iterator[str]:
        with library.clone(config, migrator) as url:
            yield url

    yield test


def _address(place: Place) -> tuple[str, int, str]:
    with psycopg.connect(place.dsn) as connection:
        return connection.info.host, connection.info.port, connection.info.user


def _pgslate(place: Place, ahead: int, tables: Sequence[str]) -> Tests:
    @contextmanager
    def opened() -> Iterator[Callable[[], AbstractContextManager[str]]]:
        with Databases(Target(place.dsn), Project.open(place.folder), ahead=ahead) as databases:
            databases.prepare(*tables)

            @contextmanager
            def test() -> Iterator[str]:
                with databases.database(*tables) as database:
                    yield database.dsn

            yield test

    return opened()


def clone(place: Place) -> Tests:
    """pgslate, nothing made ahead."""
    return _pgslate(place, 0, ())


def pool(place: Place) -> Tests:
    """pgslate, clones made ahead."""
    return _pgslate(place, 4, ())


def clone_of_a_slice(place: Place) -> Tests:
    """pgslate, only five tables, nothing made ahead."""
    return _pgslate(place, 0, place.slice)


def pool_of_a_slice(place: Place) -> Tests:
    """pgslate, only five tables, clones made ahead."""
    return _pgslate(place, 4, place.slice)


PLAIN = "CREATE DATABASE ... TEMPLATE"
TOOLS: dict[str, Callable[[Place], Tests]] = {
    PLAIN: plain,
    "pytest-postgresql": pytest_postgresql,
    "pgtestdbpy": pgtestdbpy,
    "migrations for each test": replay,
    "pgslate clone": clone,
    "pgslate pool": pool,
    f"pgslate clone, {SLICE} tables": clone_of_a_slice,
    f"pgslate pool, {SLICE} tables": pool_of_a_slice,
}
_PACKAGES = ("pytest-postgresql", "pgtestdbpy")


# -- measuring


def _work(tool: str, place: Place, seconds: float, start: Any, found: Any) -> None:
    """One worker: tests until its time is over, a few at least; sends what each paid, in milliseconds."""
    paid: list[tuple[float, float]] = []
    try:
        with TOOLS[tool](place) as test:
            start.wait()
            until = time.perf_counter() + seconds
            while len(paid) < LEAST or time.perf_counter() < until:
                began = time.perf_counter()
                with test() as dsn:
                    given = time.perf_counter()
                    with psycopg.connect(dsn) as connection:
                        connection.execute("SELECT 1")
                    ready = time.perf_counter()
                    time.sleep(WORK)
                    done = time.perf_counter()
                whole = ready - began + time.perf_counter() - done
                paid.append(((given - began) * 1000, whole * 1000))
    except BaseException as error:
        start.abort()
        found.put(repr(error))
        raise
    found.put(paid)


def run(tool: str, place: Place, workers: int, seconds: float) -> list[tuple[float, float]]:
    """What each test of all workers waited for a DSN, and what it paid in all, in milliseconds."""
    context = multiprocessing.get_context("fork")
    start, found = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=_work, args=(tool, place, seconds, start, found)) for _ in range(workers)
    ]
    for process in processes:
        process.start()
    answers = [found.get() for _ in processes]
    for process in processes:
        process.join()
    for answer in answers:
        if isinstance(answer, str):
            raise RuntimeError(f"{tool}: {answer}")  # noqa: TRY004  what another process raised
    return [paid for answer in answers for paid in answer[1:]]  # the first warms up


def measure(
    tables: Sequence[int], durable: Sequence[bool], workers: Sequence[int], seconds: float
) -> Iterator[list[Measured]]:
    """Every tool in one setting after the other."""
    tools = [tool for tool in TOOLS if tool not in _PACKAGES or _version(tool)]
    for is_durable in durable:
        for count in tables:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write(folder, migrations=max(count, 20), tables=count)
                server = stack.enter_context(Server.start(durable=is_durable, max_connections=200))
                place = _prepared(server, folder)
                for many in workers:
                    yield _in_turns(tools, place, Setting(count, is_durable, many), seconds)


def _in_turns(tools: list[str], place: Place, setting: Setting, seconds: float) -> list[Measured]:
    """The tools in turns, in another order each time: what one leaves to the disk slows down the next."""
    paid: dict[str, list[tuple[float, float]]] = {tool: [] for tool in tools}
    for turn in range(TURNS):
        for tool in tools[turn:] + tools[:turn]:
            paid[tool] += run(tool, place, setting.workers, seconds / TURNS)
    base = statistics.median(whole for _, whole in paid[PLAIN])
    found = []
    for tool, times in paid.items():
        wait, whole = (statistics.median(part) for part in zip(*times, strict=True))
        p99 = _p99([each for _, each in times])
        found.append(Measured(setting, tool, len(times), wait, whole, p99, whole / base))
    return found


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.99 * len(times)))]


def _prepared(server: Server, folder: Path) -> Place:
    """The template that everybody but pgslate copies; and pgslate's own, so that nobody pays for it."""
    server.create_database(TEMPLATE, template="template0")
    with server.target(TEMPLATE).connect(autocommit=True, prepare_threshold=None) as connection:
        replay_all(Catalog.load(folder).parse(), connection)
    with server.target().connect(autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE true").format(sql.Identifier(TEMPLATE)))
    project = Project.open(folder)
    dsn = server.dsn()
    chosen = _slice_of(project)
    with Databases(Target(dsn), project, ahead=0) as databases:
        for wanted in ((), chosen):
            for _ in range(6):  # each way to copy is timed twice, then the best is known
                databases.database(*wanted).close()
    return Place(dsn, str(folder), chosen)


def _slice_of(project: Project) -> tuple[str, ...]:
    """Tables whose slice has as many tables as we want, or nearly."""
    from pgslate.slicing.select import relations

    units = project.trace.units
    names = [units[unit].name for unit in relations(project.trace) if units[unit].kind == "table"]

    def size(name: str) -> int:
        chosen = project.slice([name], form="objects")
        return sum(units[unit].kind == "table" for unit in chosen.required)

    sizes = {name: size(name) for name in names[:80]}
    return (min(sizes, key=lambda name: abs(sizes[name] - SLICE)),)


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


# -- telling


def section(found: Sequence[Measured]) -> str:
    """The section of docs/performance.md."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES if _version(name))
    with Server.start() as server:
        postgres = server.installation.version
    lines = [
        BEGIN,
        "## A database for every test",
        "",
        "What a test pays: from asking for a database until its first query is answered, and giving it back;"
        f" in between it waits {WORK * 1000:.0f} ms. In milliseconds, median and 99th percentile; the ratio"
        " is that of medians, to a plain `CREATE DATABASE ... TEMPLATE` and `DROP DATABASE` on a connection"
        " that stays. Every tool copies the whole schema, but for the last two lines.",
        "",
        f"PostgreSQL {postgres}, {versions}, Python {platform.python_version()}, {os.cpu_count()} cores,"
        f" {platform.system()} {platform.machine()}. The durable server keeps its data on disk, the other"
        " in memory, as pgslate's own does. Made by `python -m bench.clones --write`.",
        "",
        "![Milliseconds that a test pays, by tables](performance-clones.svg)",
        "",
    ]
    for setting in dict.fromkeys(one.setting for one in found):
        many = "1 worker" if setting.workers == 1 else f"{setting.workers} workers"
        lines += [
            f"### {setting.tables} tables, {'durable' if setting.durable else 'fsync off'}, {many}",
            "",
            "| | tests | until DSN | in all | p99 | ratio |",
            "|---|---:|---:|---:|---:|---:|",
            *(_row(one) for one in found if one.setting == setting),
            "",
        ]
    return "\n".join([*lines, END])


def _row(one: Measured) -> str:
    numbers = (f"{one.wait:.1f}", f"{one.median:.1f}", f"{one.p99:.1f}", f"{one.ratio:.2f}")
    return f"| {one.tool} | {one.tests} | {' | '.join(numbers)} |"


def write_docs(found: Sequence[Measured]) -> None:
    """Put the section and its plot into docs/."""
    page = DOCS / "performance.md"
    text = page.read_text() if page.exists() else "# Performance\n"
    head, begin, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2] if begin else ""
    page.write_text(head.rstrip() + "\n\n" + section(found) + "\n" + tail.lstrip("\n"))
    (DOCS / "performance-clones.svg").write_text(plot(found))


_COLOURS = ("#8a8a8a", "#b07aa1", "#9c755f", "#d6b656", "#4e79a7", "#59a14f", "#a0cbe8", "#8cd17d")
_LOW, _HIGH = 1.0, 10_000.0


def plot(found: Sequence[Measured]) -> str:
    """Grouped bars on a logarithmic scale, for one worker: fsync off, and durable."""
    import math

    one_worker = [one for one in found if one.setting.workers == min(m.setting.workers for m in found)]
    panels = [durable for durable in (False, True) if any(m.setting.durable == durable for m in one_worker)]
    width, height, left, top = 470, 220, 52, 40
    shapes: list[str] = []

    def y_of(milliseconds: float) -> float:
        share = math.log10(max(milliseconds, _LOW) / _LOW) / math.log10(_HIGH / _LOW)
        return top + height * (1 - min(share, 1.0))

    for number, durable in enumerate(panels):
        at = left + number * (width + 40)
        shapes.append(f'<text x="{at}" y="24" class="t">{"durable" if durable else "fsync off"}</text>')
        for mark in (1, 10, 100, 1000, 10000):
            y = y_of(mark)
            shapes.append(f'<line x1="{at}" y1="{y:.1f}" x2="{at + width}" y2="{y:.1f}" class="g"/>')
            shapes.append(f'<text x="{at - 6}" y="{y + 4:.1f}" class="n">{mark}</text>')
        sizes = sorted({m.setting.tables for m in one_worker if m.setting.durable == durable})
        for place, tables in enumerate(sizes):
            bars = [m for m in one_worker if m.setting.durable == durable and m.setting.tables == tables]
            group = width / len(sizes)
            bar = (group - 24) / len(TOOLS)
            for each in bars:
                index = list(TOOLS).index(each.tool)
                x, y = at + place * group + 12 + index * bar, y_of(each.median)
                shapes.append(
                    f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar - 1:.1f}" height="{top + height - y:.1f}"'
                    f' fill="{_COLOURS[index]}"><title>{each.tool}: {each.median:.1f} ms</title></rect>'
                )
            middle = at + (place + 0.5) * group
            shapes.append(f'<text x="{middle:.1f}" y="{top + height + 16}" class="m">{tables} tables</text>')
    for index, tool in enumerate(TOOLS):
        x, y = left + (index % 4) * 245, top + height + 40 + (index // 4) * 20
        shapes.append(f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[index]}"/>')
        shapes.append(f'<text x="{x + 18}" y="{y}" class="l">{tool}</text>')
    total = left + max(len(panels) * (width + 40), 4 * 245)
    style = (
        "text{font:12px sans-serif;fill:#777}.t{font-weight:bold}.n{text-anchor:end}.m{text-anchor:middle}"
        ".g{stroke:#8884}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {top + height + 72}">'
        f"<style>{style}</style>\n" + "\n".join(shapes) + "\n</svg>\n"
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tables", type=int, nargs="+", default=[10, 60, 300])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 8])
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each tool runs in each setting")
    parser.add_argument("--only", choices=["durable", "fast"], help="only the one kind of server")
    parser.add_argument(
        "--write", action="store_true", help="write docs/performance.md's section, and the plot"
    )
    asked = parser.parse_args()
    durable = {"durable": [True], "fast": [False], None: [False, True]}[asked.only]
    found: list[Measured] = []
    for several in measure(asked.tables, durable, asked.workers, asked.seconds):
        for one in several:
            where = f"{one.setting.tables:4} tables {'durable' if one.setting.durable else 'fast':7}"
            print(
                f"{where} {one.setting.workers} workers  {one.tool:30} {one.tests:5} tests {one.wait:7.1f} ms"
                f" until DSN {one.median:8.1f} ms {one.p99:8.1f} p99 {one.ratio:6.2f} x",
                flush=True,
            )
        found += several
        if asked.write:  # each time: a run that is cut short leaves what it has measured
            write_docs(found)


if __name__ == "__main__":
    main()
