"""Partitions are made where they are missing, once, beside other runners and beside traffic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from pgslate.errors import LockTimeoutError, PartitionBlockedError, UnknownTableError, UsageError
from pgslate.partitions.ensure import ensure, survey
from pgslate.partitions.existing import list_partitions
from pgslate.partitions.policy import PartitionPolicy
from pgslate.schema import Schema
from pgslate.schema.compare import compare
from pgslate.schema.read import read
from pgslate.targets.target import Target

Connection = psycopg.Connection[Any]

DECEMBER = datetime(2025, 12, 10, tzinfo=UTC)
MONTHLY = PartitionPolicy.parse("events", {"every": "month", "ahead": 1})
WITH_DEFAULT = PartitionPolicy.parse("events", {"every": "month", "ahead": 1, "default": True})

EVENTS = """
CREATE TABLE kinds (kind text PRIMARY KEY);
CREATE TABLE events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    day date NOT NULL,
    kind text REFERENCES kinds,
    parent bigint,
    parent_day date,
    size integer DEFAULT 1 CHECK (size > 0),
    PRIMARY KEY (id, day),
    FOREIGN KEY (parent, parent_day) REFERENCES events (id, day)
) PARTITION BY RANGE (day);
CREATE INDEX events_kind ON events (kind, day DESC);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER noted BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note();
COMMENT ON COLUMN events.kind IS 'what';
CREATE STATISTICS events_stats ON kind, size FROM events;
"""


@pytest.fixture
def connection(database: Target) -> Iterator[Connection]:
    with database.connect(autocommit=True) as connection:
        connection.execute(EVENTS.encode())
        yield connection


def months(connection: Connection) -> list[str]:
    return [each.name for each in list_partitions(connection, "events").partitions]


def test_missing_partitions_are_made_and_a_second_run_makes_nothing(connection: Connection) -> None:
    first = ensure(connection, MONTHLY, as_of=DECEMBER)
    assert first.made == ("public.events_y2025m12", "public.events_y2026m01")
    assert first.survey.ok
    second = ensure(connection, MONTHLY, as_of=DECEMBER)
    assert second.made == ()
    assert months(connection) == ["events_y2025m12", "events_y2026m01"]


def test_without_as_of_the_servers_clock_decides(connection: Connection) -> None:
    now = connection.execute("SELECT now() AT TIME ZONE 'UTC'").fetchone()
    assert now
    assert ensure(connection, MONTHLY).made[0] == f"public.events_y{now[0].year}m{now[0].month:02}"


def test_a_partition_that_is_asked_for_by_name_is_made_besides(connection: Connection) -> None:
    done = ensure(connection, MONTHLY, as_of=DECEMBER, also=["events_y2024m02"])
    assert done.made[0] == "public.events_y2024m02"
    (leap, *_) = list_partitions(connection, "events").partitions
    assert leap.bound == "FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')"


def test_a_name_that_the_policy_would_not_give_is_refused(connection: Connection) -> None:
    with pytest.raises(UsageError, match="events_2024_02 is no partition"):
        ensure(connection, MONTHLY, as_of=DECEMBER, also=["events_2024_02"])


def test_coverage_is_a_matter_of_bounds_not_of_names(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE whole PARTITION OF events FOR VALUES FROM ('2025-11-15') TO ('2026-01-16')"
    )
    connection.execute("CREATE TABLE tail PARTITION OF events FOR VALUES FROM ('2026-01-16') TO (MAXVALUE)")
    found = survey(connection, MONTHLY, as_of=DECEMBER)
    assert found.ok
    assert [each.by for each in found.windows] == [("public.whole",), ("public.whole", "public.tail")]
    assert [each.name for each in found.off_grid] == ["whole", "tail"]
    assert ensure(connection, MONTHLY, as_of=DECEMBER).made == ()


def test_a_partition_that_overlaps_in_part_is_named_as_the_blocker(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE half PARTITION OF events FOR VALUES FROM ('2025-12-01') TO ('2025-12-16')"
    )
    with pytest.raises(PartitionBlockedError, match=r"public\.half") as raised:
        ensure(connection, MONTHLY, as_of=DECEMBER)
    assert raised.value.blockers == ("public.half",)
    assert months(connection) == ["half"]


def test_rows_in_the_default_partition_are_named_as_the_blocker(connection: Connection) -> None:
    connection.execute("CREATE TABLE rest PARTITION OF events DEFAULT")
    connection.execute("INSERT INTO events (day) VALUES ('2026-01-05'), ('2026-01-06'), ('2031-01-01')")
    with pytest.raises(PartitionBlockedError, match=r"public\.rest has 2 rows of \[2026-01-01") as raised:
        ensure(connection, MONTHLY, as_of=DECEMBER)
    assert raised.value.blockers == ("public.rest",)
    assert months(connection) == ["rest"]


def test_a_name_that_something_else_has_is_named_as_the_blocker(connection: Connection) -> None:
    connection.execute("CREATE TABLE events_y2026m01 (a int)")
    with pytest.raises(PartitionBlockedError, match="something else of that name"):
        ensure(connection, MONTHLY, as_of=DECEMBER)
    assert months(connection) == []


def test_a_default_partition_is_made_where_the_policy_wants_one(connection: Connection) -> None:
    done = ensure(connection, WITH_DEFAULT, as_of=DECEMBER)
    assert done.made[-1] == "public.events_default"
    assert list_partitions(connection, "events").default
    assert ensure(connection, WITH_DEFAULT, as_of=datetime(2026, 1, 2, tzinfo=UTC)).made == (
        "public.events_y2026m02",
    )


def test_sixteen_runners_at_once_make_each_partition_once(database: Target, connection: Connection) -> None:
    def run(_: int) -> tuple[str, ...]:
        with database.connect(autocommit=True) as own:
            return ensure(own, MONTHLY, as_of=DECEMBER).made

    with ThreadPoolExecutor(16) as pool:
        made = [each for each in pool.map(run, range(16)) if each]
    assert made == [("public.events_y2025m12", "public.events_y2026m01")]


def test_it_works_in_the_callers_transaction_and_goes_with_it(connection: Connection) -> None:
    connection.execute("SET lock_timeout = '7s'")
    with connection.transaction(force_rollback=True):
        assert len(ensure(connection, MONTHLY, as_of=DECEMBER).made) == 2
        assert connection.execute("SHOW lock_timeout").fetchone() == ("7s",)
    assert months(connection) == []


def test_a_connection_without_autocommit_is_left_without_an_open_transaction(database: Target) -> None:
    with database.connect(autocommit=True) as other:
        other.execute(EVENTS.encode())
    with database.connect() as connection:
        ensure(connection, MONTHLY, as_of=DECEMBER)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        with database.connect(autocommit=True) as other:
            assert len(months(other)) == 2


def definitions(connection: Connection, name: str) -> Schema:
    return read(connection, within=[("table", f"public.{name}")])


@pytest.mark.parametrize("replica_identity", ["FULL", "NOTHING", "USING INDEX events_pkey", "DEFAULT"])
def test_a_partition_made_beside_traffic_is_like_one_made_in_quiet(
    any_database: Target, replica_identity: str
) -> None:
    with any_database.connect(autocommit=True) as connection, any_database.connect() as reader:
        connection.execute(EVENTS.encode())
        connection.execute(f"ALTER TABLE events REPLICA IDENTITY {replica_identity}".encode())
        connection.execute("ALTER TABLE events ENABLE ROW LEVEL SECURITY")
        connection.execute("GRANT SELECT, INSERT ON events TO pg_monitor WITH GRANT OPTION")
        connection.execute("GRANT UPDATE (kind) ON events TO PUBLIC")
        ensure(connection, PartitionPolicy.parse("events", {"every": "month", "ahead": 0}), as_of=DECEMBER)
        reader.execute("SELECT FROM events")
        done = ensure(connection, MONTHLY, as_of=DECEMBER)
        assert done.made == ("public.events_y2026m01",)
        quiet, busy = definitions(connection, "events_y2025m12"), definitions(connection, "events_y2026m01")
        renamed = Schema.loads(
            busy.dumps()
            .replace("y2026m01", "y2025m12")
            .replace("FROM ('2026-01-01') TO ('2026-02-01')", "FROM ('2025-12-01') TO ('2026-01-01')")
        )
        assert compare(quiet, renamed) == ()
        table = quiet.get("table", "public.events_y2025m12")
        assert table
        assert table.get("row_security") is True
        assert table.get("acl") == ("+pg_monitor=INSERT*,SELECT*",)


def test_a_writer_that_holds_the_table_is_named_when_time_is_up(
    database: Target, connection: Connection
) -> None:
    with database.connect(application_name="slow writer") as writer:
        writer.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        with pytest.raises(LockTimeoutError, match="slow writer"):
            ensure(connection, MONTHLY, as_of=DECEMBER, timeout=0.1)
    assert months(connection) == []


def test_partitions_are_made_as_soon_as_the_writer_is_done(database: Target, connection: Connection) -> None:
    with database.connect() as writer, database.connect(autocommit=True) as own:
        writer.execute("LOCK TABLE events IN ROW EXCLUSIVE MODE")
        made: list[tuple[str, ...]] = []
        runner = threading.Thread(target=lambda: made.append(ensure(own, MONTHLY, as_of=DECEMBER).made))
        runner.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass"
        while connection.execute(waiting).fetchone() == (0,):
            pass
        writer.commit()
        runner.join()
    assert len(made[0]) == 2


@pytest.mark.parametrize("key_type", ["date", "timestamp", "timestamptz"])
def test_bounds_are_midnight_utc_whatever_the_session_says(any_database: Target, key_type: str) -> None:
    with any_database.connect(autocommit=True) as connection:
        connection.execute(f"CREATE TABLE events (at {key_type}, n int) PARTITION BY RANGE (at, n)".encode())
        connection.execute("SET timezone = 'Pacific/Auckland'; SET datestyle = 'SQL, DMY'")
        ensure(connection, MONTHLY, as_of=DECEMBER)
        found = list_partitions(connection, "events")
        assert connection.execute("SHOW datestyle").fetchone() == ("SQL, DMY",)
    assert found.partitions[0].lower == datetime(2025, 12, 1, tzinfo=UTC)
    assert found.partitions[0].upper == datetime(2026, 1, 1, tzinfo=UTC)
    assert survey_is_ok(found.partitions[1].bound)


def survey_is_ok(bound: str) -> bool:
    return bound.startswith("FOR VALUES FROM ('2026-01-01") and "MINVALUE) TO ('2026-02-01" in bound


def test_an_expression_as_key_is_understood(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE logs (at timestamptz) PARTITION BY RANGE (((at AT TIME ZONE 'UTC')::date))"
    )
    policy = PartitionPolicy.parse("logs", {"every": "day", "ahead": 0, "default": True})
    made = ensure(connection, policy, as_of=DECEMBER).made
    assert made == ("public.logs_y2025m12d10", "public.logs_default")
    connection.execute("INSERT INTO logs VALUES ('2025-12-11 12:00+00')")
    with pytest.raises(PartitionBlockedError, match="logs_default"):
        ensure(connection, policy, as_of=datetime(2025, 12, 11, tzinfo=UTC))


def test_a_table_of_a_quoted_schema_and_name_is_found(connection: Connection) -> None:
    connection.execute('CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."Eve""nts" (d date) PARTITION BY RANGE (d)')
    policy = PartitionPolicy.parse('Odd.Eve"nts', {"every": "year", "ahead": 0})
    assert ensure(connection, policy, as_of=DECEMBER).made == ('"Odd"."Eve""nts_y2025"',)


def test_a_bare_name_that_two_schemas_have_is_refused(connection: Connection) -> None:
    for schema in (b"one", b"two"):
        connection.execute(
            b"CREATE SCHEMA %s; CREATE TABLE %s.logs (d date) PARTITION BY RANGE (d)" % (schema, schema)
        )
    with pytest.raises(UsageError, match=r"one\.logs, two\.logs"):
        list_partitions(connection, "logs")
    connection.execute("SET search_path = two")
    assert list_partitions(connection, "logs").schema == "two"


def test_what_is_no_table_of_time_is_told(connection: Connection) -> None:
    connection.execute("CREATE TABLE by_list (a date) PARTITION BY LIST (a)")
    connection.execute("CREATE TABLE by_number (a int) PARTITION BY RANGE (a)")
    with pytest.raises(UsageError, match="by list"):
        list_partitions(connection, "by_list")
    with pytest.raises(UsageError, match="by a range of integer"):
        list_partitions(connection, "by_number")
    with pytest.raises(UsageError, match="kinds is not partitioned"):
        list_partitions(connection, "kinds")
    with pytest.raises(UnknownTableError):
        list_partitions(connection, "nothing")
