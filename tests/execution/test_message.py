"""Many statements in one message, and which of them failed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from pgslate.execution.batch import Piece, RefusedError, send
from pgslate.targets.target import Target


@pytest.fixture
def connection(database: Target) -> Iterator[psycopg.Connection]:
    with database.connect(autocommit=True) as connection:
        yield connection


def refused(connection: psycopg.Connection, *texts: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        send(connection, [Piece(text) for text in texts])
    return caught.value


def test_all_pieces_run(connection: psycopg.Connection) -> None:
    send(connection, [Piece("CREATE TABLE a(i int) -- a comment"), Piece("INSERT INTO a VALUES (1), (2)")])
    assert connection.execute("SELECT count(*) FROM a").fetchone() == (2,)


def test_the_piece_that_failed_is_known_where_the_server_gives_no_position(
    connection: psycopg.Connection,
) -> None:
    failed = refused(
        connection, "BEGIN", "CREATE TABLE a()", "CREATE TABLE b()", "CREATE TABLE a()", "SELECT 1"
    )
    assert (failed.piece, failed.offset, failed.error.sqlstate) == (3, None, "42P07")


def test_a_position_is_counted_in_its_piece_and_in_characters(connection: psycopg.Connection) -> None:
    failed = refused(connection, "BEGIN", "SELECT 'größer ✓'", "SELECT 'ß', nope FROM pg_class")
    assert (failed.piece, failed.offset) == (2, len("SELECT 'ß', "))


def test_a_syntax_error_is_placed_though_nothing_ran(connection: psycopg.Connection) -> None:
    failed = refused(connection, "BEGIN", "CREATE TABLE a()", "CREATE TABEL b()")
    assert (failed.piece, failed.offset) == (2, len("CREATE "))


def test_a_position_inside_a_function_is_not_taken_for_one_in_the_message(
    connection: psycopg.Connection,
) -> None:
    failed = refused(connection, "BEGIN", "SELECT 1", "DO $$ BEGIN PERFORM nope; END $$")
    assert (failed.piece, failed.offset) == (2, None)


def test_a_rule_that_runs_nothing_still_counts_as_one_answer(connection: psycopg.Connection) -> None:
    send(
        connection,
        [Piece("CREATE TABLE a(i int)"), Piece("CREATE RULE r AS ON INSERT TO a DO INSTEAD NOTHING")],
    )
    failed = refused(connection, "BEGIN", "INSERT INTO a VALUES (1)", "SELECT 1/0")
    assert failed.piece == 2


def test_copied_data_goes_in_with_the_message(connection: psycopg.Connection) -> None:
    rows = "".join(f"{i}\tline {i}\n" for i in range(40_000))
    send(
        connection,
        [
            Piece("CREATE TABLE a(i int, t text)"),
            Piece("COPY a FROM stdin", rows),
            Piece("COPY a (i) FROM stdin", "7\n"),
            Piece("CREATE TABLE b AS SELECT count(*) AS n FROM a"),
        ],
    )
    assert connection.execute("SELECT n FROM b").fetchone() == (40_001,)


def test_bad_copied_data_fails_at_its_statement(connection: psycopg.Connection) -> None:
    with pytest.raises(RefusedError) as caught:
        send(
            connection,
            [
                Piece("BEGIN"),
                Piece("CREATE TABLE a(i int)"),
                Piece("COPY a FROM stdin", "1\nx\n"),
                Piece("SELECT 1"),
            ],
        )
    assert caught.value.piece == 2
    assert "line 2" in (caught.value.error.diag.context or "")
    assert connection.info.transaction_status == psycopg.pq.TransactionStatus.INERROR


def test_what_a_copy_to_stdout_gives_is_dropped(connection: psycopg.Connection) -> None:
    send(connection, [Piece("COPY (SELECT generate_series(1, 50000)) TO stdout"), Piece("CREATE TABLE a()")])
    assert connection.execute("SELECT to_regclass('a') IS NOT NULL").fetchone() == (True,)


def test_a_grant_that_grants_nothing_is_an_error(connection: psycopg.Connection, role: str) -> None:
    send(connection, [Piece("CREATE TABLE a(i int)"), Piece(f"GRANT SELECT ON a TO {role}")])
    failed = refused(connection, "BEGIN", f"SET ROLE {role}", "GRANT SELECT ON a TO public", "SELECT 1")
    assert (failed.piece, failed.error.sqlstate) == (2, "01007")


def test_a_connection_that_is_cut_is_an_error_of_the_piece_it_was_cut_in(
    connection: psycopg.Connection,
) -> None:
    failed = refused(connection, "SELECT 1", "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 2")
    assert failed.piece == 1
    assert connection.pgconn.status == psycopg.pq.ConnStatus.BAD
