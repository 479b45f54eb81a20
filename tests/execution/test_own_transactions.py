"""What PostgreSQL refuses in a transaction that several files share is run again, a transaction a file."""

from __future__ import annotations

from collections.abc import Callable

from pgslate import apply
from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

CHECKED_LATER = """CREATE TABLE users (id int PRIMARY KEY);
CREATE TABLE orders (id int, user_id int REFERENCES users DEFERRABLE INITIALLY DEFERRED);
INSERT INTO users VALUES (1);
"""


def test_a_table_whose_check_waits_for_the_commit_is_altered_after_it(
    slice_for: Callable[..., Slice], database: Target
) -> None:
    files = {
        "001_row.sql": "INSERT INTO orders VALUES (5, 1);",
        "002_at.sql": "ALTER TABLE orders ADD at date;",
    }
    with database.connect(autocommit=True) as connection:
        connection.execute(CHECKED_LATER.encode())
    done = apply(slice_for(files, prelude=(CHECKED_LATER,)), database)
    assert [each.version for each in done.applied] == ["001", "002"]


def test_more_locks_than_the_server_has_room_for_are_taken_a_file_at_a_time(
    slice_for: Callable[..., Slice],
) -> None:
    files = {
        f"{number:03}_tables.sql": "".join(
            f"CREATE TABLE t{number}_{each} (id int PRIMARY KEY);\n" for each in range(60)
        )
        for number in range(1, 13)
    }
    few = {"max_locks_per_transaction": "10", "max_worker_processes": "0", "max_wal_senders": "0"}
    with Server.start(major=18, max_connections=10, settings=few) as small:
        done = apply(slice_for(files), small.create_database("crowded"))
        assert len(done.applied) == 12
