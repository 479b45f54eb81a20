"""Templates: complete or not there, whoever builds them, and whoever is killed while building."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.registry import Registry
from pgslate.clones.sealed_database import ensure_compact
from pgslate.clones.template import ensure_template
from pgslate.clones.template_contents import Contents
from pgslate.errors import LockTimeoutError, MigrationFailedError, ProofError, TargetError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import Open
from .looking import tables_of, templates
from .runners import OPEN, ask, runner

STEPS = ["clear", "create", "fill", "verify", "leave", "seal", "rename", "named"]

# For each line it is told, it builds in a forked child, so that one interpreter imports everything once.
BUILDERS = (
    OPEN
    + """
from pgslate.clones.template_contents import contents_of
from pgslate.clones.template import ensure_template

def build(dsn, catalog, fatal):
    databases = opened(dsn, catalog)
    selection = databases.project.selection(["unlucky"])
    contents = contents_of(databases.project.slice_for(selection), databases.facts)
    steps = []

    def step(name):
        steps.append(name)
        if name == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    template = ensure_template(databases.registry, contents, step=step)
    databases.close()
    return template.name, steps

for line in sys.stdin:
    told = json.loads(line)
    back, forth = os.pipe()
    child = os.fork()
    if not child:
        os.write(forth, json.dumps(build(*told)).encode())
        os._exit(0)
    os.close(forth)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    say([status, json.loads(os.read(back, 100000) or "null")])
    os.close(back)
"""
)


@pytest.fixture(scope="module")
def builder() -> Iterator[subprocess.Popen[str]]:
    """A process to ``ask`` to build the template of ``unlucky``, and to be killed at a step."""
    with runner(BUILDERS) as process:
        yield process


@pytest.fixture(scope="module")
def other_builder() -> Iterator[subprocess.Popen[str]]:
    """Another one."""
    with runner(BUILDERS) as process:
        yield process


@pytest.fixture
def unlucky(server: Server) -> Iterator[Path]:
    """A catalog with one table, which no other test asks for; its template is gone afterwards.

    What templates are made from is there already.
    """
    registry = Registry(server.target())
    with registry.connect() as connection:
        assert ensure_compact(registry, connection)
    registry.close()
    before = set(templates(server))
    yield Path(__file__).parent / "unlucky"
    with server.target().connect(autocommit=True) as connection:
        for name in set(templates(server)) - before:
            connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
            connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


def is_sealed(server: Server, name: str) -> bool:
    with server.target().connect() as connection:
        row = connection.execute(
            "SELECT datistemplate AND NOT datallowconn FROM pg_database WHERE datname = %s", [name]
        ).fetchone()
    return bool(row and row[0])


@pytest.mark.parametrize("fatal", STEPS)
def test_a_builder_killed_at_any_step_leaves_no_half_template(
    server: Server, unlucky: Path, databases_on: Open, builder: subprocess.Popen[str], fatal: str
) -> None:
    before = set(templates(server))
    status, _ = ask(builder, server.dsn(), str(unlucky), fatal)
    assert status == -signal.SIGKILL
    finished = {name for name in set(templates(server)) - before if database_names.is_template(name)}
    assert all(is_sealed(server, name) for name in finished)
    assert bool(finished) == (fatal == "named")
    with databases_on(server, Project.open(unlucky)).database("unlucky") as database:
        assert tables_of(database.dsn) == ["unlucky"]
    assert [name for name in set(templates(server)) - before if not database_names.is_template(name)] == []


def test_two_processes_that_want_one_template_build_it_once(
    server: Server, unlucky: Path, builder: subprocess.Popen[str], other_builder: subprocess.Popen[str]
) -> None:
    asked = (server.dsn(), str(unlucky), None)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda process: ask(process, *asked), (builder, other_builder)))
    assert [status for status, _ in answers] == [0, 0]
    (name, steps), (other_name, other_steps) = (built for _, built in answers)
    assert name == other_name
    assert sorted([steps, other_steps]) == [[], STEPS]


def test_many_threads_that_want_one_template_all_get_it(
    server: Server, unlucky: Path, databases_on: Open
) -> None:
    databases = databases_on(server, Project.open(unlucky), threads=True)
    found: list[list[str]] = []

    def use() -> None:
        with databases.database("unlucky") as database:
            found.append(tables_of(database.dsn))

    threads = [threading.Thread(target=use) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["unlucky"]] * 6


def test_who_waits_too_long_for_another_builder_is_told_who_it_is(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop, application="the slow one")
    with (
        databases.registry.exclusively("template pgslate_x", timeout=1),
        pytest.raises(LockTimeoutError, match="the slow one"),
        databases.registry.exclusively("template pgslate_x", timeout=0.05),
    ):
        pass


def test_a_template_that_somebody_opened_is_made_again(
    server: Server, unlucky: Path, databases_on: Open
) -> None:
    databases = databases_on(server, Project.open(unlucky), ahead=0)
    template = databases.prepare("unlucky").name
    with server.target().connect(autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(template))
        )
    with psycopg.connect(server.dsn(template), autocommit=True) as intruder:
        intruder.execute("CREATE TABLE mine ()")
        with databases.database("unlucky") as database:
            assert tables_of(database.dsn) == ["unlucky"]
        with pytest.raises(psycopg.OperationalError):
            intruder.execute("SELECT 1")
    assert is_sealed(server, template)


def test_nobody_can_connect_to_a_template(server: Server, shop: Project, databases_on: Open) -> None:
    template = databases_on(server, shop).prepare("stock").name
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(server.dsn(template))


def test_a_template_that_was_dropped_is_made_again(server: Server, unlucky: Path, databases_on: Open) -> None:
    databases = databases_on(server, Project.open(unlucky), ahead=0)
    template = sql.Identifier(databases.prepare("unlucky").name)
    with server.target().connect(autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(template))
        connection.execute(sql.SQL("DROP DATABASE {}").format(template))
    with databases.database("unlucky") as database:
        assert tables_of(database.dsn) == ["unlucky"]


def test_roles_that_migrations_make_may_be_there_from_another_template(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001_role.sql").write_text("CREATE ROLE clerk;")
    (tmp_path / "002_tables.sql").write_text(
        "CREATE TABLE desk (x int); CREATE TABLE chair (x int);"
        "GRANT SELECT ON desk TO clerk; GRANT SELECT ON chair TO clerk;"
    )
    databases = databases_on(server, Project.open(tmp_path))
    for table in ("desk", "chair"):
        with databases.database(table) as database, database.connect() as connection:
            row = connection.execute("SELECT has_table_privilege('clerk', %s, 'SELECT')", [table]).fetchone()
            assert row == (True,)


def test_a_migration_that_fails_here_is_told_with_its_place_and_leaves_nothing(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001_once.sql").write_text(
        "DO $$ BEGIN"
        " IF current_database() LIKE 'pgslate\\_%\\_building' THEN RAISE EXCEPTION 'not here'; END IF;"
        " CREATE TABLE IF NOT EXISTS once (x int); END $$;\n"
    )
    before = templates(server)
    databases = databases_on(server, Project.open(tmp_path))
    project = databases.project
    contents_form = project.slice("once", form="statements")
    with pytest.raises(MigrationFailedError, match="001_once") as caught:
        ensure_template(databases.registry, Contents(contents_form))
    assert caught.value.place is not None
    assert templates(server) == before


def test_a_template_that_comes_out_other_than_the_catalog_says_is_not_used(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001_moody.sql").write_text("CREATE TABLE moody (x int);")
    before = templates(server)
    databases = databases_on(server, Project.open(tmp_path))
    contents = Contents(
        databases.project.slice("moody", form="objects"), script="CREATE TABLE public.moody (x bigint)"
    )
    with pytest.raises(ProofError, match="moody"):
        ensure_template(databases.registry, contents)
    assert templates(server) == before


def test_the_statements_form_is_used_where_the_server_refuses_the_script(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001_plain.sql").write_text("CREATE TABLE plain (x int);")
    notes: list[str] = []
    databases = databases_on(server, Project.open(tmp_path), note=notes.append)
    project = databases.project
    contents = Contents(project.slice("plain", form="objects"), script="CREATE TABLE future SYNTAX")
    template = ensure_template(
        databases.registry, contents, fallback=lambda: Contents(project.slice("plain", form="statements"))
    )
    assert is_sealed(server, template.name)
    assert template.form == "statements"
    assert ensure_template(databases.registry, contents).form == "statements"  # it remembers
    assert notes == [
        "the template for plain is made in the statements form, because the objects form failed with:"
        ' syntax error at or near "SYNTAX"'
    ]


def test_a_full_disk_is_told_and_no_other_form_is_tried(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "001_large.sql").write_text("CREATE TABLE large (x int);")
    databases = databases_on(server, Project.open(tmp_path))
    contents = Contents(
        databases.project.slice("large", form="objects"),
        script="DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
    )

    def fallback() -> Contents:
        raise AssertionError("tried in the other form")

    with pytest.raises(TargetError, match="no room for another database: could not extend file"):
        ensure_template(databases.registry, contents, fallback=fallback)


def test_a_prelude_that_can_not_run_twice_on_a_server_is_told_as_everywhere(
    server: Server, tmp_path: Path, databases_on: Open
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "001_a.sql").write_text("CREATE TABLE a (x int);")
    (tmp_path / "roles.sql").write_text("CREATE ROLE porter;")
    (tmp_path / "pgslate.toml").write_text('prelude = ["roles.sql"]\n')
    databases = databases_on(server, Project.open(start=tmp_path))
    with server.target().connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE porter")
    with pytest.raises(MigrationFailedError, match=r"roles\.sql failed") as caught:
        databases.prepare("a")
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE porter")
    assert "let the prelude run twice" in caught.value.fix
