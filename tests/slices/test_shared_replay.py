"""Slices that are replayed in one transaction come out as if each had a database of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.slices.judging import Court, court

from pgslate.slices.selection import select
from pgslate.slices.shared_replay import SharedReplay, fits, steps
from pgslate.slices.slice import Slice, slice_of
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target


def in_order(case: Court, *tables: str) -> list[Slice]:
    found = [
        slice_of(case.catalog, case.trace, select(case.catalog, case.trace, [name]), form="files")
        for name in tables
    ]
    return sorted(found, key=steps)


def replayed(case: Court, target: Target, slices: Sequence[Slice], query: str) -> list[object]:
    """What the query says after each slice."""
    said: list[object] = []
    with target.connect(autocommit=True, prepare_threshold=None) as connection:

        def ask(_: Slice) -> bool:
            said.append(connection.execute(query.encode()).fetchall())
            return True

        assert all(SharedReplay(case.catalog, connection).each(slices, ask))
        assert connection.execute("SELECT count(*) FROM pg_class WHERE oid >= 16384").fetchall() == [(0,)]
    return said


def test_each_slice_is_there_alone_and_nothing_stays(server: Server, database: Target) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TABLE orders (id int); ALTER TABLE users ADD a int;",
        "CREATE TABLE a_orders AS SELECT * FROM orders;",
        "CREATE TABLE b_users AS SELECT * FROM users;",
    ) as case:
        slices = in_order(case, "a_orders", "b_users", "users")
        query = "SELECT relname::text FROM pg_class WHERE oid >= 16384 AND relkind = 'r' ORDER BY 1"
        said = replayed(case, database, slices, query)
    assert said == [
        [("orders",), ("users",)],
        [("a_orders",), ("orders",), ("users",)],
        [("b_users",), ("orders",), ("users",)],
    ]


def test_a_sequence_stands_where_the_shared_beginning_left_it(server: Server, database: Target) -> None:
    with court(
        server,
        "CREATE SEQUENCE numbers START 7;",
        "CREATE TABLE first (n int); INSERT INTO first VALUES (nextval('numbers')), (nextval('numbers'));",
        "CREATE TABLE second (n int); INSERT INTO second VALUES (nextval('numbers'));",
    ) as case:
        alone = [
            Slice(
                case.catalog,
                case.trace,
                (),
                "files",
                (),
                frozenset(),
                frozenset({0, *also}),
                frozenset(),
                files,
            )
            for files, also in (((0, 1), (1, 2)), ((0, 2), (3, 4)))
        ]
        said = replayed(case, database, alone, "SELECT last_value FROM numbers")
    assert said == [[(8,)], [(7,)]]


@pytest.mark.parametrize(
    "source",
    [
        "-- no transaction\nCREATE TABLE users (id int);",
        "CREATE TABLE users (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);",
        "CREATE TEMP TABLE passing (id int) ON COMMIT DROP; CREATE TABLE users (id int);",
        "BEGIN ISOLATION LEVEL SERIALIZABLE; CREATE TABLE users (id int); COMMIT;",
        "CREATE TABLE users (id int);\nCOPY users FROM stdin;\n1\n\\.\n",
    ],
)
def test_what_needs_transactions_of_its_own_does_not_share_one(server: Server, source: str) -> None:
    with court(server, source) as case:
        assert not fits(case.slice("users"))


def test_a_slice_that_fails_leaves_the_next_ones_alone(server: Server, database: Target) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "ALTER TABLE users ADD a int;",
        "ALTER TABLE users DROP a;",
    ) as case:
        whole = case.slice("users")
        broken = Slice(
            case.catalog, case.trace, (), "files", (), frozenset(), frozenset({0, 2}), frozenset(), (0, 2)
        )
        with database.connect(autocommit=True, prepare_threshold=None) as connection:
            slices = sorted([whole, broken], key=steps)
            found = list(SharedReplay(case.catalog, connection).each(slices, lambda _: True))
    assert dict(zip(map(len, map(steps, slices)), found, strict=True)) == {3: True, 2: False}
