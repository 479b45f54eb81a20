"""Names in pgslate.toml that are no table's are errors before anything is run, with what may be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgslate.targets.target import Target

from .conftest import CONFIG, Run

VERBS = [("lock",), ("lint",), ("plan",), ("up",), ("why", "users"), ("explore",), ("snapshot", "users")]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb[0])
def test_a_policy_of_no_table_is_refused(project: Path, run: Run, verb: tuple[str, ...]) -> None:
    (project / "pgslate.toml").write_text(CONFIG.replace("[partitions.events]", "[partitions.evnts]"))
    ran = run(*verb, "--format", "json")
    assert (ran.status, ran.json["error"]) == (2, "ConfigError")
    assert ran.json["message"] == "[partitions.evnts]: no such table"
    assert ran.json["fix"] == "did you mean events?"
    assert not (project / "pgslate.lock").exists()


@pytest.mark.parametrize("verb", ["apply", "verify", "plan", "clone"])
def test_a_policy_of_a_table_that_is_not_partitioned_is_refused_before_anything_is_run(
    project: Path, run: Run, database: Target, verb: str
) -> None:
    (project / "pgslate.toml").write_text(CONFIG.replace("[partitions.events]", "[partitions.users]"))
    ran = run(verb, "--dsn", database.dsn)
    assert ran.status == 2
    assert "[partitions.users]: the table public.users is not partitioned" in ran.err
    with database.connect() as connection:
        assert connection.execute("SELECT to_regnamespace('pgslate')").fetchone() == (None,)


def test_a_policy_of_a_table_that_is_partitioned_by_list_is_refused(project: Path, run: Run) -> None:
    (project / "db" / "004_regions.sql").write_text("CREATE TABLE regions (r text) PARTITION BY LIST (r);\n")
    (project / "pgslate.toml").write_text(
        CONFIG.replace("[partitions.events]", '[partitions."public.regions"]')
    )
    ran = run("plan", "users")
    assert (ran.status, "public.regions is partitioned by LIST (r)" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("was", "misspelt", "owner"),
    [
        ('tables = ["events"]', 'tables = ["event"]', "contract audit"),
        ('"users", ', '"user", ', "bundle people"),
    ],
)
def test_a_table_that_no_migration_makes_is_an_error_of_whoever_names_it(
    project: Path, run: Run, was: str, misspelt: str, owner: str
) -> None:
    (project / "pgslate.toml").write_text(CONFIG.replace(was, misspelt))
    ran = run("lock")
    assert ran.status == 2
    assert f"{owner}: no migration of db makes a table" in ran.err
    assert "did you mean" in ran.err


def test_a_partition_that_a_policy_makes_may_be_in_a_contract(project: Path, run: Run) -> None:
    named = CONFIG.replace('tables = ["events"]', 'tables = ["events_y2031m07"]')
    (project / "pgslate.toml").write_text(named)
    assert run("plan", "--contract", "audit").status == 0
