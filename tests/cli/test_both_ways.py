"""A verb and the function of the same name do the same on one database, and say the same as JSON."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

import pgslate
from pgslate import Project, Slice
from pgslate.cli.commands import VERBS
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

from .conftest import Run


class Result(Protocol):
    def as_json(self) -> Any: ...


CHANGES_EACH_TIME = {"applied_at", "duration_ms", "name", "dsn", "seconds", "started", "from_kept"}
"""Keys whose values belong to one run; that they are there is compared."""


def steady(said: Any) -> Any:
    """A document without what no two runs have in common."""
    if isinstance(said, dict):
        return {key: "..." if key in CHANGES_EACH_TIME else steady(value) for key, value in said.items()}
    if isinstance(said, list | tuple):
        return [steady(each) for each in said]
    return said


def assert_same(library: Result, printed: Any) -> None:
    assert steady(library.as_json()) == steady(printed)


@pytest.fixture
def opened(project: Path) -> Project:
    return Project.open()


@pytest.fixture
def events(opened: Project) -> Slice:
    return opened.slice("events")


@pytest.fixture
def second(server: Server) -> Iterator[Target]:
    """Another database, empty as the first."""
    name = "both_ways"
    with server.create_database(name) as target:
        yield target
    server.drop_database(name)


@pytest.mark.parametrize("form", ["files", "statements", "objects"])
def test_plan_for_an_empty_database(opened: Project, run: Run, form: Any) -> None:
    chosen = opened.slice("events", form=form)
    assert_same(pgslate.plan(chosen), run("plan", "events", "--form", form, "--format", "json").json)


def test_plan_for_no_database_is_the_plan_for_an_empty_one(events: Slice, database: Target) -> None:
    assert pgslate.plan(events) == pgslate.plan(events, database)


def test_plan_for_a_database(opened: Project, run: Run, database: Target) -> None:
    pgslate.apply(opened.slice("users"), database)
    printed = run("plan", "events_y2031m07", "--dsn", database.dsn, "--format", "json").json
    assert printed["partitions"] == ["events_y2031m07"]
    assert_same(pgslate.plan(opened.slice("events_y2031m07"), database), printed)


@pytest.mark.parametrize("form", ["files", "statements", "objects"])
def test_apply_runs_the_same_and_makes_the_same_partitions(
    opened: Project, run: Run, database: Target, second: Target, form: Any
) -> None:
    chosen = opened.slice("events", form=form)
    done = pgslate.apply(chosen, database, as_of=dt.datetime(2030, 1, 31, tzinfo=dt.UTC))
    assert done.partitions == ("public.events_y2030m01", "public.events_y2030m02")
    options = ("--form", form, "--as-of", "2030-01-31", "--dsn", second.dsn, "--format", "json")
    assert_same(done, run("apply", "events", *options).json)


def test_apply_records_what_is_assumed(opened: Project, run: Run, database: Target, second: Target) -> None:
    for target in (database, second):
        with target.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE teams (id bigint PRIMARY KEY)")
    done = pgslate.apply(opened.slice("teams"), database, assume_applied=["002"])
    assert done.recorded == ("002_teams.sql",)
    options = ("--assume-applied", "002", "--dsn", second.dsn, "--format", "json")
    assert_same(done, run("apply", "teams", *options).json)


def test_adopt(opened: Project, run: Run, database: Target, second: Target) -> None:
    for target in (database, second):
        with target.connect(autocommit=True) as connection:
            for file in ("001_users.sql", "002_teams.sql"):
                connection.execute((opened.catalog.root / file).read_bytes())
            connection.execute("CREATE TABLE schema_migrations (version bigint, dirty boolean)")
            connection.execute("INSERT INTO schema_migrations VALUES (2, false)")
    done = pgslate.adopt(opened, database, tool="golang-migrate")
    assert [migration.version for migration in done.pending] == ["003"]
    options = ("--tool", "golang-migrate", "--dsn", second.dsn, "--format", "json")
    assert_same(done, run("adopt", *options).json)


def test_verify_finds_the_same_differences_and_missing_partitions(
    opened: Project, events: Slice, run: Run, database: Target
) -> None:
    pgslate.apply(events, database)
    with database.connect(autocommit=True) as connection:
        connection.execute("ALTER TABLE users ALTER COLUMN name DROP NOT NULL")
    later = dt.datetime(2099, 5, 1, tzinfo=dt.UTC)
    printed = run("verify", "events", "--as-of", "2099-05-01", "--dsn", database.dsn, "--format", "json").json
    assert {each["object"] for each in printed["differences"]} >= {
        "public.users.name",
        "public.events_y2099m05",
    }
    assert_same(pgslate.verify(events, database, as_of=later), printed)


def test_status(opened: Project, run: Run, database: Target) -> None:
    pgslate.apply(opened.slice("users"), database)
    assert_same(
        pgslate.status(opened, database), run("status", "--dsn", database.dsn, "--format", "json").json
    )


def test_status_of_a_slice(opened: Project, run: Run, database: Target) -> None:
    pgslate.apply(opened.slice("users"), database)
    found = pgslate.status(opened.slice(contract="audit"), database)
    assert [migration.version for migration in found.pending] == ["003"]
    options = ("--contract", "audit", "--dsn", database.dsn, "--format", "json")
    assert_same(found, run("status", *options).json)


def test_up_and_down(events: Slice, run: Run) -> None:
    up = pgslate.up(events, name="both ways")
    try:
        printed = run("up", "events", "--name", "both ways", "--format", "json").json
        assert up.as_json() == {**printed, "started": True, "from_kept": up.from_kept}
    finally:
        down = pgslate.down(names=["both ways"])
    again = pgslate.up(events, name="both ways")
    assert again.tables == up.tables
    assert_same(down, run("down", "--name", "both ways", "--format", "json").json)


def test_lock_and_its_check(opened: Project, run: Run) -> None:
    locked = pgslate.lock(opened)
    printed = run("lock", "--format", "json").json
    assert locked.as_json() == {**printed, "changed": True}
    assert_same(pgslate.check_lock(Project.open()), run("lock", "--check", "--format", "json").json)


def test_prove(events: Slice, run: Run) -> None:
    assert_same(pgslate.prove(events), run("prove", "events", "--format", "json").json)


def test_snapshot(events: Slice, run: Run) -> None:
    assert_same(pgslate.snapshot(events), run("snapshot", "events", "--format", "json").json)


def test_affected(opened: Project, run: Run, project: Path) -> None:
    pgslate.lock(opened)
    for command in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm 1"):
        subprocess.run(["git", *command.split()], check=True, cwd=project)
    (project / "db" / "004_at.sql").write_text("ALTER TABLE events ADD seen boolean;\n")
    printed = run("affected", "HEAD", "--format", "json").json
    assert printed["affected"] == ["audit"]
    assert_same(pgslate.affected(Project.open(), "HEAD"), printed)


@pytest.mark.parametrize("name", ["events", "001_users.sql"])
def test_why_a_table_and_a_migration(opened: Project, run: Run, name: str) -> None:
    assert_same(pgslate.why(opened, name), run("why", name, "--format", "json").json)


def test_why_a_slice_is_why_its_table(opened: Project, events: Slice) -> None:
    assert pgslate.why(events) == pgslate.why(opened, "events")


def test_why_without_a_name_lists_the_relations(opened: Project, run: Run) -> None:
    assert_same(pgslate.why(opened), run("why", "--format", "json").json)


def test_lint(opened: Project, run: Run) -> None:
    options = ("--ignore", "squawk", "--as-of", "2030-01-31", "--format", "json")
    moment = dt.datetime(2030, 1, 31, tzinfo=dt.UTC)
    assert_same(pgslate.lint(opened, ignore=["squawk"], as_of=moment), run("lint", *options).json)


def test_explore(opened: Project, run: Run, project: Path) -> None:
    written = pgslate.explore(opened)
    page = (project / "catalog.html").read_text()
    assert_same(written, run("explore", "--format", "json").json)
    assert (project / "catalog.html").read_text() == page


def test_partitions(opened: Project, run: Run, database: Target, second: Target) -> None:
    chosen = opened.slice("users")
    for target in (database, second):
        pgslate.apply(opened.slice("events"), target, as_of=dt.datetime(2030, 1, 31, tzinfo=dt.UTC))
    assert chosen.policies == ()
    moment = dt.datetime(2031, 1, 31, tzinfo=dt.UTC)
    options = ("--as-of", "2031-01-31", "--dsn", second.dsn, "--format", "json")
    assert_same(
        pgslate.list_partitions(opened, database, as_of=moment), run("partitions", "list", *options).json
    )
    assert_same(
        pgslate.ensure_partitions(opened, database, as_of=moment),
        run("partitions", "ensure", *options).json,
    )


def test_clone_and_reap(events: Slice, run: Run, database: Target) -> None:
    with pgslate.clone(events, database) as made:
        printed = run("clone", "events", "--dsn", database.dsn, "--format", "json").json
        assert_same(made, printed)
        assert tables_of(made) == tables_of(Target(printed["dsn"]))
    done = pgslate.reap(database, unused_for=0.001, force=True)
    assert printed["name"] in done.clones
    assert set(run("reap", "--dsn", database.dsn, "--format", "json").json) == set(done.as_json())


def tables_of(target: Any) -> list[Any]:
    with target.connect(autocommit=True) as connection:
        query = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
        found: list[Any] = connection.execute(query).fetchall()
        return found


def test_every_verb_is_tested_here() -> None:
    """But for serve, forward and kube, which give no answer that ends, or need a cluster."""
    tested = " ".join(name for name in globals() if name.startswith("test_"))
    without = [verb for verb, _, _ in VERBS if verb not in tested]
    assert without == ["serve", "forward", "kube"]
