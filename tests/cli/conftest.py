"""A small project to run verbs in, and ``run``, which does it in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pgslate import cli

MIGRATIONS = {
    "001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);\n",
    "002_teams.sql": "CREATE TABLE teams (id bigint PRIMARY KEY);\n",
    "003_events.sql": (
        "CREATE TABLE events (at date NOT NULL, by bigint REFERENCES users) PARTITION BY RANGE (at);\n"
        "CREATE INDEX idx_events_by ON events (by);\n"
    ),
}

CONFIG = """\
catalog = "db"

[bundles]
people = ["users", "teams"]

[contracts.audit]
tables = ["events"]
indexes = ["idx_events_by"]

[partitions.events]
every = "month"
behind = 0
ahead = 1
"""


@dataclass(frozen=True)
class Ran:
    """What a command line printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ``pgslate.toml`` and three migrations, as the working directory."""
    (tmp_path / "db").mkdir()
    for name, sql in MIGRATIONS.items():
        (tmp_path / "db" / name).write_text(sql)
    (tmp_path / "pgslate.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    for name in ("PGSLATE_DSN", "PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("plan", "users")`` is the command line ``pgslate plan users``."""

    def ran(*args: str) -> Ran:
        status = cli.main(args)
        out, err = capfd.readouterr()
        return Ran(status, out, err)

    return ran
