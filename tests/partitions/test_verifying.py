"""Verify compares the required objects and the partitions of the policies, and says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pgslate.execution.verification import compare_database, tables_missing_in
from pgslate.partitions.ensure import ensure
from pgslate.partitions.policy import PartitionPolicy
from pgslate.schema import Schema
from pgslate.schema.model import Name
from pgslate.schema.read import read
from pgslate.targets.target import Target
from pgslate.verbs.verify import VerifyResult

Connection = psycopg.Connection[Any]

DECEMBER = datetime(2025, 12, 10, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 10, tzinfo=UTC)
MONTHLY = PartitionPolicy.parse("events", {"every": "month"})
REQUIRED: list[Name] = [
    ("table", "public.events"),
    ("table", "public.events_y2025m12"),
    ("table", "public.users"),
    ("schema", "public"),
]
MIGRATIONS = """
CREATE TABLE users (id bigserial PRIMARY KEY, name text NOT NULL);
CREATE TABLE events (day date NOT NULL, "user" bigint REFERENCES users) PARTITION BY RANGE (day);
CREATE INDEX events_day ON events (day);
CREATE TABLE events_y2025m12 PARTITION OF events FOR VALUES FROM ('2025-12-01') TO ('2026-01-01');
"""


@pytest.fixture
def connection(database: Target) -> Iterator[Connection]:
    with database.connect(autocommit=True) as connection:
        connection.execute(MIGRATIONS.encode())
        ensure(connection, MONTHLY, as_of=DECEMBER)
        yield connection


@pytest.fixture
def expected(connection: Connection) -> Schema:
    """What the migrations alone make, as a trace knows it."""
    return read(connection).without([("table", "public.events_y2026m01")])


def verified(expected: Schema, connection: Connection, as_of: datetime = DECEMBER) -> VerifyResult:
    return VerifyResult(compare_database(expected, connection, REQUIRED, [MONTHLY], as_of).differences)


def test_a_database_with_policy_made_partitions_is_as_it_should_be(
    expected: Schema, connection: Connection
) -> None:
    ensure(connection, MONTHLY, as_of=FEBRUARY)
    result = verified(expected, connection, FEBRUARY)
    assert result.ok
    assert result.as_json() == {"ok": True, "differences": []}


def test_a_month_that_nobody_made_is_missing_with_its_fix(expected: Schema, connection: Connection) -> None:
    first, second = verified(expected, connection, FEBRUARY).differences
    assert first.object == "public.events_y2026m02"
    assert first.expected == "partition of public.events from 2026-02-01 to 2026-03-01"
    assert (first.found, first.fix) == ("missing", "pgslate partitions ensure --as-of 2026-02-01")
    assert second.object == "public.events_y2026m03"


def test_a_window_that_is_asked_for_besides_must_be_covered(expected: Schema, connection: Connection) -> None:
    window = MONTHLY.window_of("events_y2024m02")
    assert window
    result = compare_database(
        expected, connection, REQUIRED, [MONTHLY], DECEMBER, windows={"events": [window]}
    )
    assert tables_missing_in(result.differences) == ("public.events_y2024m02",)


def test_missing_tables_come_first(expected: Schema, connection: Connection) -> None:
    connection.execute(
        "ALTER TABLE users DROP COLUMN name; DROP INDEX events_day; DROP TABLE events_y2026m01"
    )
    connection.execute("DROP TABLE events_y2025m12")
    result = verified(expected, connection)
    assert result.missing_tables == ("public.events_y2025m12", "public.events_y2026m01")
    assert [each.object for each in result.differences[2:]] == ["public.events_day", "public.users.name"]


def test_a_missing_parent_is_said_once(expected: Schema, connection: Connection) -> None:
    connection.execute("DROP TABLE events")
    result = verified(expected, connection)
    assert [each.object for each in result.differences] == ["public.events", "public.events_y2025m12"]


def test_a_partition_of_the_migrations_that_is_missing_is_said_once(
    expected: Schema, connection: Connection
) -> None:
    connection.execute("DROP TABLE events_y2025m12")
    (difference,) = verified(expected, connection).differences
    assert difference.object == "public.events_y2025m12"


def test_a_partition_off_the_policys_grid_is_a_stray_one(expected: Schema, connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE odd PARTITION OF events FOR VALUES FROM ('2026-04-03') TO ('2026-04-09')"
    )
    (difference,) = verified(expected, connection).differences
    assert difference.object == "public.odd"
    assert "DETACH PARTITION public.odd" in difference.fix


def test_unrelated_tables_and_what_others_own_are_no_differences(
    expected: Schema, connection: Connection
) -> None:
    connection.execute("CREATE TABLE elsewhere (a int); ALTER TABLE users OWNER TO pg_monitor")
    assert verified(expected, connection).ok
    asked = compare_database(expected, connection, REQUIRED, owners="postgres").differences
    assert {each.object for each in asked} == {"public.users"}


def test_an_owned_sequence_that_lost_its_owner_is_found(expected: Schema, connection: Connection) -> None:
    connection.execute("ALTER SEQUENCE users_id_seq OWNED BY NONE")
    (difference,) = verified(expected, connection).differences
    assert (difference.object, difference.found) == ("public.users_id_seq", "no owned by")


def test_a_policy_for_a_table_that_is_not_required_is_passed_over(
    expected: Schema, connection: Connection
) -> None:
    other = PartitionPolicy.parse("nowhere", {"every": "day"})
    assert (
        compare_database(
            expected, connection, [("table", "public.users")], [other, MONTHLY], FEBRUARY
        ).differences
        == ()
    )
