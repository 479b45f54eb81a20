"""The pytest plugin: what it costs, what it keeps, what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pgslate.cli import main
from pgslate.clones import database_names
from pgslate.targets.embedded.server import Server
from pgslate.verbs.reap import reap

from .conftest import ROOT, RunPytest

Make = Callable[[str], Path]

USES = """
def test_it(pgslate_database):
    with pgslate_database.connect() as connection:
        connection.execute("INSERT INTO things VALUES ('a')")
"""

FAILS = USES + "    assert False\n"


# Each process that runs it leaves a file named for its worker, which holds the DSN of its server.
WRITES_ITS_SERVER_DOWN = """
import os
def test_it(pgslate_server):
    with open(os.environ["PYTEST_XDIST_WORKER"] + ".dsn", "w") as file:
        file.write(pgslate_server.dsn)
"""


def servers_of(folder: Path) -> set[str]:
    return {file.read_text() for file in folder.glob("*.dsn")}


def repeated(test: str, times: int) -> str:
    """The test, run so many times."""
    marked = f"import pytest\n@pytest.mark.parametrize('n', range({times}))\n"
    return marked + test.strip().replace("(pgslate", "(n, pgslate") + "\n"


def clones_on(server: Server) -> list[str]:
    with server.target().connect() as connection:
        return [
            row[0]
            for row in connection.execute(
                "SELECT datname::text FROM pg_database WHERE datname ~ %s", [database_names.CLONES]
            )
        ]


def test_a_run_that_asks_for_no_database_imports_and_starts_nothing(
    project: Make, run_pytest: RunPytest
) -> None:
    folder = project(
        "import sys\n"
        "def test_it():\n"
        "    heavy = {'psycopg', 'socket', 'pgparse', 'pgslate.project.project', 'pgslate.testing.run'}\n"
        "    loaded = heavy & set(sys.modules)\n"
        "    assert not loaded - {'socket'}, loaded\n"
    )
    ran = run_pytest(folder)
    assert ran.outcomes == {"passed": 1}, ran.out


def test_neither_do_the_controller_and_the_workers_of_xdist(project: Make, run_pytest: RunPytest) -> None:
    pytest.importorskip("xdist")
    folder = project("def test_it(): pass\n")
    (folder / "conftest.py").write_text(
        "import sys\n"
        "def pytest_sessionfinish():\n"
        "    assert not {'psycopg', 'pgslate.targets', 'pgslate.testing.run'} & set(sys.modules)\n"
    )
    ran = run_pytest(folder, "-n", "1", plugins=("xdist",))
    assert ran.outcomes == {"passed": 1}, ran.out


def test_the_plugin_itself_takes_next_to_nothing_to_import() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import pgslate.testing.pytest_plugin;"
        "print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name for name in eval(done.stdout) if not name.startswith("pgslate")}  # noqa: S307  # our own output
    assert loaded == set()


def test_the_markers_are_known(project: Make, run_here: RunPytest) -> None:
    folder = project(
        "import pytest\n@pytest.mark.tables('things')\n@pytest.mark.contract('x')\ndef test_it(): pass\n"
    )
    ran = run_here(folder, "--strict-markers", "-W", "error")
    assert ran.outcomes == {"passed": 1}, ran.out


def test_markers_of_class_and_test_add_up(project: Make, run_here: RunPytest) -> None:
    folder = project(
        "import pytest\n"
        "@pytest.mark.tables('things')\n"
        "class TestBoth:\n"
        "    @pytest.mark.tables('others')\n"
        "    def test_it(self, pgslate_database):\n"
        "        with pgslate_database.connect() as connection:\n"
        "            connection.execute('SELECT FROM things, others')\n"
    )
    (folder / "migrations" / "002_others.sql").write_text("CREATE TABLE others (); CREATE TABLE third ();")
    ran = run_here(folder)
    assert ran.outcomes == {"passed": 1}, ran.out


def test_an_unknown_table_fails_the_test_with_what_it_may_mean(project: Make, run_here: RunPytest) -> None:
    folder = project("import pytest\n@pytest.mark.tables('thing')\ndef test_it(pgslate_database): pass\n")
    ran = run_here(folder)
    assert ran.outcomes == {"error": 1}, ran.out
    assert "did you mean things?" in ran.out
    assert "slicing/select.py" not in ran.out  # no way through our own code is shown


def test_a_named_server_is_used_and_left_clean(project: Make, run_here: RunPytest, server: Server) -> None:
    before = clones_on(server)
    ran = run_here(project(USES), PGSLATE_DSN=server.dsn())
    assert ran.outcomes == {"passed": 1}, ran.out
    assert clones_on(server) == before


def test_the_option_wins_over_the_environment_and_that_over_the_ini(
    project: Make, run_here: RunPytest, server: Server
) -> None:
    folder = project(USES)
    (folder / "pytest.ini").write_text("[pytest]\npgslate_dsn = postgresql://nobody@127.0.0.1:1/ini\n")
    ran = run_here(folder, PGSLATE_DSN=server.dsn())
    assert ran.outcomes == {"passed": 1}, ran.out
    ran = run_here(
        folder, "--pgslate-dsn", server.dsn(), PGSLATE_DSN="postgresql://nobody@127.0.0.1:1/environ"
    )
    assert ran.outcomes == {"passed": 1}, ran.out


def test_the_database_of_a_failed_test_is_kept_and_the_report_says_how_to_look(
    project: Make, run_here: RunPytest, server: Server
) -> None:
    ran = run_here(project(FAILS), "--pgslate-dsn", server.dsn())
    found = re.search(r"To look into it: psql '?(\S+?)'?\n", ran.out)
    assert found, ran.out
    with psycopg.connect(found[1]) as connection:
        assert connection.execute("SELECT name FROM things").fetchall() == [("a",)]
    reap(server.target(), kept=True)


@pytest.mark.parametrize(
    ("keep", "tests", "kept"), [("none", FAILS, 0), ("all", USES, 1), ("failed", USES, 0)]
)
def test_what_is_kept_can_be_chosen(
    project: Make, run_here: RunPytest, server: Server, keep: str, tests: str, kept: int
) -> None:
    before = clones_on(server)
    run_here(project(tests), "--pgslate-dsn", server.dsn(), "--pgslate-keep", keep)
    assert len(clones_on(server)) - len(before) == kept
    reap(server.target(), kept=True)


def test_of_many_failed_tests_the_last_are_kept(project: Make, run_here: RunPytest, server: Server) -> None:
    folder = project(
        "import pytest\n@pytest.mark.parametrize('n', range(4))\n" + FAILS.replace("(pgs", "(n, pgs")
    )
    before = set(clones_on(server))
    ran = run_here(folder, "--pgslate-dsn", server.dsn(), "--pgslate-keep-at-most", "2")
    assert ran.outcomes == {"failed": 4}, ran.out
    assert len(set(clones_on(server)) - before) == 2
    reap(server.target(), kept=True)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_what_failed_on_an_embedded_server_can_be_started_again(
    project: Make,
    run_pytest: RunPytest,
    workers: tuple[str, ...],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("xdist")
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o755)
    ran = run_pytest(project(FAILS), *workers, plugins=("xdist",))
    found = re.search(r"pgslate clone --kept (pgslate_\w+)", ran.out)
    assert found, ran.out
    from pgslate.targets.embedded import named_server

    try:
        assert main(["clone", "--kept", found[1]]) == 0
        said = capfd.readouterr()
        with psycopg.connect(said.out.strip()) as connection:
            assert connection.execute("SELECT name FROM things").fetchall() == [("a",)]
        down = re.search(r"`pgslate (down --name \S+)`", said.err)
        assert down, said.err
        assert main(down[1].split()) == 0
        assert named_server.named_servers() == ()
    finally:
        for standing in named_server.named_servers():
            named_server.down(standing.name)


def test_a_role_without_createdb_is_told_in_the_tests_error(
    project: Make, run_here: RunPytest, server: Server
) -> None:
    with server.target().connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE tester LOGIN; GRANT CREATE ON SCHEMA public TO tester")
        connection.execute("GRANT CREATE ON DATABASE postgres TO tester")
    try:
        dsn = server.dsn(user="tester")
        folder = project(USES)
        ran = run_here(folder, "--pgslate-dsn", dsn)
        assert "may not create databases" in ran.out
        ran = run_here(folder, "--pgslate-dsn", dsn, "--pgslate-isolation", "schema")
        assert ran.outcomes == {"passed": 1}, ran.out
    finally:
        with server.target().connect(autocommit=True) as connection:
            connection.execute("DROP OWNED BY tester; DROP ROLE tester")


def test_a_worker_that_crashes_takes_no_server_with_it(project: Make, run_pytest: RunPytest) -> None:
    pytest.importorskip("xdist")
    folder = project(
        "import os, signal, pytest\n"
        "@pytest.mark.parametrize('n', range(8))\n"
        "def test_it(pgslate_database, n):\n"
        "    if n == 3:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    with pgslate_database.connect() as connection:\n"
        "        connection.execute('SELECT FROM things')\n"
    )
    ran = run_pytest(folder, "-n", "2", plugins=("xdist",))
    assert ran.outcomes == {"failed": 1, "passed": 7}, ran.out


def test_workers_share_a_server_where_the_temporary_folder_has_a_long_path(
    project: Make, run_pytest: RunPytest, tmp_path: Path
) -> None:
    pytest.importorskip("xdist")
    folder = project(WRITES_ITS_SERVER_DOWN)
    (tmp_path / ("long" * 30)).mkdir()
    ran = run_pytest(
        folder, "-n", "2", "--dist", "each", plugins=("xdist",), TMPDIR=str(tmp_path / ("long" * 30))
    )
    assert ran.outcomes == {"passed": 2}, ran.out
    assert len(servers_of(folder)) == 1


def test_where_nobody_can_listen_for_workers_each_has_a_server_of_its_own(
    project: Make, run_pytest: RunPytest
) -> None:
    pytest.importorskip("xdist")
    folder = project(WRITES_ITS_SERVER_DOWN)
    (folder / "conftest.py").write_text(
        "import socket\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'):\n"
        "        socket.AF_UNIX = 255  # as on a machine that has no such sockets\n"
    )
    ran = run_pytest(folder, "-n", "2", "--dist", "each", plugins=("xdist",))
    assert ran.outcomes == {"passed": 2}, ran.out
    assert len(servers_of(folder)) == 2


def test_a_slow_server_is_told_of_once(project: Make, run_here: RunPytest) -> None:
    folder = project(
        "import pytest\n@pytest.mark.parametrize('n', range(3))\n" + USES.replace("(pgs", "(n, pgs")
    )
    with Server.start(durable=True, tmpfs=False) as durable:
        ran = run_here(folder, "--pgslate-dsn", durable.dsn())
    assert ran.outcomes == {"passed": 3}, ran.out
    assert ran.out.count("fsync = on") in (0, 1)  # a disk may be as fast as no disk
