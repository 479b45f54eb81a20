"""Which statements are kept together: what ends a transaction, what can't be in one, and the second try."""

from __future__ import annotations

import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import ledger, rows, run, tables

from pgslate.errors import EditedMigrationError, MigrationFailedError
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply


@pytest.mark.parametrize("ending", ["END", "end transaction", "COMMIT", "COMMIT WORK"])
def test_each_way_to_end_a_transaction_keeps_what_was_in_it(
    slice_for: SliceOf, database: Target, ending: str
) -> None:
    text = f"BEGIN; CREATE TABLE a (); {ending}; CREATE TABLE b (); CREATE TABLE taken ();"
    slice_ = slice_for({"001_a.sql": text})
    run(database, "CREATE TABLE taken ()")
    with pytest.raises(MigrationFailedError):
        apply(slice_, database)
    assert tables(database) == ["a", "taken"]
    run(database, "DROP TABLE taken")
    apply(slice_, database)
    assert tables(database) == ["a", "b", "taken"]


@pytest.mark.parametrize("sqlstate", ["25001", "2D000", "53200", "55006", "55P04"])
def test_what_fails_only_in_a_shared_transaction_is_tried_file_by_file(
    slice_for: SliceOf, database: Target, sqlstate: str
) -> None:
    fails_beside_a = f"""DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_class WHERE relname = 'a' AND xmin = pg_current_xact_id()::xid) THEN
            RAISE EXCEPTION 'not beside a' USING ERRCODE = '{sqlstate}';
        END IF;
    END $$;"""
    apply(slice_for({"001_a.sql": "CREATE TABLE a ();", "002_b.sql": fails_beside_a}), database)
    assert len(ledger(database)) == 2


def test_another_failure_in_a_shared_transaction_is_not_tried_again(
    slice_for: SliceOf, database: Target
) -> None:
    fails_beside_a = """DO $$ BEGIN
        IF EXISTS (SELECT FROM pg_class WHERE relname = 'a' AND xmin = pg_current_xact_id()::xid) THEN
            RAISE EXCEPTION 'not beside a' USING ERRCODE = '22000';
        END IF;
    END $$;"""
    with pytest.raises(MigrationFailedError, match="not beside a"):
        apply(slice_for({"001_a.sql": "CREATE TABLE a ();", "002_b.sql": fails_beside_a}), database)
    assert tables(database) == []


def test_cluster_without_a_table_runs_outside_a_transaction(slice_for: SliceOf, database: Target) -> None:
    files = {
        "001_t.sql": "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (2), (1);"
        " CLUSTER t USING t_pkey;",
        "002_all.sql": "CLUSTER;",
        "003_more.sql": "INSERT INTO t VALUES (3);",
    }
    apply(slice_for(files), database)
    assert rows(database, "SELECT id FROM t") == [(1,), (2,), (3,)]


def test_a_switch_to_no_transaction_is_an_edit(slice_for: SliceOf, database: Target) -> None:
    text = "-- +goose Up\nCREATE TABLE t (id int);\n-- +goose Down\nDROP TABLE t;\n"
    apply(slice_for({"001_t.sql": text}), database)
    with pytest.raises(EditedMigrationError, match=r"001_t\.sql was edited"):
        apply(slice_for({"001_t.sql": f"-- +goose NO TRANSACTION\n{text}"}), database)
