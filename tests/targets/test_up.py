"""Servers that stay up are started once, found again, noticed when they crash, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.targets.processes import output, python, wait_for_end

from pgslate.targets.embedded.named_server import down, named_servers, up
from pgslate.targets.embedded.run_directory import server_pid
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache and state folder of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PGSLATE_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def nothing_left_up(cache: Path) -> Iterator[None]:
    yield
    for server in named_servers():
        down(server.name)


def make_table(target: Target) -> None:
    with target.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS n")


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)


def test_a_second_up_finds_the_first_ones_server() -> None:
    first = up("app")
    second = up("app")
    assert (first.started, second.started) == (True, False)
    assert second.dsn == first.dsn


def test_servers_of_different_names_are_different() -> None:
    assert up("one").port != up("two").port
    assert [server.name for server in named_servers()] == ["one", "two"]


def test_down_ends_the_server_and_removes_its_data() -> None:
    server = up("app")
    assert down("app")
    assert not server.directory.exists()
    assert not server.running
    assert named_servers() == ()
    assert not down("app")


def test_a_server_outlives_the_process_that_started_it() -> None:
    with python("from pgslate.targets.embedded.named_server import up; print(up('app').dsn)") as starter:
        dsn = output(starter).strip()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_what_was_prepared_is_kept_for_the_next_time() -> None:
    prepared = []

    def prepare(target: Target) -> None:
        make_table(target)
        prepared.append(target.label)

    first = up("app", key="kept for the next time", prepare=prepare, dbname="app")
    down("app")
    second = up("app", key="kept for the next time", prepare=prepare, dbname="app")
    assert (first.from_kept, second.from_kept) == (False, True)
    assert len(prepared) == 1
    with second.target().connect() as connection:
        assert connection.info.dbname == "app"
        assert connection.execute("SELECT n FROM t").fetchone() == (1,)


def test_a_server_whose_data_cannot_be_kept_is_up_all_the_same(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGSLATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    Server.start().stop()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    try:
        with up("app", key="not kept", prepare=make_table).target().connect() as connection:
            assert connection.execute("SELECT n FROM t").fetchone() == (1,)
    finally:
        down("app")


def test_another_key_is_prepared_anew() -> None:
    up("app", key="one", prepare=make_table)
    down("app")
    assert not up("app", key="two", prepare=make_table).from_kept


def test_a_failed_preparation_leaves_no_server_and_nothing_kept() -> None:
    def fail(target: Target) -> None:
        with target.connect() as connection:
            connection.execute("SELECT 1/0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        up("app", key="failed", prepare=fail)
    assert named_servers() == ()
    assert not up("app", key="failed", prepare=make_table).from_kept


def test_a_crashed_server_is_noticed_and_started_anew() -> None:
    first = up("app")
    kill(server_pid(first.directory / "data"))
    second = up("app")
    assert second.crashed
    assert second.running
    assert not first.directory.exists()


def test_two_ups_at_once_start_one_server() -> None:
    code = "from pgslate.targets.embedded.named_server import up; print(up('app').port)"
    starters = [python(code) for _ in range(3)]
    assert len({output(starter) for starter in starters}) == 1


def test_what_stays_up_is_written_down_in_a_folder_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up("elsewhere")
    monkeypatch.setenv("PGSLATE_STATE", str(tmp_path))
    assert named_servers() == ()
    assert not down("elsewhere")
    monkeypatch.undo()
    assert down("elsewhere")
