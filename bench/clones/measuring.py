"""The same tests with every contender, in turns, on one server: what each test paid.

A test pays from asking for a database until it has written a row, and for giving it back. What is left to be
cleaned up afterwards, by a thread or at the end of the run, is paid by the run.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from bench.clones.contenders import BARE, CONTENDERS, SLICE, TEMPLATE, Contender, Place, present
from bench.generate import write
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.clones.databases import Databases
from pgslate.project.project import Project
from pgslate.slices.replay import replay_all
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

#: How often each contender has its turn in a setting; the least tests of a worker in a turn, of which the
#: first doesn't count.
TURNS, LEAST = 2, 3

#: A value of each type that '1' is none of.
_SOME = {
    "timestamp with time zone": "now()",
    "date": "now()",
    "uuid": "gen_random_uuid()",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the same tests are run: on which server, from how many processes."""

    tables: int
    durable: bool
    workers: int

    @property
    def label(self) -> str:
        """The setting, in words."""
        many = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{self.tables} tables, {'durable' if self.durable else 'fsync off'}, {many}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a test pays with one contender, in milliseconds; ``ratio`` is to plain CREATE DATABASE.

    ``wait`` is the part of the median test until it has a DSN, before it connects. ``run`` is what a worker
    spent on each test in all, with what is cleaned up at the end.
    """

    setting: Setting
    contender: str
    tests: int
    wait: float
    median: float
    p99: float
    run: float
    ratio: float


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker's tests paid, a pair each: until the DSN, and in all; ``run`` is its time a test."""

    paid: tuple[tuple[float, float], ...]
    run: float


def measure(
    tables: Sequence[int], durable: Sequence[bool], workers: Sequence[int], seconds: float
) -> Iterator[list[Measured]]:
    """Every contender in one setting after the other; each for about so many ``seconds``."""
    for is_durable in durable:
        for count in tables:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write(folder, migrations=max(count, 20), tables=count)
                server = stack.enter_context(Server.start(durable=is_durable, max_connections=200))
                place = _prepared(server, folder, durable=is_durable)
                for many in workers:
                    yield _in_turns(place, Setting(count, is_durable, many), seconds)


def _in_turns(place: Place, setting: Setting, seconds: float) -> list[Measured]:
    """The contenders in turns, each time another first: what one leaves to the disk slows down the next."""
    contenders = present()
    shares: dict[str, list[Share]] = {each.name: [] for each in contenders}
    for turn in range(TURNS):
        first = turn * len(contenders) // TURNS
        for each in contenders[first:] + contenders[:first]:
            shares[each.name] += run(each, place, setting.workers, seconds / TURNS)
    paid = {name: [each for share in several for each in share.paid] for name, several in shares.items()}
    base = statistics.median(whole for _, whole in paid[BARE])
    found = []
    for name, times in paid.items():
        wait, whole = (statistics.median(part) for part in zip(*times, strict=True))
        run_each = statistics.mean(share.run for share in shares[name])
        p99 = _p99([each for _, each in times])
        found.append(Measured(setting, name, len(times), wait, whole, p99, run_each, whole / base))
    return found


def run(contender: Contender, place: Place, workers: int, seconds: float) -> list[Share]:
    """The shares of so many workers, which begin together."""
    context = multiprocessing.get_context("fork")
    start, found = context.Barrier(workers), context.Queue()
    processes = [
        context.Process(target=_work, args=(contender.name, place, seconds, start, found))
        for _ in range(workers)
    ]
    for process in processes:
        process.start()
    answers = [found.get() for _ in processes]
    for process in processes:
        process.join()
    for answer in answers:
        if isinstance(answer, str):
            raise RuntimeError(f"{contender.name}: {answer}")  # noqa: TRY004  what another process raised
    return answers


def _work(name: str, place: Place, seconds: float, start: Any, found: Any) -> None:
    """One worker: tests until its time is over, a few at least; sends its share."""
    contender = CONTENDERS[name]
    write = ("SELECT 1" if contender.empty else place.write).encode()
    paid: list[tuple[float, float]] = []
    try:
        with contender.opened(place) as test:
            start.wait()
            started = time.perf_counter()
            while len(paid) < LEAST or time.perf_counter() < started + seconds:
                began = time.perf_counter()
                with test() as dsn:
                    given = time.perf_counter()
                    with psycopg.connect(dsn) as connection:
                        connection.execute(write)
                    ready = time.perf_counter()
                    time.sleep(contender.work)
                    done = time.perf_counter()
                whole = ready - began + time.perf_counter() - done
                paid.append(((given - began) * 1000, whole * 1000))
        each = (time.perf_counter() - started) / len(paid) - contender.work
    except BaseException as error:
        start.abort()
        found.put(repr(error))
        raise
    found.put(Share(tuple(paid[1:]), each * 1000))  # the first warms up


def _p99(times: list[float]) -> float:
    return sorted(times)[min(len(times) - 1, round(0.99 * len(times)))]


def _prepared(server: Server, folder: Path, *, durable: bool) -> Place:
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
            for _ in range(1 if durable else 6):  # each way to copy is timed twice, then the best is known
                databases.database(*wanted).close()
        with databases.database(*chosen) as database, database.connect(autocommit=True) as connection:
            statement = _write(connection)
    return Place(dsn, str(folder), chosen, durable, statement)


def _write(connection: psycopg.Connection[Any]) -> str:
    """A statement that writes a row to a table that has none, in the columns that need a value."""
    wanted = connection.execute(
        "SELECT attrelid::regclass::text, array_agg(quote_ident(attname) ORDER BY attnum),"
        " array_agg(atttypid::regtype::text ORDER BY attnum)"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND pg_relation_size(c.oid) = 0"
        " AND attnotnull AND NOT atthasdef GROUP BY attrelid ORDER BY 1"
    ).fetchall()
    for name, columns, types in wanted:
        values = ", ".join(_SOME.get(each, "'1'") for each in types)
        statement = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({values})"  # noqa: S608  our own
        with contextlib.suppress(psycopg.errors.IntegrityError):
            connection.execute(statement.encode())
            return statement
    raise RuntimeError("no table of the slice takes a row")


def _slice_of(project: Project) -> tuple[str, ...]:
    """Tables whose slice has as many tables as we want, or nearly."""
    from pgslate.trace.effects import relations

    units = project.trace.units
    names = [units[unit].name for unit in relations(project.trace) if units[unit].kind == "table"]

    def size(name: str) -> int:
        chosen = project.slice(name, form="objects")
        return sum(units[unit].kind == "table" for unit in chosen.required)

    sizes = {name: size(name) for name in names[:80]}
    return (min(sizes, key=lambda name: abs(sizes[name] - SLICE)),)
