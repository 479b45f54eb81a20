"""What migrations do to objects of a prelude comes along, in each form, with and without a lock."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import sql
from tests.slices.judging import court

from pgslate import apply
from pgslate.project.project import Project
from pgslate.slices.proof import prove
from pgslate.slices.prover import Prover
from pgslate.slices.selection import select
from pgslate.slices.slice import FORMS, Form
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.verbs.lock import lock

PRELUDE = """CREATE TABLE members (id int PRIMARY KEY);
CREATE TABLE untouched (id int);
CREATE FUNCTION tenant() RETURNS int LANGUAGE sql AS 'SELECT 1';
"""
MIGRATIONS = (
    "DROP FUNCTION tenant();",
    "CREATE FUNCTION tenant() RETURNS int LANGUAGE sql AS 'SELECT 7';",
    "ALTER TABLE members ADD COLUMN tenant int DEFAULT tenant();",
    "CREATE TABLE invoices (id int PRIMARY KEY, tenant int DEFAULT tenant());",
)

Make = Callable[[], Project]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "pgslate.toml").write_text('catalog = "migrations"\nprelude = ["before.sql"]\n')
    (tmp_path / "before.sql").write_text(PRELUDE)
    (tmp_path / "migrations").mkdir()
    for number, source in enumerate(MIGRATIONS, start=1):
        (tmp_path / "migrations" / f"{number:03}_step.sql").write_text(source + "\n")
    return lambda: Project.open(config=tmp_path / "pgslate.toml")


def test_tables_of_a_prelude_that_migrations_change_are_proved_by_a_lock(project: Make) -> None:
    written = lock(project())
    assert not written.unproved
    assert {"table public.members", "table public.invoices"} <= written.lock.slices.keys()
    assert "table public.untouched" not in written.lock.slices


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", ["members", "invoices"])
def test_a_name_that_a_prelude_held_is_freed_before_it_is_taken(
    project: Make, database: Target, table: str, form: Form
) -> None:
    opened = project()
    with database.connect(autocommit=True) as connection:
        connection.execute(PRELUDE.encode())
    apply(opened.slice(table, form=form), database)
    with database.connect(autocommit=True) as connection:
        row = connection.execute(
            sql.SQL("INSERT INTO {} (id) VALUES (1) RETURNING tenant").format(sql.Identifier(table))
        )
        assert row.fetchall() == [(7,)]


def test_an_untouched_table_of_a_prelude_needs_no_proof_where_there_is_a_lock(
    project: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock(project())
    monkeypatch.setattr(Server, "start", None)
    assert project().slice("untouched").files == ()


def test_the_roles_that_a_proof_makes_are_dropped_again(server: Server) -> None:
    with court(
        server,
        "-- no transaction\nCREATE ROLE pgslate_passing; CREATE TABLE users (id int);"
        "GRANT SELECT ON users TO pgslate_passing;",
    ) as case:
        units = select(case.catalog, case.trace, ["users"])
        snapshot = case.snapshot()
        with server.target().connect(autocommit=True) as connection:
            server.drop_database(case.database)
            connection.execute("DROP ROLE pgslate_passing")
            with Prover(server, snapshot=snapshot) as prover:
                for form in FORMS:
                    assert not prove(prover, case.catalog, case.trace, units, form).failures
            left = connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'pgslate_passing'")
            assert left.fetchall() == [(0,)]
