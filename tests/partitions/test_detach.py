"""Partitions are detached beside traffic, and an interrupted detaching is finished."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pgslate.errors import LockTimeoutError, UsageError
from pgslate.partitions.detach import detach, finish_detaching
from pgslate.partitions.ensure import ensure, survey
from pgslate.partitions.existing import list_partitions
from pgslate.partitions.policy import PartitionPolicy
from pgslate.targets.target import Target

Connection = psycopg.Connection[Any]
DECEMBER = datetime(2025, 12, 10, tzinfo=UTC)
MONTHLY = PartitionPolicy.parse("events", {"every": "month", "ahead": 1})


@pytest.fixture
def connection(database: Target) -> Iterator[Connection]:
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE events (day date) PARTITION BY RANGE (day)")
        ensure(connection, MONTHLY, as_of=DECEMBER)
        yield connection


def interrupt_a_detaching(database: Target, connection: Connection, partition: bytes) -> None:
    """Leave a partition half detached: a reader holds it up, and the wait is cancelled."""
    with database.connect() as reader:
        reader.execute("SELECT FROM events")
        connection.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            connection.execute(b"ALTER TABLE events DETACH PARTITION %s CONCURRENTLY" % partition)
        connection.execute("RESET lock_timeout")


def test_a_partition_is_detached_and_stays_as_a_table(database: Target, connection: Connection) -> None:
    detach(database, "events", "events_y2025m12")
    assert [each.name for each in list_partitions(connection, "events").partitions] == ["events_y2026m01"]
    assert connection.execute("SELECT to_regclass('events_y2025m12') IS NOT NULL").fetchone() == (True,)


def test_beside_a_default_partition_it_is_detached_plainly(database: Target, connection: Connection) -> None:
    connection.execute("CREATE TABLE rest PARTITION OF events DEFAULT")
    detach(database, "events", "public.events_y2026m01")
    assert [each.name for each in list_partitions(connection, "events").partitions] == [
        "events_y2025m12",
        "rest",
    ]


def test_an_interrupted_detaching_is_seen_and_finished(database: Target, connection: Connection) -> None:
    interrupt_a_detaching(database, connection, b"events_y2025m12")
    (half,) = list_partitions(connection, "events").detaching
    assert half.name == "events_y2025m12"
    assert not survey(connection, MONTHLY, as_of=DECEMBER).ok
    assert finish_detaching(connection, "events") == ("public.events_y2025m12",)
    assert not list_partitions(connection, "events").detaching


def test_ensure_finishes_an_interrupted_detaching_before_it_makes_partitions(
    database: Target, connection: Connection
) -> None:
    interrupt_a_detaching(database, connection, b"events_y2025m12")
    connection.execute("ALTER TABLE events_y2025m12 RENAME TO old_december")
    done = ensure(connection, MONTHLY, as_of=DECEMBER)
    assert done.finished == ("public.old_december",)
    assert done.made == ("public.events_y2025m12",)


def test_a_reader_that_does_not_let_go_is_told_and_running_again_goes_on(
    database: Target, connection: Connection
) -> None:
    with database.connect() as reader:
        reader.execute("SELECT FROM events")
        with pytest.raises(LockTimeoutError, match=r"within 0\.1 s"):
            detach(database, "events", "events_y2025m12", timeout=0.1)
    detach(database, "events", "events_y2025m12")
    assert [each.name for each in list_partitions(connection, "events").partitions] == ["events_y2026m01"]


def test_a_partition_that_is_not_there_is_told_with_those_that_are(
    database: Target, connection: Connection
) -> None:
    with pytest.raises(UsageError) as raised:
        detach(database, "events", "events_y2020m01")
    assert "events_y2025m12, events_y2026m01" in raised.value.fix
