"""Tests that fail: their databases are kept, and an error is reported once and costs its wait once."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgslate.cli import main
from pgslate.errors import MigrationFailedError
from pgslate.targets.embedded import named_server
from pgslate.targets.embedded.server import Server
from pgslate.verbs.reap import reap

from .conftest import ROOT, RunPytest

Make = Callable[[str], Path]


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache and state folder of this test's own; servers that it leaves up are ended."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir(mode=0o755)
    yield
    for server in named_server.named_servers():
        named_server.down(server.name)


def run_python(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Python, run as its users run it, with both streams in ``stdout``."""
    import os

    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def kept_names(out: str) -> list[str]:
    return re.findall(r"^  (pgslate_\w+)", out, re.MULTILINE)


def rows_of(dsn: str) -> list[tuple[str]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute("SELECT name FROM things").fetchall()


BLOCK = """
from pgslate.testing import database
with database("things", purpose="a block") as db:
    with db.connect() as connection:
        connection.execute("INSERT INTO things VALUES ('left behind')")
    raise SystemExit("it failed")
"""


@pytest.mark.usefixtures("own_folders")
def test_with_the_defaults_a_block_that_fails_keeps_its_database_and_says_how_to_look(
    project: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = run_python(project(""), "-c", BLOCK)
    assert "Traceback" not in ran.stdout
    (name,) = kept_names(ran.stdout)
    assert "a block" in ran.stdout
    assert main(["clone", "--kept"]) == 0  # without a name, the newest
    dsn = capfd.readouterr().out.strip()
    assert f"/{name}?" in dsn
    assert rows_of(dsn) == [("left behind",)]


@pytest.mark.usefixtures("own_folders")
def test_reap_kept_drops_what_failed_on_embedded_servers(
    project: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    (name,) = kept_names(run_python(project(""), "-c", BLOCK).stdout)
    assert main(["reap", "--kept"]) == 0
    assert name in capfd.readouterr().out
    assert main(["clone", "--kept", name]) == 2


@pytest.mark.usefixtures("own_folders")
def test_a_kept_database_that_is_reaped_by_its_servers_dsn_does_not_come_back(
    project: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    (name,) = kept_names(run_python(project(""), "-c", BLOCK).stdout)
    assert main(["clone", "--kept", name]) == 0
    dsn = capfd.readouterr().out.strip()
    assert main(["reap", "--kept", "--dsn", dsn.replace(name, "postgres")]) == 0
    assert name in capfd.readouterr().out
    assert main(["clone", "--kept", name]) == 2


CASES = """
import unittest
from pgslate.testing import DatabaseTestCase

class Things(DatabaseTestCase):
    tables = ("things",)

    def write(self):
        with self.database.connect() as connection:
            connection.execute("INSERT INTO things VALUES (%s)", [self.id()])

    def test_passes(self):
        self.write()

    def test_fails(self):
        self.write()
        self.fail("as it should")

    def test_fails_in_a_subtest(self):
        with self.subTest("one"):
            self.fail("as it should")

    def test_fails_in_its_cleanup(self):
        self.addCleanup(self.fail, "as it should")

    def test_uses_another_table(self):
        with self.database.connect() as connection:
            connection.execute("SELECT FROM bills")

    def test_skipped_halfway(self):
        self.skipTest("not today")

    @unittest.expectedFailure
    def test_fails_as_expected(self):
        self.fail("as it should")

class SkippedBefore(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        raise unittest.SkipTest("not today")

    def test_it(self):
        pass
"""

FAILING = ["test_fails", "test_fails_in_a_subtest", "test_fails_in_its_cleanup", "test_uses_another_table"]


def test_unittest_keeps_the_databases_of_its_failed_tests_and_no_others(
    project: Make, server: Server
) -> None:
    folder = project("")
    (folder / "test_cases.py").write_text(CASES)
    (folder / "migrations" / "002_bills.sql").write_text("CREATE TABLE bills ();")
    ran = run_python(folder, "-m", "unittest", "test_cases", PGSLATE_DSN=server.dsn())
    names = kept_names(ran.stdout)
    kept_tests = sorted(
        line.rpartition(".")[2] for line in ran.stdout.splitlines() if line.startswith("  pgs")
    )
    assert kept_tests == FAILING, ran.stdout
    assert "bills is made by 002_bills.sql but isn't among this test's tables" in ran.stdout
    assert [("test_cases.Things.test_fails",)] in [rows_of(server.dsn(name)) for name in names]
    reap(server.target(), kept=True)


def test_unittest_cases_that_pytest_runs_keep_theirs_too(
    project: Make, run_pytest: RunPytest, server: Server
) -> None:
    folder = project(CASES)
    ran = run_pytest(folder, "-s", PGSLATE_DSN=server.dsn())
    kept_tests = {line.rpartition(".")[2] for line in ran.out.splitlines() if line.startswith("  pgslate_")}
    assert {"test_fails", "test_fails_in_its_cleanup"} <= kept_tests <= set(FAILING), ran.out
    reap(server.target(), kept=True)


def test_a_server_that_is_away_costs_its_wait_once(
    project: Make, run_here: RunPytest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgslate.targets import dsn

    waits: list[str] = []
    wait_for = dsn.wait_for

    def counted(given: str, **_: object) -> object:
        waits.append(given)
        return wait_for(given, timeout=0.2)

    monkeypatch.setattr(dsn, "wait_for", counted)
    tests = "import pytest\n@pytest.mark.parametrize('n', range(5))\ndef test_it(n, pgslate_database): pass\n"
    ran = run_here(project(tests), "--pgslate-dsn", "postgresql://nobody@127.0.0.1:1/none")
    assert ran.outcomes == {"errors": 5}, ran.out
    assert len(waits) == 1


def test_a_server_that_goes_away_during_the_run_costs_its_wait_once(
    project: Make, run_here: RunPytest
) -> None:
    tests = (
        "import pytest, time\n"
        "@pytest.mark.parametrize('n', range(4))\n"
        "def test_it(n, pgslate_database):\n"
        "    if n == 0:\n"
        "        import psycopg, signal, os, pathlib\n"
        "        pid = int(pathlib.Path('pid').read_text())\n"
        "        os.kill(pid, signal.SIGKILL)\n"
    )
    folder = project(tests)
    with Server.start() as server:
        (folder / "pid").write_text((server.data / "postmaster.pid").read_text().splitlines()[0])
        began = time.monotonic()
        ran = run_here(folder, "--pgslate-dsn", server.dsn())
        took = time.monotonic() - began
    # A worker gives the first test's database back; its failure may or may not reach that test's teardown.
    assert ran.out.count("ERROR at setup") == 3, ran.out
    assert ran.out.count("within 30 s") == 2, ran.out  # one error waited, and is in the summary, too
    assert took < 60, took


def test_a_migration_that_fails_is_tried_once_for_all_tests(
    project: Make, run_here: RunPytest, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pgslate.clones import databases

    tried: list[object] = []

    def fails(*args: object, **_: object) -> object:
        tried.append(args)
        raise MigrationFailedError("it fails", migration="002", statement="SELECT 1/0", sqlstate="22012")

    monkeypatch.setattr(databases, "ensure_template", fails)
    tests = "import pytest\n@pytest.mark.parametrize('n', range(3))\ndef test_it(n, pgslate_database): pass\n"
    ran = run_here(project(tests), "--pgslate-dsn", server.dsn())
    assert ran.outcomes == {"errors": 3}, ran.out
    assert len(tried) == 1


FLAKY = """
import pathlib
def test_it(pgslate_database):
    counter = pathlib.Path("tries")
    tries = int(counter.read_text()) if counter.exists() else 0
    counter.write_text(str(tries + 1))
    assert tries >= 2
"""


def test_a_test_that_passes_at_last_is_not_kept(project: Make, run_pytest: RunPytest, server: Server) -> None:
    pytest.importorskip("pytest_rerunfailures")
    folder = project(FLAKY)
    ran = run_pytest(folder, "--reruns", "2", plugins=("pytest_rerunfailures",), PGSLATE_DSN=server.dsn())
    assert ran.outcomes["passed"] == 1, ran.out
    assert kept_names(ran.out) == []
    assert reap(server.target(), kept=True, force=True).clones == ()


def test_of_a_test_that_fails_each_time_the_last_try_is_kept(
    project: Make, run_pytest: RunPytest, server: Server
) -> None:
    pytest.importorskip("pytest_rerunfailures")
    folder = project("def test_it(pgslate_database): assert False\n")
    ran = run_pytest(folder, "--reruns", "2", plugins=("pytest_rerunfailures",), PGSLATE_DSN=server.dsn())
    (name,) = kept_names(ran.out)
    assert f"/{name}" in ran.out  # the report of the failure leads to the same database
    assert reap(server.target(), kept=True, force=True).clones == (name,)


def test_a_failed_teardown_keeps_nothing_and_says_nothing_of_it(
    project: Make, run_here: RunPytest, server: Server
) -> None:
    folder = project(
        "import pytest\n"
        "@pytest.fixture\n"
        "def breaks():\n"
        "    yield\n"
        "    raise RuntimeError('in the teardown')\n"
        "def test_it(breaks, pgslate_database): pass\n"
        "def test_the_other_order(pgslate_database, breaks): pass\n"
    )
    ran = run_here(folder, "--pgslate-dsn", server.dsn())
    assert ran.outcomes == {"passed": 2, "errors": 2}, ran.out
    assert "is kept" not in ran.out
    assert kept_names(ran.out) == []


@pytest.mark.parametrize(
    "test",
    [
        "import pytest\n@pytest.mark.tables('thingz')\ndef test_it(pgslate_database): pass\n",
        "import pytest\n@pytest.mark.contract('none')\ndef test_it(pgslate_transaction): pass\n",
        "import pytest\n@pytest.mark.tables('thingz')\ndef test_it(pgslate_shared_database): pass\n",
    ],
)
def test_an_error_of_ours_is_told_once(project: Make, run_here: RunPytest, server: Server, test: str) -> None:
    ran = run_here(project(test), "--pgslate-dsn", server.dsn())
    assert ran.outcomes == {"error": 1}, ran.out
    assert "During handling of the above exception" not in ran.out
    assert len(re.findall(r"^E?\s*fix: ", ran.out, re.MULTILINE)) == 1, ran.out


@pytest.mark.parametrize(
    ("marker", "fix"),
    [
        ("tables(['things'])", 'tables("things")'),
        ("tables(('things', 'others'))", 'tables("things", "others")'),
        ("tables()", 'tables("NAME")'),
        ("contract()", 'contract("NAME")'),
        ("tables(name='things')", 'tables("NAME")'),
        ("tables(7)", "takes names, not a int"),
    ],
)
def test_a_marker_without_names_is_an_error_that_says_how_to_write_it(
    project: Make, run_here: RunPytest, server: Server, marker: str, fix: str
) -> None:
    tests = f"import pytest\n@pytest.mark.{marker}\ndef test_it(pgslate_database): pass\n"
    ran = run_here(project(tests), "--pgslate-dsn", server.dsn())
    assert ran.outcomes == {"error": 1}, ran.out
    assert fix in ran.out


def test_a_list_is_no_name_outside_of_pytest_either(project: Make, server: Server) -> None:
    program = "from pgslate.testing import database\nwith database(['things']): pass\n"
    ran = run_python(project(""), "-c", program, PGSLATE_DSN=server.dsn())
    assert 'tables("things")' in ran.stdout


MISSING = """
import pytest
@pytest.mark.tables("things")
def test_it(pgslate_database):
    with pgslate_database.connect() as connection:
        connection.execute({statement!r})
"""


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        ("SELECT FROM bills", "bills is made by 002_bills.sql but isn't among this test's tables: add it"),
        ("SELECT FROM public.bills", "bills is made by 002_bills.sql"),
        ('SELECT FROM "Old Bills"', "Old Bills is made by 002_bills.sql"),
        ("SELECT total_of(1)", "total_of is made by 002_bills.sql but isn't among this test's objects"),
        ("SELECT 'open'::bill_state", "bill_state is made by 002_bills.sql"),
        ("SELECT nextval('bill_number')", "bill_number is made by 002_bills.sql"),
        ("SELECT FROM nowhere", None),
        ("SELECT FROM gone", None),
        ("SELECT no_column FROM things", None),
    ],
)
def test_a_test_that_uses_what_it_did_not_name_is_told_which_migration_makes_it(
    project: Make, run_here: RunPytest, server: Server, statement: str, hint: str | None
) -> None:
    folder = project(MISSING.format(statement=statement))
    (folder / "migrations" / "002_bills.sql").write_text(
        "CREATE TYPE bill_state AS ENUM ('open', 'paid');"
        "CREATE SEQUENCE bill_number;"
        "CREATE TABLE bills (number int DEFAULT nextval('bill_number'), state bill_state);"
        'CREATE TABLE "Old Bills" ();'
        "CREATE TABLE gone (); DROP TABLE gone;"
        "CREATE FUNCTION total_of(int) RETURNS int LANGUAGE sql RETURN $1;"
    )
    ran = run_here(folder, "--pgslate-dsn", server.dsn())
    assert ran.outcomes == {"failed": 1}, ran.out
    if hint is None:
        assert "is made by" not in ran.out
    else:
        assert hint in ran.out
    reap(server.target(), kept=True)


def test_the_hint_reaches_a_block_too(project: Make, server: Server) -> None:
    folder = project("")
    (folder / "migrations" / "002_bills.sql").write_text("CREATE TABLE bills ();")
    program = (
        "from pgslate.testing import database\n"
        "with database('things') as db, db.connect() as connection:\n"
        "    connection.execute('SELECT FROM bills')\n"
    )
    ran = run_python(folder, "-c", program, PGSLATE_DSN=server.dsn(), PGSLATE_KEEP="none")
    assert "bills is made by 002_bills.sql but isn't among this test's tables" in ran.stdout
