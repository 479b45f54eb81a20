"""What the ledger holds, and what the catalog has beyond it."""

from __future__ import annotations

import json

import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import run

from pgslate.errors import LedgerError, MigrationFailedError
from pgslate.execution.ledger import LAYOUTS, parse
from pgslate.project.project import Project
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply
from pgslate.verbs.status import status

THREE = {
    "001_users.sql": "CREATE TABLE users (id int PRIMARY KEY);",
    "002_orders.sql": "CREATE TABLE orders (id int, user_id int REFERENCES users);",
    "003_prices.sql": "CREATE TABLE prices (id int);",
}


def test_an_empty_database_has_everything_pending(slice_for: SliceOf, database: Target) -> None:
    found = status(Project(slice_for(THREE).catalog), database)
    assert [m.version for m in found.pending] == ["001", "002", "003"]
    assert found.applied == ()
    assert found.is_clean


def test_applied_left_out_and_pending_are_told_apart(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE, "users"), database)
    grown = slice_for({**THREE, "004_name.sql": "ALTER TABLE users ADD name text;"})
    found = status(Project(grown.catalog), database)
    assert [row.version for row in found.applied] == ["001"]
    assert [m.version for m in found.left_out] == ["002", "003"]
    assert [m.version for m in found.pending] == ["004"]


def test_for_a_slice_only_its_migrations_are_pending(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE, "users"), database)
    found = status(slice_for(THREE, "orders"), database)
    assert [m.version for m in found.pending] == ["002"]
    assert [m.version for m in found.left_out] == ["003"]


def test_edited_and_missing_files_are_named(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(THREE), database)
    changed = {
        "001_users.sql": "CREATE TABLE users (id bigint PRIMARY KEY);",
        "002_orders.sql": THREE["002_orders.sql"],
    }
    found = status(Project(slice_for(changed).catalog), database)
    assert [m.file for m in found.edited] == ["001_users.sql"]
    assert [row.file for row in found.missing] == ["003_prices.sql"]
    assert not found.is_clean


VIEWS = {
    "V1__a.sql": "CREATE TABLE a (i int);",
    "V2__b.sql": "CREATE TABLE b (i int);",
    "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT i FROM a;",
}


def test_a_repeatable_migration_that_changed_is_pending(slice_for: SliceOf, database: Target) -> None:
    apply(slice_for(VIEWS), database)
    assert status(Project(slice_for(VIEWS).catalog), database).pending == ()
    changed = {**VIEWS, "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT i, 1 AS one FROM a;"}
    found = status(Project(slice_for(changed).catalog), database)
    assert [m.file for m in found.pending] == ["R__v.sql"]
    assert [row.file for row in found.applied] == ["V1__a.sql", "V2__b.sql", "R__v.sql"]
    assert (found.edited, found.is_clean) == ((), True)


def test_a_changed_repeatable_migration_is_pending_only_for_a_slice_that_needs_it(
    slice_for: SliceOf, database: Target
) -> None:
    apply(slice_for(VIEWS), database)
    changed = {**VIEWS, "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT i, 1 AS one FROM a;"}
    assert [m.file for m in status(slice_for(changed, "v"), database).pending] == ["R__v.sql"]
    found = status(slice_for(changed, "b"), database)
    assert (found.pending, found.left_out) == ((), ())


def test_a_file_that_was_cut_off_is_unfinished(slice_for: SliceOf, database: Target) -> None:
    run(database, "CREATE TABLE taken()")
    slice_ = slice_for({"001_a.sql": "BEGIN; CREATE TABLE a(); COMMIT; CREATE TABLE taken();"})
    with pytest.raises(MigrationFailedError):
        apply(slice_, database)
    found = status(Project(slice_.catalog), database)
    assert [(row.version, row.next) for row in found.unfinished] == [("001", 3)]
    assert found.as_json()["unfinished"][0]["next"] == 3


def test_a_ledger_from_the_future_is_refused() -> None:
    future = f'{{"layout": {len(LAYOUTS) + 1}, "rows": [], "runs": []}}'
    with pytest.raises(LedgerError, match="the newer pgslate"):
        parse(future)


def test_columns_that_a_later_layout_adds_are_passed_over() -> None:
    row = {"version": "1", "file": "f", "checksum": "c", "form": "files", "of": 1, "new": 2}
    said = json.dumps({"layout": 1, "rows": [row], "runs": None})
    assert parse(said).by_version["1"].file == "f"


def test_what_a_run_of_everything_did_not_come_to_is_pending(slice_for: SliceOf, database: Target) -> None:
    chosen = slice_for(
        {
            "001_users.sql": "CREATE TABLE users (id int PRIMARY KEY);",
            "002_index.sql": "CREATE INDEX CONCURRENTLY users_id ON users (id);",
            "003_halves.sql": "CREATE TABLE halves (id int);",
            "004_prices.sql": "CREATE TABLE prices (id int);",
        }
    )
    run(database, "CREATE TABLE halves (id int)")
    with pytest.raises(MigrationFailedError):
        apply(chosen, database)
    found = status(Project(chosen.catalog), database)
    assert [m.version for m in found.pending] == ["003", "004"]
    assert found.left_out == ()
