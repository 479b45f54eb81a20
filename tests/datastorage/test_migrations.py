"""Every migration of the catalog goes up, and its Down brings back exactly what was there before."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import psycopg
import pytest
from tests.datastorage import goose

from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

FILES = goose.read_all()


def dump(server: Server, target: Target) -> list[str]:
    """The schema as pg_dump writes it, without comments and the tokens that differ from run to run."""
    program = server.installation.program("pg_dump")
    assert program is not None
    done = subprocess.run(
        [program, "--schema-only", "--dbname", target.dsn], capture_output=True, text=True, check=True
    )
    skipped = ("--", "\\restrict", "\\unrestrict")
    return [line for line in done.stdout.splitlines() if line and not line.startswith(skipped)]


def test_the_catalog_is_the_24_files_with_a_gap_and_1000_last() -> None:
    versions = [file.version for file in FILES]

    assert versions == [*range(1, 14), *range(15, 25), 1000]


@pytest.mark.parametrize("major", [15, 17, 18])
def test_every_down_brings_back_the_schema_before_its_up(
    major: int, server: Server, servers: Callable[[int], Server]
) -> None:
    # Only the wheel of 18 has pgvector; the others take what doesn't need it.
    host = server if major == 18 else servers(major)
    files = FILES if major == 18 else [file for file in FILES if not file.needs_vector()]
    name = "every_down"
    with host.create_database(name) as target, target.connect(autocommit=True) as connection:
        before = []
        for file in files:
            before.append(dump(host, target))
            goose.run(connection, file, file.up)
        for file in reversed(files):
            goose.run(connection, file, file.down)
            assert dump(host, target) == before.pop(), file.name
    host.drop_database(name)


def test_rows_survive_the_rebuild_of_resource_action_traces(database: Target) -> None:
    with database.connect(autocommit=True) as connection:
        up_to(connection, 1)
        connection.execute(
            "INSERT INTO resource_references (resource_uid, api_version, kind, name)"
            " VALUES ('u', 'v1', 'Pod', 'p')"
        )
        connection.execute("INSERT INTO action_histories (resource_id) VALUES (1)")
        connection.execute(
            "INSERT INTO resource_action_traces (action_history_id, action_id, action_type, alert_name)"
            " VALUES (1, 'a', 'restart', 'CrashLoop')"
        )

        goose.run(connection, FILES[1], FILES[1].up)

        assert connection.execute("SELECT id, action_id FROM resource_action_traces").fetchall() == [(1, "a")]
        assert connection.execute("SELECT nextval('resource_action_traces_id_seq')").fetchall() == [(2,)]


def test_events_recorded_before_hashing_get_their_hash_and_a_link(database: Target) -> None:
    with database.connect(autocommit=True) as connection:
        for file in FILES:
            if file.version in {13, 1000}:
                goose.run(connection, file, file.up)
        connection.execute(
            "INSERT INTO audit_events (event_timestamp, event_type, event_category, event_action,"
            " event_outcome, correlation_id) VALUES ('2025-12-03 10:00Z', 'a', 'b', 'c', 'success', 'x')"
        )

        hashing = next(file for file in FILES if file.version == 23)
        goose.run(connection, hashing, hashing.up)

        rows = connection.execute("SELECT event_hash = audit_event_hash(e) FROM audit_events e").fetchall()
        links = connection.execute("SELECT lane, position, cardinality(event_ids) FROM audit_event_chain")
        assert rows == [(True,)]
        assert links.fetchall() == [(0, 1, 1)]


def test_record_action_counts_a_resources_actions_after_the_rename(database: Target) -> None:
    with database.connect(autocommit=True) as connection:
        for file in FILES:
            goose.run(connection, file, file.up)
        connection.execute(
            "INSERT INTO resource_references (resource_uid, api_version, kind, name)"
            " VALUES ('u', 'v1', 'Pod', 'p')"
        )

        for action in ("a", "b"):
            connection.execute("SELECT record_action('u', %s, 'restart', 'CrashLoop')", [action])

        row = connection.execute(
            "SELECT total_actions, traced_actions, distinct_alerts FROM action_history_summary"
        )
        assert row.fetchone() == (2, 2, 1)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("SELECT record_action('nobody', 'c', 'restart', 'CrashLoop')")


def up_to(connection: psycopg.Connection, version: int) -> None:
    """Runs every Up until ``version``."""
    for file in FILES:
        if file.version <= version:
            goose.run(connection, file, file.up)
