"""What every migration's session begins with, by ``[session]``: it holds again after each file."""

from __future__ import annotations

from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from tests.slices.judging import court

from pgslate import apply, verify
from pgslate.errors import ConfigError, MigrationFailedError
from pgslate.execution.slice_run import prepare
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.trace_cache import trace_of

AUTH = {"search_path": "auth"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Migrations that name no schema, meant for one that a prelude makes."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "001_users.sql").write_text("CREATE TABLE users (id int); SET search_path = public;")
    (folder / "002_tokens.sql").write_text("CREATE TABLE tokens (id int);")
    (tmp_path / "before.sql").write_text("CREATE SCHEMA auth; CREATE TABLE keys (id int);")
    (tmp_path / "pgslate.toml").write_text(
        'catalog = "migrations"\nprelude = ["before.sql"]\n[session]\nsearch_path = "auth, public"\n'
    )
    return Project.open(start=tmp_path)


def test_a_search_path_holds_in_every_file_and_each_form(server: Server) -> None:
    function = """CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM users';
        CREATE TABLE totals (id int, n bigint DEFAULT count_users());"""
    with court(
        server,
        "CREATE TABLE users (id int); CREATE TABLE other (id int); SET search_path = public;",
        "ALTER TABLE users ADD COLUMN name text;",
        function,
        prelude=["CREATE SCHEMA auth;"],
        settings=AUTH,
    ) as case:
        assert case.files("auth.users") == ["1", "2"]
        assert case.files("auth.totals") == ["1", "2", "3"]
        case.assert_exact("auth.users", "auth.totals", "auth.other")
        assert not case.proof("auth.totals", "files").failures


def test_a_catalog_is_applied_and_verified_under_the_settings(project: Project, database: Target) -> None:
    chosen = project.slice("tokens")
    prepare(chosen, database)
    apply(chosen, database)
    assert verify(chosen, database).ok
    with database.connect() as connection:
        made = connection.execute("SELECT to_regclass('auth.tokens'), to_regclass('auth.keys')").fetchone()
    assert made is not None
    assert None not in made


def test_settings_join_those_of_the_dsn(database: Target) -> None:
    given = Target(make_conninfo(database.dsn, options="-c work_mem=5MB"))
    with given.connect(settings={"search_path": '"a b", "c\\d"', "app.tenant": "x"}) as connection:
        connection.execute("RESET ALL")
        settings = ("search_path", "app.tenant", "work_mem")
        said = [connection.execute("SELECT current_setting(%s)", [name]).fetchone() for name in settings]
    assert said == [('"a b", "c\\d"',), ("x",), ("5MB",)]


def test_a_trace_is_of_its_settings(project: Project) -> None:
    elsewhere = Project.open(project.catalog.root, config=project.config.file)
    elsewhere.catalog.settings["search_path"] = "public"  # type: ignore[index]
    names = [
        {unit.name for unit in trace_of(each.catalog, prelude=each.prelude).units if unit.kind == "table"}
        for each in (project, elsewhere)
    ]
    assert [("auth.tokens" in found, "public.tokens" in found) for found in names] == [
        (True, False),
        (False, True),
    ]


def test_a_name_that_is_no_settings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pgslate.toml").write_text('[session]\n"search path" = "app"\n')
    with pytest.raises(ConfigError, match="is no setting's name"):
        Project.open(start=tmp_path)


def test_a_setting_that_the_server_refuses_is_the_configurations_fault(database: Target) -> None:
    with pytest.raises(ConfigError, match='invalid value for parameter "work_mem"') as error:
        database.connect(settings={"work_mem": "much"})
    assert error.value.fix == "correct work_mem in [session] of pgslate.toml"


def test_a_setting_of_ones_own_has_a_dot_in_its_name(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1_a.sql").write_text("CREATE TABLE users (id int);")
    (tmp_path / "pgslate.toml").write_text(
        "[session]\napp.tenant = 'x'\napp.strict = true\nwork_mem = 5000\n"
    )
    settings = Project.open(start=tmp_path).catalog.settings
    assert settings == {"app.tenant": "x", "app.strict": "true", "work_mem": "5000"}


def test_a_table_missed_by_its_bare_name_is_told_where_it_is(server: Server) -> None:
    with (
        pytest.raises(MigrationFailedError) as error,
        court(server, "CREATE SCHEMA app; CREATE TABLE app.users (id int);", "DROP TABLE users;"),
    ):
        pass
    assert "app.users is there" in error.value.fix
    assert '[session] search_path = "app, public"' in error.value.fix
