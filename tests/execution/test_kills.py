"""``kill -9`` at random points: running again always ends with a verified database.

PGSLATE_KILLS sets how many kills (200; with PGSLATE_LONG 1000), PGSLATE_KILL_SEED which points (1).
"""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest
from tests.execution.looking import ledger, rows
from tests.execution.victim import load

from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply
from pgslate.verbs.status import status
from pgslate.verbs.verify import verify

ROOT = Path(__file__).parents[2]
DATASTORAGE = ROOT / "datastorage" / "src" / "datastorage" / "migrations"
KILLS = int(os.environ.get("PGSLATE_KILLS", "1000" if os.environ.get("PGSLATE_LONG") else "200"))
SEED = int(os.environ.get("PGSLATE_KILL_SEED", "1"))


class Victims:
    """Runs that can be killed, one at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._say: IO[str] = process.stdin
        self._hear: IO[str] = process.stdout
        assert self._hear.readline() == "ready\n"

    def run(self, dsn: str, *, kill_after: float | None = None) -> int:
        """One run's exit status; minus 9 where it was killed, so many seconds after it began."""
        self._say.write(dsn + "\n")
        self._say.flush()
        child = int(self._hear.readline())
        if kill_after is not None:
            ended, _, _ = select.select([self._hear], [], [], kill_after)
            if not ended:
                with suppress(ProcessLookupError):  # it came to its end just now
                    os.kill(child, signal.SIGKILL)
        return int(self._hear.readline())


@contextmanager
def victims(folder: Path, *tables: str) -> Iterator[Victims]:
    command = [
        sys.executable,
        "-m",
        "tests.execution.victim",
        str(folder),
        *([",".join(tables)] if tables else []),
    ]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
    ) as process:
        yield Victims(process)
        assert process.stdin is not None
        process.stdin.close()


@contextmanager
def empty_database(server: Server, name: str) -> Iterator[Target]:
    with server.create_database(name) as target:
        yield target
    server.drop_database(name)


def kill_often(server: Server, slice_: Slice, killed: Victims, kills: int, name: str) -> int:
    """Kill so many runs; each database is killed in until a run gets through, which then must be verified.

    Gives back how many of the kills found the database part of the way.
    """
    points = random.Random(SEED)  # noqa: S311  no secret
    with empty_database(server, f"{name}_whole") as target:
        began = time.monotonic()
        assert killed.run(target.dsn) == 0
        whole_run = time.monotonic() - began
    partly = done = number = 0
    while done < kills:
        number += 1
        with empty_database(server, f"{name}_{number}") as target:
            while done < kills:
                ended = killed.run(target.dsn, kill_after=points.uniform(0, whole_run))
                if ended == 0:
                    break
                assert ended == -signal.SIGKILL
                done += 1
                partly += 0 < len(ledger(target)) < len(slice_.files)
            apply(slice_, target, lock_timeout=20)
            assert_whole(slice_, target)
    return partly


def assert_whole(slice_: Slice, target: Target) -> None:
    assert verify(slice_, target).differences == ()
    stands = status(slice_, target)
    assert [row.version for row in stands.applied] == [m.version for m in slice_.files]
    assert stands.is_clean
    assert apply(slice_, target).nothing_to_do


def test_killed_runs_of_the_audit_slice_leave_all_or_nothing(server: Server) -> None:
    slice_ = load(DATASTORAGE, ("audit_events",))
    with victims(DATASTORAGE, "audit_events") as killed:
        partly = kill_often(server, slice_, killed, KILLS * 14 // 20, "kills_audit")
    assert partly == 0  # it is one transaction


def test_killed_runs_of_the_whole_catalog_go_on_from_there(server: Server) -> None:
    slice_ = load(DATASTORAGE, ())
    with victims(DATASTORAGE) as killed:
        partly = kill_often(server, slice_, killed, KILLS * 3 // 20, "kills_whole")
    assert partly > 0


@pytest.fixture
def concurrent_catalog(tmp_path: Path) -> Path:
    """Many indexes built concurrently, on a table that makes each take some milliseconds."""
    folder = tmp_path / "concurrent"
    folder.mkdir()
    (folder / "001_a.sql").write_text(
        "CREATE TABLE a AS SELECT i, i AS j FROM generate_series(1, 20000) i;\n"
    )
    built = "".join(f"CREATE INDEX CONCURRENTLY i{n} ON a (i, (j + {n}));\n" for n in range(6))
    (folder / "002_indexes.sql").write_text(
        built + "DROP INDEX CONCURRENTLY i0;\nCREATE INDEX CONCURRENTLY ON a (j);\n"
    )
    (folder / "003_again.sql").write_text(
        "REINDEX INDEX CONCURRENTLY i1;\nCREATE TABLE b(i int);\nVACUUM a;\n"
    )
    return folder


def test_killed_builds_of_indexes_leave_none_invalid_and_none_twice(
    server: Server, concurrent_catalog: Path
) -> None:
    slice_ = load(concurrent_catalog, ())
    with victims(concurrent_catalog) as killed:
        partly = kill_often(server, slice_, killed, KILLS * 3 // 20, "kills_indexes")
    assert partly > 0


def test_a_run_that_is_not_killed_leaves_its_indexes(server: Server, concurrent_catalog: Path) -> None:
    slice_ = load(concurrent_catalog, ())
    with empty_database(server, "kills_none") as target:
        apply(slice_, target)
        query = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'a'::regclass ORDER BY 1"
        assert [name for (name,) in rows(target, query)] == ["a_j_idx", "i1", "i2", "i3", "i4", "i5"]
