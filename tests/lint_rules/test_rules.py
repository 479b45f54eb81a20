"""The other rules, and which of them are asked."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys

import pytest

from pgslate.errors import UsageError
from pgslate.verbs.lint import lint

from .conftest import Folder, Found

INIT = "".join(
    f"CREATE TABLE {t} (i int PRIMARY KEY); CREATE INDEX ON {t} (i); COMMENT ON TABLE {t} IS 'x';\n"
    for t in "abcdef"
)
EVENTS = (
    "CREATE TABLE events (d date PRIMARY KEY) PARTITION BY RANGE (d);"
    "CREATE TABLE e1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-06-01');"
)


def test_a_migration_that_ties_slices_together_is_found_with_what_it_costs(
    folder: Folder, found: Found
) -> None:
    (finding,) = found("mega-migration", folder({"1_init.sql": INIT, "2_x.sql": "CREATE TABLE x (i int);"}))
    assert finding.file == "1_init.sql"
    assert "ties 6 tables together (public.a, public.b, public.c, public.d and 2 more)" in finding.message
    assert "replay 18 statements on average, and would replay 3" in finding.message


def test_tables_that_need_each_other_are_not_tied_by_their_file(folder: Folder, found: Found) -> None:
    tables = "CREATE TABLE a (i int PRIMARY KEY); CREATE TABLE b (i int PRIMARY KEY REFERENCES a);"
    assert found("mega-migration", folder({"1_init.sql": tables})) == []


def test_partitions_that_end_soon_are_found_unless_a_policy_makes_more(folder: Folder) -> None:
    project = folder({"1_e.sql": EVENTS})

    def at(day: dt.datetime, months: int = 3) -> list[str]:
        found = lint(project, rules=["partition-window"], as_of=day, months=months)
        return [each.message for each in found.findings]

    assert at(dt.datetime(2026, 2, 28, tzinfo=dt.UTC)) == []
    assert "ends on 2026-06-01" in at(dt.datetime(2026, 3, 1, tzinfo=dt.UTC))[0]
    assert at(dt.datetime(2026, 3, 1, tzinfo=dt.UTC), months=2) == []
    assert "ended on 2026-06-01" in at(dt.datetime(2026, 6, 1, tzinfo=dt.UTC), months=0)[0]
    governed = folder({"1_e.sql": EVENTS}, '[partitions.events]\nevery = "month"\n')
    assert lint(governed, rules=["partition-window"], as_of=dt.datetime(2026, 6, 1, tzinfo=dt.UTC)).ok


def test_a_heavy_lock_on_a_table_with_rows_is_found(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "CREATE TABLE a (i int, n text); CREATE TABLE empty (i int);"
            "INSERT INTO a VALUES (1); CREATE INDEX early ON a (i);",
            "2_b.sql": """CREATE INDEX ON a (n);
ALTER TABLE a ALTER i SET NOT NULL, ADD CHECK (i > 0);
ALTER TABLE a ADD CHECK (i > 1) NOT VALID;
ALTER TABLE a ADD COLUMN u uuid DEFAULT gen_random_uuid();
ALTER TABLE a ADD COLUMN k int DEFAULT 7;
CREATE INDEX ON empty (i);""",
            "3_c.sql": "TRUNCATE a;\nALTER TABLE a ALTER n TYPE varchar(10);",
        }
    )
    assert [(f.file, f.line) for f in found("lock-on-rows", project)] == [
        ("2_b.sql", 1),
        ("2_b.sql", 2),
        ("2_b.sql", 2),
        ("2_b.sql", 4),
    ]


def test_an_index_made_concurrently_is_no_heavy_lock(folder: Folder, found: Found) -> None:
    project = folder(
        {
            "1_a.sql": "CREATE TABLE a (i int); INSERT INTO a VALUES (1);",
            "2_b.sql": "CREATE INDEX CONCURRENTLY ON a (i);",
        }
    )
    assert found("lock-on-rows", project) == []


def test_rules_are_chosen_and_left_out_by_name(folder: Folder) -> None:
    project = folder({"1_a.sql": "CREATE TABLE a (i int);"})
    assert lint(project, rules=["no-primary-key"]).checked == ("no-primary-key",)
    assert lint(project, ignore=["no-primary-key", "squawk"]).ok
    with pytest.raises(UsageError, match="no-primary-key"):
        lint(project, rules=["no-primary-keys"])


@pytest.mark.skipif(shutil.which("squawk") is None, reason="squawk is not installed")
def test_what_squawk_says_comes_with_the_place_in_the_migration(folder: Folder, found: Found) -> None:
    project = folder({"1_a.sql": "-- +goose Up\nSELECT 1;\nCREATE TABLE a (i serial PRIMARY KEY);\n"})
    assert ("squawk/prefer-identity", "1_a.sql", 3) in [
        (each.rule, each.file, each.line) for each in found("squawk", project)
    ]
    only = lint(project, rules=["squawk/prefer-identity"]).findings
    assert {each.rule for each in only} == {"squawk/prefer-identity"}


def test_without_squawk_its_rules_are_not_among_those_checked(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    monkeypatch.setattr(sys, "executable", os.devnull)
    assert "squawk" not in lint(folder({"1_a.sql": "SELECT 1;"}), rules=["squawk"]).checked
