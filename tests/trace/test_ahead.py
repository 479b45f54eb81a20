"""Statements sent ahead: what is foreseen costs or saves time, and changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.slices.judging import catalog_of, court

from pgslate.catalog.statements import Statement
from pgslate.errors import MigrationFailedError
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace import document
from pgslate.trace.expected_writes import ExpectedWrites
from pgslate.trace.pipeline import Message
from pgslate.trace.system_catalogs import CATALOGS
from pgslate.trace.tracer import _Tracer, trace

SOURCES = (
    "CREATE TABLE users (id serial PRIMARY KEY, name text UNIQUE); CREATE TYPE mood AS ENUM ('sad');"
    "CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int REFERENCES users (id));",
    "CREATE SCHEMA app; ALTER TABLE orders SET SCHEMA app; ALTER SCHEMA app RENAME TO sales;"
    "ALTER TABLE sales.orders ADD COLUMN mood mood, ALTER COLUMN user_id TYPE bigint;",
    "COMMENT ON TABLE users IS 'who'; CREATE VIEW names AS SELECT name FROM users; DROP VIEW names;"
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'; DROP TABLE sales.orders;"
    "CREATE TEMP TABLE kept AS SELECT 1 AS i; CREATE INDEX ON users (name); DROP TYPE mood;",
)

NAMES = frozenset(catalog.name for catalog in CATALOGS)


@pytest.mark.parametrize(
    "foreseen", [lambda *_: frozenset(), lambda *_: NAMES], ids=["nothing", "everything"]
)
def test_a_wrong_guess_changes_nothing(
    server: Server, monkeypatch: pytest.MonkeyPatch, foreseen: Callable[..., frozenset[str]]
) -> None:
    before = traced(server)
    monkeypatch.setattr(ExpectedWrites, "of", foreseen)
    assert traced(server) == before


def test_a_statement_that_was_sent_ahead_fails_with_its_place(database: Target) -> None:
    catalog = catalog_of("CREATE TABLE a (i int);\nCREATE TABLE b (i int);\nCREATE TABLE a (i int);")
    with pytest.raises(MigrationFailedError, match=r'relation "a" already exists') as raised:
        trace(catalog, database)
    assert (raised.value.place.line, raised.value.place.column) == (3, 1)  # type: ignore[union-attr]


def test_whoever_fails_meanwhile_leaves_nothing_running(
    database: Target, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted(*given: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_Tracer, "_keep", interrupted)
    catalog = catalog_of("CREATE TABLE a (i int); CREATE TABLE b AS SELECT pg_sleep(600);")
    with pytest.raises(KeyboardInterrupt):
        trace(catalog, database)
    assert not caplog.records  # psycopg found the connection as it should be
    with database.connect(autocommit=True) as connection:
        for _ in range(2000):
            others = connection.execute(
                "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            ).fetchall()
            if not others:
                break
            threading.Event().wait(0.005)
    assert others == []


def test_a_message_is_under_way_while_others_work(database: Target) -> None:
    with database.connect() as connection, database.connect(autocommit=True) as other:
        message = Message(connection, b"SELECT pg_advisory_lock(7); SELECT 'done', 1")
        while not other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()[0]:  # type: ignore[index]
            threading.Event().wait(0.001)
        assert message.answers() == [[("done", 1)]]
        with pytest.raises(psycopg.errors.DivisionByZero):
            Message(connection, b"SELECT 1; SELECT 1 / 0; SELECT 2").answers()


def test_statements_of_a_shape_write_alike() -> None:
    expected = ExpectedWrites()
    make = Statement("CREATE TABLE a (id int PRIMARY KEY)", 1, 1, "CreateStmt")
    expected.learn(make, ["pg_class", "pg_index"])
    assert expected.of(Statement("create table B (x int primary key)", 1, 1, "CreateStmt")) == {
        "pg_class",
        "pg_index",
    }
    assert expected.of(Statement("CREATE TABLE a (id int)", 1, 1, "CreateStmt")) == frozenset()


def test_a_statement_may_make_a_lesser_role_of_the_session(server: Server) -> None:
    def function(name: str, does: str) -> str:
        return f"CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {does}; END $$;"

    source = (
        "CREATE ROLE lesser; CREATE TABLE users (id int);"
        + function("make", "EXECUTE 'CREATE ROLE another'")
        + function("become", "SET ROLE lesser")
        + "SELECT make(); SELECT become(); CREATE TEMP TABLE kept (i int);"
    )
    try:
        assert '"public.users"' in traced(server, source)
    finally:
        with server.target().connect(autocommit=True) as connection:
            connection.execute("DROP ROLE IF EXISTS lesser, another")


def test_what_a_session_prepared_may_be_deallocated(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); PREPARE one AS SELECT 1; DEALLOCATE ALL; CREATE TABLE orders (id int);",
        "-- no transaction\nDISCARD ALL;",
        "ALTER TABLE users ADD COLUMN name text; DROP TABLE orders;",
    ) as case:
        case.assert_exact("users")


def test_a_temporary_table_goes_by_the_same_name_in_every_session(server: Server) -> None:
    source = "CREATE TEMP TABLE kept (i int PRIMARY KEY);"
    with server.target().connect():  # so that the session after it has another number
        before = traced(server, source)
    assert traced(server, source) == before
    assert "pg_temp_" not in before


def traced(server: Server, *sources: str) -> str:
    target = server.create_database("ahead", template="template0")
    try:
        return document.dumps(trace(catalog_of(*(sources or SOURCES)), target).trace, {})
    finally:
        server.drop_database("ahead")
