"""What a difference comes from, and that no fix undoes what a migration does or a user may do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.execution.conftest import SliceOf
from tests.execution.looking import rows, run

from pgslate.errors import ConfigError, VerificationError
from pgslate.project.configuration import Config
from pgslate.schema.difference import Difference
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply
from pgslate.verbs.verify import verify

PRICES = {"001_price.sql": "CREATE TABLE price (id int PRIMARY KEY, amount numeric);"}
CENTS = {"002_cents.sql": "ALTER TABLE price ADD cents int; ALTER TABLE price DROP amount;"}


def named(found: tuple[Difference, ...]) -> list[str]:
    return [each.object for each in found]


# -- pending migrations


def test_what_a_pending_migration_changes_is_called_pending_and_nothing_is_dropped(
    slice_for: SliceOf, database: Target
) -> None:
    apply(slice_for(PRICES), database)
    run(database, "INSERT INTO price VALUES (1, 9.5)")
    first, *others = verify(slice_for({**PRICES, **CENTS}), database).differences
    assert (first.object, first.found, first.fix) == ("002_cents.sql", "pending", "pgslate apply")
    assert named(tuple(others)) == ["public.price.cents", "public.price.amount"]
    assert {each.fix for each in others} == {"pending: 002_cents.sql; pgslate apply"}


def test_a_difference_on_another_table_than_the_pending_one_keeps_its_own_fix(
    slice_for: SliceOf, database: Target
) -> None:
    other = {"000_other.sql": "CREATE TABLE other (i int, j int DEFAULT 7);"}
    apply(slice_for({**other, **PRICES}), database)
    run(database, "ALTER TABLE other ALTER j DROP DEFAULT")
    found = verify(slice_for({**other, **PRICES, **CENTS}), database).differences
    (of_other,) = [each for each in found if each.object == "public.other.j"]
    assert of_other.fix == "ALTER TABLE public.other ALTER COLUMN j SET DEFAULT 7;"


def test_a_pending_migration_that_changes_no_definition_is_no_difference(
    slice_for: SliceOf, database: Target
) -> None:
    apply(slice_for(PRICES), database)
    rows_only = {"002_rows.sql": "INSERT INTO price VALUES (1, 2);"}
    assert verify(slice_for({**PRICES, **rows_only}), database).ok


# -- what is there too much


@pytest.fixture
def prices(slice_for: SliceOf, database: Target) -> Slice:
    slice_ = slice_for(PRICES)
    apply(slice_, database)
    return slice_


def test_an_index_that_is_allowed_by_name_ends_no_apply(prices: Slice, database: Target) -> None:
    run(database, "CREATE INDEX dba_amount ON price (amount)")
    with pytest.raises(VerificationError) as caught:
        apply(prices, database)
    (difference,) = caught.value.differences
    assert difference.fix.startswith("DROP INDEX public.dba_amount; -- or ")
    assert apply(replace(prices, allow=("dba_*",)), database).nothing_to_do
    assert verify(prices, database, allow=["public.dba_amount"]).ok


def test_a_column_is_never_dropped_by_a_fix(prices: Slice, database: Target) -> None:
    run(database, "ALTER TABLE price ADD by_hand text")
    (difference,) = verify(prices, database).differences
    assert 'allow = ["public.price.by_hand"]' in difference.fix
    assert "DROP" not in difference.fix


def test_what_is_allowed_may_still_not_differ_where_a_migration_makes_it(
    prices: Slice, database: Target
) -> None:
    run(database, "ALTER TABLE price ALTER amount SET NOT NULL")
    assert named(verify(prices, database, allow=["*"]).differences) == ["public.price.amount"]


def test_stray_objects_and_settings_are_reported_where_nothing_else_may_be_there(
    prices: Slice, database: Target
) -> None:
    name = rows(database, "SELECT quote_ident(current_database())")[0][0]
    run(
        database,
        "CREATE TABLE stray (i int)",
        "CREATE SCHEMA strays",
        "CREATE FUNCTION strays.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        f"ALTER DATABASE {name} SET work_mem = '1MB'",
    )
    assert verify(prices, database).ok
    found = verify(prices, database, nothing_else=True).differences
    assert set(named(found)) == {"public.stray", "strays", "strays.f()", "work_mem"}
    assert {each.expected for each in found} == {"nothing"}
    for each in found:
        if each.fix.endswith(";"):
            run(database, each.fix)
    allowed = verify(prices, database, nothing_else=True, allow=["stray", "strays", "strays.*"])
    assert allowed.ok, allowed.differences


def test_a_slice_does_not_call_the_tables_of_the_rest_of_the_catalog_stray(
    slice_for: SliceOf, database: Target
) -> None:
    files = {**PRICES, "002_other.sql": "CREATE TABLE other (i int);"}
    apply(slice_for(files), database)
    assert verify(slice_for(files, "other"), database, nothing_else=True).ok


def test_the_configuration_names_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "pgslate.toml").write_text('[verify]\nallow = ["dba_*"]\n')
    assert Config.load(tmp_path).allow == ("dba_*",)
    (tmp_path / "pgslate.toml").write_text('[verify]\nallowed = ["dba_*"]\n')
    with pytest.raises(ConfigError, match=r"verify\.allowed is unknown"):
        Config.load(tmp_path)


# -- partitions that were renamed


def test_a_partition_that_was_renamed_is_one_difference(slice_for: SliceOf, database: Target) -> None:
    text = """CREATE TABLE log (id bigint, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE INDEX ON log (at);
        CREATE TABLE log_january PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');"""
    slice_ = slice_for({"001_log.sql": text})
    apply(slice_, database)
    run(database, "ALTER TABLE log_january RENAME TO zz")
    (difference,) = verify(slice_, database).differences
    assert difference.object == "public.zz"
    assert "a partition of public.log FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')" in difference.found
    assert "that no migration and no policy makes" in difference.found
    run(database, difference.fix)
    assert verify(slice_, database).ok


# -- branches that the trace did not take


def test_a_grant_behind_a_role_names_its_branch_and_the_prelude(
    slice_for: SliceOf, database: Target, role: str
) -> None:
    block = """CREATE TABLE t (i int);
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = '%s') THEN
    GRANT SELECT ON t TO %s;
  END IF;
END $$;"""
    other = f"{role}_absent"  # when it was traced
    slice_ = slice_for({"001_t.sql": block % (other, other)})
    run(database, f"CREATE ROLE {other}")
    with pytest.raises(VerificationError) as caught:
        apply(slice_, database)
    assert "001_t.sql:4 may have made it" in caught.value.fix
    assert "[prelude]" in caught.value.fix
    assert "REVOKE" not in caught.value.fix
