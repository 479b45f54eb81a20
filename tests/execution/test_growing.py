"""More tables for a database that has some: what is older runs on what newer files left, or nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog
from pgslate.errors import MigrationFailedError
from pgslate.project.project import Project
from pgslate.report import plan as report
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.verbs.apply import apply
from pgslate.verbs.plan import plan

from .looking import ledger, tables

RENAMED = {
    "1_t.sql": "CREATE TABLE t (id int PRIMARY KEY);",
    "2_own.sql": "CREATE TABLE own (id int PRIMARY KEY);",
    "3_u.sql": "CREATE TABLE u (id int PRIMARY KEY, t int REFERENCES t, own int REFERENCES own);",
    "4_rename.sql": "ALTER TABLE t RENAME TO tt;",
}
DROPPED = {
    "1_t.sql": "CREATE TABLE t (id int PRIMARY KEY, step text);",
    "2_s.sql": "CREATE TABLE s (id int PRIMARY KEY, step text); INSERT INTO s SELECT id, step FROM t;",
    "3_drop.sql": "ALTER TABLE t DROP COLUMN step;",
}


def slices(folder: Path, files: Mapping[str, str], *wanted: str) -> list[Slice]:
    """The slice of each table alone, in the files form."""
    for name, text in files.items():
        (folder / name).write_text(text)
    project = Project(Catalog.load(folder))
    return [project.slice(table) for table in wanted]


def test_a_file_that_needs_what_was_renamed_since_is_explained_and_nothing_stays(
    tmp_path: Path, database: Target
) -> None:
    tt, u = slices(tmp_path, RENAMED, "tt", "u")
    apply(tt, database)
    with pytest.raises(MigrationFailedError) as caught:
        apply(u, database)
    assert "3_u.sql is older than 4_rename.sql, which was applied before it and renames" in str(caught.value)
    assert "to an empty database" in caught.value.fix
    assert (tables(database), ledger(database)) == (["tt"], ["1", "4"])


def test_a_file_that_needs_a_column_that_was_dropped_since_is_explained(
    tmp_path: Path, database: Target
) -> None:
    t, s = slices(tmp_path, DROPPED, "t", "s")
    apply(t, database)
    with pytest.raises(MigrationFailedError) as caught:
        apply(s, database)
    assert "2_s.sql is older than 3_drop.sql, which was applied before it and changes" in str(caught.value)
    assert "--assume-applied 2_s.sql" in caught.value.fix


def test_older_files_that_still_run_are_applied(tmp_path: Path, database: Target) -> None:
    tt, own = slices(tmp_path, RENAMED, "tt", "own")
    apply(tt, database)
    apply(own, database)
    assert tables(database) == ["own", "tt"]


def test_an_error_that_has_nothing_to_do_with_newer_files_is_told_as_ever(
    tmp_path: Path, database: Target
) -> None:
    tt, own = slices(tmp_path, RENAMED, "tt", "own")
    apply(tt, database)
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE own (i int)")
    with pytest.raises(MigrationFailedError) as caught:
        apply(own, database)
    assert "it is there already" in caught.value.fix


COPIED = {
    "1_a.sql": "CREATE TABLE a (id int, kind text);",
    "2_copy.sql": "CREATE TABLE a_in AS SELECT * FROM a;\nALTER TABLE a_in ADD job int;",
    "3_job.sql": "ALTER TABLE a ADD job int;",
}


def test_a_file_that_copies_what_a_newer_one_changed_is_explained_and_planned(
    tmp_path: Path, database: Target
) -> None:
    a, a_in = slices(tmp_path, COPIED, "a", "a_in")
    apply(a, database)
    why = "2_copy.sql is older than 3_job.sql, which was applied before it and changes"
    (collision,) = plan(a_in, database).collisions
    assert collision.startswith(why)
    assert f"may fail: {why}" in report.text(plan(a_in, database), a_in)
    with pytest.raises(MigrationFailedError) as caught:
        apply(a_in, database)
    assert caught.value.sqlstate == "42701"
    assert f"\n{why}" in caught.value.message
    assert "--assume-applied 2_copy.sql" in caught.value.fix


def test_a_plan_that_grows_without_a_collision_warns_of_none(tmp_path: Path, database: Target) -> None:
    files = {
        "1_a.sql": "CREATE TABLE a ();",
        "2_b.sql": "CREATE TABLE b ();",
        "3_a.sql": "ALTER TABLE a ADD i int;",
    }
    a, b = slices(tmp_path, files, "a", "b")
    apply(a, database)
    assert plan(b, database).collisions == ()
