"""Files that are not one transaction, cut off anywhere: what the next run finds, and does."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import index_is_valid, ledger, rows, run, tables

from pgslate.errors import ApplyError, MigrationFailedError, UnfinishedMigrationError
from pgslate.execution import executor
from pgslate.execution.batch import Piece, send
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply


class CutOffError(Exception):
    """Stands for a kill: what was sent stays sent, and nothing follows."""


Cut = Callable[..., None]


@pytest.fixture
def cut(monkeypatch: pytest.MonkeyPatch) -> Cut:
    """``cut(slice, database, before="CREATE INDEX")`` or ``after=``: a run that dies at that statement."""

    def cut_off(slice_: Slice, target: Target, *, before: str = "\0", after: str = "\0") -> None:
        def dying(connection: psycopg.Connection, pieces: list[Piece]) -> None:
            if any(before in piece.text for piece in pieces):
                raise CutOffError
            send(connection, pieces)
            if any(after in piece.text for piece in pieces):
                raise CutOffError

        with monkeypatch.context() as patch:
            patch.setattr(executor, "send", dying)
            with pytest.raises(CutOffError):
                apply(slice_, target)

    return cut_off


INDEX = {
    "001_a.sql": "CREATE TABLE a(i int, j int);\nINSERT INTO a SELECT 1, n FROM generate_series(1, 3) n;",
    "002_i.sql": "SET search_path = public, pg_catalog;\nCREATE INDEX CONCURRENTLY one ON a (i);\n"
    "CREATE TABLE b();\nCREATE UNIQUE INDEX CONCURRENTLY two ON a (j);\n",
}


@pytest.mark.parametrize("statement", ["INDEX CONCURRENTLY one", "TABLE b", "INDEX CONCURRENTLY two"])
def test_a_run_cut_off_before_a_statement_goes_on_with_it(
    slice_for: SliceOf, database: Target, cut: Cut, statement: str
) -> None:
    slice_ = slice_for(INDEX)
    cut(slice_, database, before=statement)
    assert ledger(database) == ["001"]
    apply(slice_, database)
    assert ledger(database) == ["001", "002"]
    assert index_is_valid(database, "one")
    assert index_is_valid(database, "two")
    assert tables(database) == ["a", "b"]


@pytest.mark.parametrize("statement", ["INDEX CONCURRENTLY one", "INDEX CONCURRENTLY two"])
def test_an_index_that_was_finished_but_not_recorded_is_recognised(
    slice_for: SliceOf, database: Target, cut: Cut, statement: str
) -> None:
    slice_ = slice_for(INDEX)
    cut(slice_, database, after=statement)
    name = statement.rpartition(" ")[2]
    before = rows(database, f"SELECT '{name}'::regclass::oid")
    apply(slice_, database)
    assert rows(database, f"SELECT '{name}'::regclass::oid") == before
    assert ledger(database) == ["001", "002"]


def test_an_index_left_invalid_is_dropped_and_built_again(
    slice_for: SliceOf, database: Target, cut: Cut
) -> None:
    slice_ = slice_for(INDEX)
    cut(slice_, database, before="INDEX CONCURRENTLY two")
    run(database, "INSERT INTO a VALUES (1, 1)")
    with pytest.raises(MigrationFailedError, match="could not create unique index") as caught:
        apply(slice_, database)
    assert str(caught.value.place) == "002_i.sql:4:1"
    assert "what stands above line 4 was kept" in str(caught.value)
    assert index_is_valid(database, "two") is False
    run(database, "DELETE FROM a WHERE ctid = (SELECT max(ctid) FROM a)")
    apply(slice_, database)
    assert index_is_valid(database, "two") is True


def test_an_index_without_a_name_is_known_by_being_new(
    slice_for: SliceOf, database: Target, cut: Cut
) -> None:
    text = (
        "CREATE TABLE a(i int);\nCREATE INDEX CONCURRENTLY ON a (i);\nCREATE INDEX CONCURRENTLY ON a (i);\n"
    )
    slice_ = slice_for({"001_a.sql": text})
    cut(slice_, database, after="INDEX CONCURRENTLY ON a (i)")
    assert len(rows(database, "SELECT FROM pg_index WHERE indrelid = 'a'::regclass")) == 1
    apply(slice_, database)
    assert len(rows(database, "SELECT FROM pg_index WHERE indrelid = 'a'::regclass")) == 2


def test_an_invalid_index_that_stood_before_is_not_hidden_by_if_not_exists(
    slice_for: SliceOf, database: Target
) -> None:
    made = ("CREATE TABLE a(i int)", "INSERT INTO a VALUES (1), (1)")
    run(database, *made)
    with database.connect(autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY one ON a (i)")
    files = {"001_a.sql": "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS one ON a (i);"}
    slice_ = slice_for(files, prelude=(made[0],))
    with pytest.raises(ApplyError, match=r'index "public"."one" is INVALID') as caught:
        apply(slice_, database)
    assert caught.value.fix.startswith('DROP INDEX CONCURRENTLY "public"."one"')
    assert ledger(database) == []


def test_settings_of_the_file_hold_for_the_rest_of_it(slice_for: SliceOf, database: Target, cut: Cut) -> None:
    files = {
        "001_a.sql": "CREATE SCHEMA s; SET search_path = s; CREATE TABLE a(i int);\n"
        "CREATE INDEX CONCURRENTLY one ON a (i); CREATE TABLE b();"
    }
    slice_ = slice_for(files)
    cut(slice_, database, before="INDEX CONCURRENTLY")
    apply(slice_, database)
    assert rows(database, "SELECT to_regclass('s.one')::text, to_regclass('s.b')::text") == [("s.one", "s.b")]


def test_a_role_that_the_file_sets_does_not_write_the_ledger(
    slice_for: SliceOf, database: Target, role: str
) -> None:
    files = {
        "001_a.sql": f"GRANT CREATE ON SCHEMA s TO {role}; SET ROLE {role}; CREATE TABLE s.a(i int);\n"
        "CREATE INDEX CONCURRENTLY one ON s.a (i); CREATE TABLE s.b();"
    }
    made = ("CREATE SCHEMA s", f"GRANT USAGE ON SCHEMA s TO {role}", f"GRANT pg_read_all_data TO {role}")
    slice_ = slice_for(files, prelude=made)
    run(database, *made)
    apply(slice_, database)
    owners = rows(database, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 's'")
    assert owners == [(role,)]
    assert ledger(database) == ["001"]
    run(database, f"REVOKE pg_read_all_data FROM {role}")  # the server's, and so in later tests' scripts


def test_a_block_that_failed_may_be_corrected_without_touching_what_stands(
    slice_for: SliceOf, database: Target
) -> None:
    text = "BEGIN; CREATE TABLE a(); COMMIT;\nBEGIN; CREATE TABLE {}(); COMMIT;"
    run(database, "CREATE TABLE taken()")
    with pytest.raises(MigrationFailedError):
        apply(slice_for({"001_a.sql": text.format("taken")}), database)
    apply(slice_for({"001_a.sql": text.format("free")}), database)
    assert tables(database) == ["a", "free", "taken"]


def test_an_index_dropped_concurrently_may_be_gone_already(
    slice_for: SliceOf, database: Target, cut: Cut
) -> None:
    slice_ = slice_for(
        {"001_a.sql": "CREATE TABLE a(i int); CREATE INDEX one ON a (i); DROP INDEX CONCURRENTLY one;"}
    )
    cut(slice_, database, after="DROP INDEX")
    apply(slice_, database)
    assert index_is_valid(database, "one") is None
    assert ledger(database) == ["001"]


def test_a_reindex_leaves_no_transient_index_behind(slice_for: SliceOf, database: Target, cut: Cut) -> None:
    text = "CREATE TABLE a(i int); CREATE UNIQUE INDEX one ON a (i); REINDEX TABLE CONCURRENTLY a;"
    slice_ = slice_for({"001_a.sql": text})
    cut(slice_, database, before="REINDEX")
    run(database, "DROP INDEX one", "INSERT INTO a VALUES (1), (1)")
    with database.connect(autocommit=True) as connection, pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute("CREATE UNIQUE INDEX CONCURRENTLY one_ccnew ON a (i)")
    run(database, "TRUNCATE a", "CREATE UNIQUE INDEX one ON a (i)")
    apply(slice_, database)
    assert rows(
        database, "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'a'::regclass"
    ) == [("one",)]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_partition_that_is_detached_concurrently_ends_up_detached(
    slice_for: SliceOf, database: Target, cut: Cut, when: str
) -> None:
    text = (
        "CREATE TABLE a(i int) PARTITION BY RANGE (i);"
        " CREATE TABLE b PARTITION OF a FOR VALUES FROM (1) TO (9);\n"
        "ALTER TABLE a DETACH PARTITION b CONCURRENTLY;"
    )
    slice_ = slice_for({"001_a.sql": text})
    cut(slice_, database, **{when: "DETACH"})
    apply(slice_, database)
    assert rows(database, "SELECT FROM pg_inherits WHERE inhrelid = 'b'::regclass") == []
    assert ledger(database) == ["001"]


def test_what_nobody_can_tell_is_asked_with_the_place_and_a_way_out(
    slice_for: SliceOf, database: Target, cut: Cut
) -> None:
    block = "DO $$ BEGIN INSERT INTO a VALUES (1); COMMIT; INSERT INTO a VALUES (2); END $$;"
    slice_ = slice_for({"001_a.sql": f"BEGIN; CREATE TABLE a(i int); COMMIT;\n{block}"})
    cut(slice_, database, after="DO $$")
    with pytest.raises(UnfinishedMigrationError, match="nobody can tell") as caught:
        apply(slice_, database)
    assert str(caught.value.place) == "001_a.sql:2:1"
    assert "UPDATE pgslate.ledger SET begun = NULL WHERE version = '001'" in caught.value.fix
    assert apply(slice_, database, assume_applied=["001"]).recorded == ("001_a.sql",)
    assert rows(database, "SELECT i FROM a ORDER BY i") == [(1,), (2,)]


def test_the_way_out_is_a_statement_that_works(slice_for: SliceOf, database: Target, cut: Cut) -> None:
    block = "DO $$ BEGIN INSERT INTO a VALUES (1); COMMIT; END $$;"
    slice_ = slice_for({"001_a.sql": f"BEGIN; CREATE TABLE a(i int); COMMIT;\n{block}"})
    cut(slice_, database, before="DO $$")
    run(database, "UPDATE pgslate.ledger SET begun = NULL WHERE version = '001'")
    apply(slice_, database)
    assert rows(database, "SELECT i FROM a") == [(1,)]


def test_a_block_that_commits_and_fails_is_run_again(slice_for: SliceOf, database: Target) -> None:
    block = "DO $$ BEGIN COMMIT; PERFORM 1 / n FROM given; END $$;"
    slice_ = slice_for(
        {"001_a.sql": f"CREATE TABLE a(i int);\n{block}"}, prelude=("CREATE TABLE given AS SELECT 1 n",)
    )
    run(database, "CREATE TABLE given AS SELECT 0 n")
    with pytest.raises(MigrationFailedError, match="division by zero"):
        apply(slice_, database)
    run(database, "UPDATE given SET n = 1")
    apply(slice_, database)
    assert ledger(database) == ["001"]
