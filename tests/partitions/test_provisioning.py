"""A policy reaches its table however the table is named."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pgslate.project.project import Project
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply

MIGRATION = """CREATE SCHEMA app;
CREATE TABLE app."Events" (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE "Events" (id int);
"""


@pytest.mark.parametrize("table", ["app.Events", "Events"])
def test_a_policy_of_a_table_that_needs_quotes_makes_its_partitions(
    tmp_path: Path, database: Target, table: str
) -> None:
    (tmp_path / "migrations").mkdir()
    migration = MIGRATION if "." in table else MIGRATION.replace('CREATE TABLE "Events" (id int);', "")
    (tmp_path / "migrations" / "1_events.sql").write_text(migration)
    (tmp_path / "pgslate.toml").write_text(
        f'catalog = "migrations"\n[partitions."{table}"]\nevery = "year"\nname = "{{table}}_{{year}}"\n'
    )
    project = Project.open(start=tmp_path)
    chosen = project.slice("app.Events")
    done = apply(chosen, database, as_of=datetime(2031, 5, 1, tzinfo=UTC))
    assert done.partitions == ('app."Events_2031"', 'app."Events_2032"')
