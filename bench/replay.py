"""Replay of whole catalogs: pgslate against one psycopg session that sends the same files, and other tools.

    python bench/replay.py                  # the Data Storage catalog, and a generated one
    python bench/replay.py --rounds 9 --durable

All take turns on one server, each on an empty database; a ratio is the median of a tool's rounds by the
median of the session's. pgslate's time includes its connections, the ledger and the lock; verified, also the
verification, which the others don't do. A tool that isn't installed is left out: psql, dbmate, alembic (with
psycopg2) and yoyo are looked for on the PATH, or in --tools.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.generate import write

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.execution.progress import Silent
from pgslate.slices.slice import whole
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.trace_cache import trace_of
from pgslate.verbs.apply import apply

DATASTORAGE = Path(__file__).parents[1] / "datastorage" / "src" / "datastorage" / "migrations"
SESSION, PGSLATE, VERIFIED = "psycopg session", "pgslate", "pgslate, verified"
BUDGET = 1.15

Replay = Callable[[Target], float | None]
"""Replays into an empty database; gives the moment (perf_counter) at which it was done, None for now."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A tool's replay of a catalog: seconds (median), and how many times the session's that is."""

    catalog: str
    tool: str
    seconds: float
    ratio: float

    def __str__(self) -> str:
        budget = f"  (budget: {BUDGET})" if self.tool == PGSLATE else ""
        return f"{self.catalog:24} {self.tool:18} {self.seconds * 1000:8.0f} ms {self.ratio:6.2f} x{budget}"


class Finish(Silent):
    """When the last migration was committed; what comes after it is the verification."""

    at = 0.0

    def committed(self, steps: int) -> None:
        self.at = time.perf_counter()


def measure(
    folder: Path, name: str, server: Server, *, rounds: int, tools: Path | None = None
) -> list[Measured]:
    """Every tool's replay of a folder's catalog: ``rounds`` times in turns, after one that doesn't count."""
    catalog = Catalog.load(folder).parse()
    with tempfile.TemporaryDirectory() as scratch:
        replays = dict(_replays(catalog, Path(scratch), tools))
        took: dict[str, list[float]] = {tool: [] for tool in replays}
        for number in range(rounds + 1):
            for tool, replay in replays.items():
                if number > 1 and tool not in (SESSION, PGSLATE, VERIFIED):
                    continue  # far from a budget, and slow: once is enough
                with _empty(server, "bench_replay") as target:
                    began = time.perf_counter()
                    done = replay(target) or time.perf_counter()
                    if number:
                        took[tool].append(done - began)
    medians = {tool: statistics.median(seconds) for tool, seconds in took.items()}
    return [Measured(name, tool, median, median / medians[SESSION]) for tool, median in medians.items()]


def _replays(catalog: Catalog, scratch: Path, tools: Path | None) -> Iterator[tuple[str, Replay]]:
    messages = [message.encode() for migration in catalog for message in _messages(migration)]
    slice_ = whole(catalog, trace_of(catalog))

    def session(target: Target) -> None:
        with target.connect(autocommit=True) as connection:
            for message in messages:
                connection.execute(message)

    def pgslate(target: Target) -> float:
        progress = Finish()
        apply(slice_, target, progress=progress)
        return progress.at

    def verified(target: Target) -> None:
        apply(slice_, target)

    yield SESSION, session
    yield PGSLATE, pgslate
    yield VERIFIED, verified
    path = os.pathsep.join(filter(None, [str(tools) if tools else "", os.environ["PATH"]]))
    for tool, make in (("psql", _psql), ("dbmate", _dbmate), ("alembic", _alembic), ("yoyo", _yoyo)):
        program = shutil.which(tool, path=path)
        if program:
            folder = scratch / tool
            folder.mkdir()
            yield f"{tool}, per file" if tool == "psql" else tool, make(program, catalog, folder)


def _messages(migration: Migration) -> list[str]:
    """What has to be sent: the file at once, or its parts where a statement of it allows no transaction."""
    if len(migration.blocks) == 1:
        return [migration.source]
    return [";\n".join(statement.text for statement in block.statements) for block in migration.blocks]


def _psql(program: str, catalog: Catalog, folder: Path) -> Replay:
    command = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    files = []
    for migration in catalog:
        file = folder / Path(migration.file).name
        file.write_text(migration.source)
        files.append(["-1" if len(migration.blocks) == 1 else "-q", "-f", str(file)])

    def replay(target: Target) -> None:
        for file in files:
            _run([*command, "-d", target.dsn, *file], folder)

    return replay


def _dbmate(program: str, catalog: Catalog, folder: Path) -> Replay:
    for number, migration in enumerate(catalog, start=1):
        parts = _messages(migration)
        option = " transaction:false" if len(parts) > 1 else ""
        for part_number, part in enumerate(parts):
            file = folder / f"{number:05}{part_number:03}_x.sql"
            file.write_text(f"-- migrate:up{option}\n{part}\n-- migrate:down\n")

    def replay(target: Target) -> None:
        _run([program, "--url", target.dsn, "-d", str(folder), "--no-dump-schema", "up"], folder)

    return replay


_ALEMBIC_ENVIRONMENT = """
import os
from alembic import context
from sqlalchemy import create_engine
engine = create_engine(os.environ["BENCH_DSN"].replace("postgresql:", "postgresql+psycopg2:"))
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_REVISION = """
from alembic import op
revision, down_revision = {revision!r}, {before!r}
def upgrade():
    texts = [text.replace("%", "%%") for text in {texts!r}]
    if len(texts) == 1:
        op.get_bind().exec_driver_sql(texts[0])
    else:
        with op.get_context().autocommit_block():
            for text in texts:
                op.get_bind().exec_driver_sql(text)
"""


def _alembic(program: str, catalog: Catalog, folder: Path) -> Replay:
    (folder / "versions").mkdir()
    (folder / "env.py").write_text(_ALEMBIC_ENVIRONMENT)
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = {folder}\n")
    before: str | None = None
    for number, migration in enumerate(catalog, start=1):
        revision = f"r{number:05}"
        text = _ALEMBIC_REVISION.format(revision=revision, before=before, texts=_messages(migration))
        (folder / "versions" / f"{revision}.py").write_text(text)
        before = revision

    def replay(target: Target) -> None:
        command = [program, "-c", str(folder / "alembic.ini"), "upgrade", "head"]
        _run(command, folder, BENCH_DSN=target.dsn)

    return replay


_YOYO_MIGRATION = """
from yoyo import step
__depends__ = {depends!r}
__transactional__ = {transactional}
steps = [step(text) for text in {texts!r}]
"""


def _yoyo(program: str, catalog: Catalog, folder: Path) -> Replay:
    depends: list[str] = []
    for number, migration in enumerate(catalog, start=1):
        texts = _messages(migration)
        text = _YOYO_MIGRATION.format(depends=depends, transactional=len(texts) == 1, texts=texts)
        (folder / f"m{number:05}.py").write_text(text)
        depends = [f"m{number:05}"]

    def replay(target: Target) -> None:
        url = target.dsn.partition("?")[0].replace("postgresql:", "postgresql+psycopg:")
        _run([program, "apply", "--batch", "--no-config-file", "-d", url, str(folder)], folder)

    return replay


def _run(command: list[str], folder: Path, **environment: str) -> None:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{(done.stderr or done.stdout)[-2000:]}")


@contextmanager
def _empty(server: Server, name: str) -> Iterator[Target]:
    with server.create_database(name) as target:
        yield target
    server.drop_database(name)


def main() -> None:
    """Print each tool's ratio on a line, for both catalogs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--migrations", type=int, default=400)
    parser.add_argument("--tables", type=int, default=250)
    parser.add_argument("--durable", action="store_true", help="a server that syncs every commit to the disk")
    parser.add_argument("--tools", type=Path, help="a folder with the tools' programs")
    asked = parser.parse_args()
    with Server.start(major=18, extensions=["vector"], durable=asked.durable) as server:
        for line in measure(DATASTORAGE, "datastorage", server, rounds=asked.rounds, tools=asked.tools):
            print(line, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "generated", asked.migrations, asked.tables)
            name = f"generated {asked.migrations}/{asked.tables}"
            path = Path(folder) / "generated"
            for line in measure(path, name, server, rounds=asked.rounds, tools=asked.tools):
                print(line, flush=True)


if __name__ == "__main__":
    main()
