"""The catalogs of this folder are recognised, and PostgreSQL takes them as their tools would send them."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import psycopg
import pytest
from tests.catalogs.samples import Sample

from pgslate.catalog import session
from pgslate.catalog.statements import Statement
from pgslate.targets.target import Target


def run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    if statement.data is None:
        connection.execute(statement.text.encode())
        return
    with connection.cursor().copy(statement.text.encode()) as copy:
        copy.write(statement.data)


def test_each_is_recognised_by_looking(sample: Sample) -> None:
    assert sample.catalog().format == sample.format


def test_each_has_a_history_worth_slicing(sample: Sample) -> None:
    assert 8 <= len(sample.catalog().parse()) <= 24


def test_each_can_be_applied_on_every_version(sample: Sample, any_database: Target) -> None:
    with any_database.connect(autocommit=True) as connection:
        offered = connection.execute("SELECT name FROM pg_catalog.pg_available_extensions").fetchall()
        if missing := set(sample.extensions) - {name for (name,) in offered}:
            pytest.skip(f"this server has no {', '.join(sorted(missing))}")
        connection.execute(sample.prelude.encode())
        for migration in sample.catalog():
            for block in migration.blocks:
                with connection.transaction() if block.transactional else nullcontext():
                    for statement in block.statements:
                        run(connection, statement)
            connection.execute(session.RESET.encode())
