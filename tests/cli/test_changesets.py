"""The verbs where a file holds several migrations: whatever one is called in print can be given back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgslate.project.project import Project
from pgslate.targets.target import Target
from pgslate.verbs.explore import gathered

from .conftest import Run

FIRST = "--liquibase formatted sql\n--changeset ann:1\nCREATE TABLE users (id int PRIMARY KEY);\n"
SECOND = "--changeset ann:2\nCREATE TABLE teams (id int);\n"
FILE = "a.sql"


@pytest.fixture
def changesets(project: Path) -> Path:
    """A file of two changesets, in place of the project's migrations."""
    for file in (project / "db").iterdir():
        file.unlink()
    (project / "pgslate.toml").write_text('catalog = "db"\n')
    (project / "db" / FILE).write_text(FIRST + SECOND)
    return project / "db" / FILE


def test_an_edited_changeset_can_be_accepted_as_it_is_called(
    changesets: Path, run: Run, database: Target
) -> None:
    run("apply", "--dsn", database.dsn)
    changesets.write_text(FIRST + SECOND.replace("(id int)", "(id int NULL)"))
    refused = run("apply", "--dsn", database.dsn)
    assert (refused.status, "--accept-edited a.sql::2::ann" in refused.err) == (4, True)
    assert "a.sql::2::ann was edited" in refused.err
    assert "a.sql::2::ann" in run("status", "--dsn", database.dsn).out.partition("applied\n")[0]
    assert run("apply", "--dsn", database.dsn, "--accept-edited", "a.sql::2::ann").status == 0


def test_plan_status_and_why_call_a_changeset_by_its_version(
    changesets: Path, run: Run, database: Target
) -> None:
    planned = run("plan", "teams").out.split("not run")
    assert ["a.sql::2::ann" in planned[0], "a.sql::1::ann" in planned[1]] == [True, True]
    assert "a.sql::2::ann: 1 of 1 statement" in run("why", "teams").out
    assert run("why", "a.sql::2::ann").out.startswith("a.sql::2::ann is needed by 1 table")
    pending = run("status", "--dsn", database.dsn).out
    assert ["a.sql::1::ann" in pending, "a.sql::2::ann" in pending] == [True, True]
    assert run("plan", "teams", "--format", "json").json["migrations"][0]["file"] == FILE


def test_a_lock_says_which_changeset_is_new(changesets: Path, run: Run) -> None:
    changesets.write_text(FIRST)
    assert run("lock").status == 0
    changesets.write_text(FIRST + SECOND)
    assert "a.sql::2::ann is new" in run("lock", "--check").out


def test_the_page_of_explore_has_each_changeset(changesets: Path) -> None:
    assert gathered(Project.open())["files"] == ["a.sql::1::ann", "a.sql::2::ann"]
