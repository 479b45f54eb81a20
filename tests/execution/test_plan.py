"""What would run and what would not, against a ledger; no target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.execution.conftest import SliceOf

from pgslate.catalog.migration import Migration
from pgslate.errors import (
    EditedMigrationError,
    MissingMigrationError,
    OutOfOrderError,
    PartlyAppliedError,
    UsageError,
)
from pgslate.execution.ledger import Ledger, LedgerRow, LedgerRun
from pgslate.execution.planner import plan_of
from pgslate.slices.slice import Slice
from pgslate.verbs.plan import plan

TWO = {
    "001_users.sql": "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE audit (id int);",
    "002_orders.sql": "CREATE TABLE orders (id int, user_id int REFERENCES users);",
    "003_prices.sql": "CREATE TABLE prices (id int);",
}


def row(migration: Migration, **said: object) -> LedgerRow:
    given = {"file": migration.file, "checksum": migration.checksum, "form": "files", "of": 1, **said}
    return LedgerRow(version=migration.version, **given)  # type: ignore[arg-type]  # the test's own keywords


def ledger(slice_: Slice, *versions: str, known: tuple[str, ...] = (), **said: object) -> Ledger:
    """A ledger that holds these versions, from a run that knew them and ``known``."""
    rows = {v: row(slice_.catalog.by_version[v], **said) for v in versions}
    run = LedgerRun("r", "2026-01-01", "postgres", "1", "files", ("users",), (*versions, *known))
    return Ledger(1, rows, (run,))


def versions(planned: object) -> list[str]:
    return [step.migration.version for step in planned.steps]  # type: ignore[attr-defined]  # a Plan


def test_a_plan_says_what_runs_with_reasons_and_what_does_not(slice_for: SliceOf) -> None:
    document = plan(slice_for(TWO, "users")).as_json()
    assert document == {
        "tables": ["users"],
        "form": "files",
        "migrations": [
            {
                "version": "001",
                "file": "001_users.sql",
                "statements": 1,
                "of": 2,
                "reasons": ["creates table public.users"],
            }
        ],
        "excluded": [
            {"version": "002", "file": "002_orders.sql", "reason": "only touches public.orders"},
            {"version": "003", "file": "003_prices.sql", "reason": "only touches public.prices"},
        ],
        "partitions": [],
        "widened": [],
        "changing": [],
        "collisions": [],
    }


def test_what_is_applied_is_excluded_with_when(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    planned = plan_of(slice_, ledger(slice_, "001", applied_at="2026-01-01"))
    assert versions(planned) == ["002", "003"]
    assert planned.excluded[0].reason == "applied at 2026-01-01"
    assert not planned.fresh


def test_nothing_is_planned_where_everything_is_applied(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    assert plan_of(slice_, ledger(slice_, "001", "002", "003")).is_empty


def test_a_file_that_is_gone_is_an_error(slice_for: SliceOf) -> None:
    whole = slice_for(TWO)
    holds = ledger(whole, "001", "002", "003")
    smaller = slice_for({name: text for name, text in TWO.items() if name < "003"})
    with pytest.raises(MissingMigrationError, match=r"003_prices\.sql was applied.*no such file") as caught:
        plan_of(smaller, holds)
    assert caught.value.migrations == ("003",)


def test_a_file_that_was_applied_under_another_version_is_said_to_be_that(slice_for: SliceOf) -> None:
    slice_ = slice_for({"001_a.sql": "-- +migrate Up\nSELECT 1;", "002_b.sql": "-- +migrate Up\nSELECT 1;"})
    rows = {m.version[:3]: replace(row(m), version=m.version[:3]) for m in slice_.catalog}
    with pytest.raises(MissingMigrationError) as caught:
        plan_of(slice_, Ledger(1, rows))
    assert caught.value.message == (
        "001_a.sql was applied as version 001, and is version 001_a.sql now (1 more alike)"
    )
    assert caught.value.fix == "tell the ledger: UPDATE pgslate.ledger SET version = file"
    assert plan_of(
        slice_, Ledger(1, {said.file: replace(said, version=said.file) for said in rows.values()})
    ).is_empty


def test_one_file_that_was_applied_under_another_version_is_renamed_alone(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    first = replace(row(slice_.catalog.migrations[0]), version="1")
    with pytest.raises(MissingMigrationError) as caught:
        plan_of(slice_, Ledger(1, {"1": first}))
    assert (
        caught.value.fix == "tell the ledger: UPDATE pgslate.ledger SET version = '001' WHERE version = '1'"
    )


def test_a_changeset_that_is_gone_from_its_file_is_no_other_one_of_it(slice_for: SliceOf) -> None:
    text = "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n"
    whole = slice_for({"a.sql": f"{text}--changeset ann:2\nSELECT 2;\n"})
    holds = ledger(whole, "a.sql::1::ann", "a.sql::2::ann")
    with pytest.raises(MissingMigrationError, match=r"says that a\.sql::2::ann was applied") as caught:
        plan_of(slice_for({"a.sql": text}), holds)
    assert caught.value.message.endswith("but a.sql has it no more")
    assert caught.value.migrations == ("a.sql::2::ann",)
    assert "UPDATE" not in caught.value.fix


def test_a_file_that_was_cut_into_changesets_has_no_new_version(slice_for: SliceOf) -> None:
    text = "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n--changeset ann:2\nSELECT 2;\n"
    slice_ = slice_for({"a.sql": text})
    raw = replace(row(slice_.catalog.migrations[0]), version="a.sql::raw::includeAll")
    with pytest.raises(MissingMigrationError, match=r"but a\.sql has it no more"):
        plan_of(slice_, Ledger(1, {raw.version: raw}))


def test_an_edited_file_is_an_error_with_both_checksums(slice_for: SliceOf) -> None:
    before = slice_for(TWO)
    after = slice_for({**TWO, "001_users.sql": TWO["001_users.sql"] + " CREATE TABLE more();"})
    with pytest.raises(EditedMigrationError) as caught:
        plan_of(after, ledger(before, "001"))
    old, new = before.files[0].checksum, after.files[0].checksum
    assert (caught.value.applied_checksum, caught.value.current_checksum) == (old, new)
    assert old in str(caught.value)
    assert new in str(caught.value)
    assert "--accept-edited 001_users.sql" in caught.value.fix


def test_an_edited_file_can_be_accepted_by_name(slice_for: SliceOf) -> None:
    before = slice_for(TWO)
    after = slice_for({**TWO, "001_users.sql": TWO["001_users.sql"] + " CREATE TABLE more();"})
    planned = plan_of(after, ledger(before, "001", "002", "003"), accept_edited=["001_users.sql"])
    assert [m.version for m in planned.accepted] == ["001"]
    assert planned.steps == ()
    assert not planned.is_empty


def test_line_ends_and_trailing_blanks_are_no_edit(slice_for: SliceOf) -> None:
    before = slice_for({"001_a.sql": "CREATE TABLE a();\nCREATE TABLE b();\n"})
    after = slice_for({"001_a.sql": "CREATE TABLE a();  \r\nCREATE TABLE b();\r\n\r\n"})
    assert plan_of(after, ledger(before, "001")).is_empty


def test_a_name_the_catalog_does_not_have_is_an_error(slice_for: SliceOf) -> None:
    with pytest.raises(UsageError, match="no migration '004'"):
        plan_of(slice_for(TWO), accept_edited=["004"])


def test_a_file_inserted_below_an_applied_one_is_an_error(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    with pytest.raises(
        OutOfOrderError, match=r"002_orders\.sql was inserted below 003_prices\.sql"
    ) as caught:
        plan_of(slice_, ledger(slice_, "001", "003"))
    assert caught.value.migrations == ("002",)
    assert "--allow-out-of-order" in caught.value.fix


def test_an_inserted_file_runs_where_it_is_allowed(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    planned = plan_of(slice_, ledger(slice_, "001", "003"), allow_out_of_order=True)
    assert versions(planned) == ["002"]


def test_a_changeset_is_added_to_any_file_as_liquibase_runs_whatever_is_missing(slice_for: SliceOf) -> None:
    text = "--liquibase formatted sql\n--changeset ann:1\nSELECT 1;\n"
    before = slice_for({"a.sql": text, "b.sql": text})
    after = slice_for({"a.sql": f"{text}--changeset ann:2\nSELECT 2;\n", "b.sql": text})
    assert versions(plan_of(after, ledger(before, "a.sql::1::ann", "b.sql::1::ann"))) == ["a.sql::2::ann"]


def test_a_changeset_with_another_id_is_not_the_one_that_was_applied(slice_for: SliceOf) -> None:
    text = "--liquibase formatted sql\n--changeset ann:{}\nSELECT 1;\n"
    before = slice_for({"a.sql": text.format(1)})
    with pytest.raises(MissingMigrationError, match=r"a\.sql::1::ann was applied, but a\.sql has it no more"):
        plan_of(slice_for({"a.sql": text.format(2)}), ledger(before, "a.sql::1::ann"))


def test_a_file_that_an_earlier_smaller_slice_left_out_may_be_added(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO)
    planned = plan_of(slice_, ledger(slice_, "001", "003", known=("002",)))
    assert versions(planned) == ["002"]


def test_what_is_assumed_to_be_applied_is_recorded_and_not_run(slice_for: SliceOf) -> None:
    planned = plan_of(slice_for(TWO), assume_applied=["001", "002_orders.sql"])
    assert versions(planned) == ["003"]
    assert [m.version for m in planned.assumed] == ["001", "002"]


def test_a_repeatable_migration_runs_again_when_it_changed(slice_for: SliceOf) -> None:
    files = {
        "V1__a.sql": "CREATE TABLE a(i int);",
        "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT i FROM a;",
    }
    before = slice_for(files)
    holds = ledger(before, *(m.version for m in before.catalog))
    assert plan_of(before, holds).is_empty
    after = slice_for({**files, "R__v.sql": "CREATE OR REPLACE VIEW v AS SELECT i, 1 AS one FROM a;"})
    assert [step.migration.file for step in plan_of(after, holds).steps] == ["R__v.sql"]


def test_the_statements_form_runs_only_what_is_needed(slice_for: SliceOf) -> None:
    planned = plan_of(slice_for(TWO, "users", form="statements"))
    assert [step.statements for step in planned.steps] == [(0,)]
    assert [statement.text for part in planned.steps[0].parts for _, statement in part.statements] == [
        "CREATE TABLE users (id int PRIMARY KEY)"
    ]


def test_the_statements_form_is_refused_where_whole_files_stand(slice_for: SliceOf) -> None:
    slice_ = slice_for(TWO, "orders", form="statements")
    with pytest.raises(PartlyAppliedError, match="for empty databases"):
        plan_of(slice_, ledger(slice_, "001"))


@pytest.mark.parametrize("form", ["files", "statements"])
def test_more_tables_are_refused_where_the_statements_form_left_files_out(
    slice_for: SliceOf, form: str
) -> None:
    small = slice_for(TWO, "users", form="statements")
    holds = ledger(small, "001", known=("002", "003"), form="statements", statements=(0,), of=2)
    with pytest.raises(PartlyAppliedError, match=r"for users, which leaves out 003_prices\.sql") as caught:
        plan_of(slice_for(TWO, "prices", form=form), holds)
    assert "all tables together" in caught.value.fix


def test_more_statements_of_a_file_are_refused_where_only_some_were_run(slice_for: SliceOf) -> None:
    small = slice_for(TWO, "users", form="statements")
    holds = ledger(small, "001", known=("002", "003"), form="statements", statements=(0,), of=2)
    with pytest.raises(PartlyAppliedError, match="holds 1 of the 2 statements") as caught:
        plan_of(slice_for(TWO, "audit", form="statements"), holds)
    assert str(caught.value.place) == "001_users.sql:1:42"


def test_new_migrations_of_the_same_tables_run_on_top_of_the_statements_form(slice_for: SliceOf) -> None:
    small = slice_for(TWO, "users", form="statements")
    holds = ledger(small, "001", known=("002", "003"), form="statements", statements=(0,), of=2)
    grown = slice_for({**TWO, "004_name.sql": "ALTER TABLE users ADD name text;"}, "users", form="statements")
    assert versions(plan_of(grown, holds)) == ["004"]


def test_the_same_slice_again_needs_nothing(slice_for: SliceOf) -> None:
    small = slice_for(TWO, "users", form="statements")
    holds = ledger(small, "001", known=("002", "003"), form="statements", statements=(0,), of=2)
    assert plan_of(small, holds).is_empty


@pytest.mark.parametrize(
    ("text", "single"),
    [
        ("CREATE TABLE b();", True),
        ("CREATE INDEX CONCURRENTLY i ON a (i);", False),
        ("CREATE TABLE b(); COMMIT; CREATE TABLE c();", False),
        ("ALTER TABLE a ADD UNIQUE (i) DEFERRABLE INITIALLY DEFERRED;", False),
        ("SET CONSTRAINTS ALL DEFERRED;", False),
    ],
)
def test_a_plan_is_one_transaction_where_its_statements_allow_it(
    slice_for: SliceOf, text: str, single: bool
) -> None:
    planned = plan_of(slice_for({"001_a.sql": "CREATE TABLE a(i int);", "002_b.sql": text}))
    assert planned.single_transaction is single


def test_a_file_cut_off_may_be_edited_from_there_on(slice_for: SliceOf, tmp_path: Path) -> None:
    first = "CREATE TABLE a(i int);\nCREATE INDEX CONCURRENTLY i ON a (i);\n"
    before = slice_for({"001_a.sql": first})
    from pgslate.execution.ledger import checksum_of

    done = checksum_of(before.files[0].statements[:1])
    holds = ledger(before, "001", next=1, done_checksum=done, begun={"indexes": []})
    after = slice_for({"001_a.sql": first.replace("(i);\n", "(i) WHERE i > 0;\n")})
    step = plan_of(after, holds).steps[0]
    assert (step.start, step.begun, [part.first for part in step.parts]) == (1, {"indexes": []}, [1])
    other = slice_for({"001_a.sql": first.replace("i int", "i bigint")})
    with pytest.raises(EditedMigrationError):
        plan_of(other, holds)
