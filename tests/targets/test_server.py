"""An embedded server starts fast, answers, and ends with its owner."""

from __future__ import annotations

import dataclasses
import os
import pwd
import signal
import socket
import sys
from pathlib import Path

import psycopg
import pytest
from tests.targets.processes import AS_USER, OWNER, SAY, START, output, parent_of, python, said, wait_for_end

from pgslate.errors import TargetError
from pgslate.targets.embedded import embedded
from pgslate.targets.embedded.accounts import Account, server_account
from pgslate.targets.embedded.folders import run_folder
from pgslate.targets.embedded.launch import THROW_AWAY, fill, launch, recipe
from pgslate.targets.embedded.run_directory import make_run_directory
from pgslate.targets.embedded.server import Server
from pgslate.targets.embedded.watcher import Watcher
from pgslate.targets.target import Target

linux_only = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes with pidfd_open")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root can")


def setting(target: Target, name: str) -> str:
    with target.connect() as connection:
        return str(connection.execute("SELECT current_setting(%s)", [name]).fetchone()[0])  # type: ignore[index]


def test_a_database_is_fresh_and_empty(database: Target) -> None:
    with database.connect() as connection:
        rows = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert rows == [(0,)]


def test_every_installed_major_starts(any_server: Server) -> None:
    with any_server.target().connect() as connection:
        assert connection.info.server_version // 10000 == any_server.major


def test_a_server_speaks_utf8_and_utc(server: Server) -> None:
    assert setting(server.target(), "server_encoding") == "UTF8"
    assert setting(server.target(), "timezone") == "UTC"


def test_a_throw_away_server_waits_for_no_disk(server: Server) -> None:
    assert [setting(server.target(), name) for name in ("fsync", "full_page_writes")] == ["off", "off"]


def test_a_durable_server_does() -> None:
    with Server.start(durable=True) as server:
        assert setting(server.target(), "fsync") == "on"


def test_settings_given_win_over_ours() -> None:
    with Server.start(settings={"wal_level": "logical", "work_mem": "7MB"}) as server:
        assert setting(server.target(), "wal_level") == "logical"
        assert setting(server.target(), "work_mem") == "7MB"


def test_a_server_that_does_not_start_says_why_and_leaves_nothing() -> None:
    folder = run_folder(server_account(), tmpfs=None)
    before = set(folder.iterdir())
    with pytest.raises(TargetError, match=r"did not start(.|\n)*nosuchlibrary"):
        Server.start(settings={"shared_preload_libraries": "nosuchlibrary"})
    assert set(folder.iterdir()) <= before


def test_a_port_that_was_taken_meanwhile_is_given_up_for_another() -> None:
    how = recipe(
        extensions=(), major=None, installation=None, max_connections=10, settings=None, defaults=THROW_AWAY
    )
    run = make_run_directory(run_folder(how.account, tmpfs=None))
    fill(run, how, None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        watcher, port = launch(run, how, port=busy)
    watcher.stop()
    run.release()
    assert port != busy


def test_a_port_that_was_taken_once_does_not_hide_why_a_later_start_fails() -> None:
    how = recipe(
        extensions=(), major=None, installation=None, max_connections=10, settings=None, defaults=THROW_AWAY
    )
    run = make_run_directory(run_folder(how.account, tmpfs=None))
    fill(run, how, None)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        watcher, _ = launch(run, how, port=taken.getsockname()[1])
    watcher.stop_cleanly()
    broken = dataclasses.replace(how, settings={"shared_preload_libraries": "nosuchlibrary"})
    with pytest.raises(TargetError, match=r"did not start:\n.*nosuchlibrary"):
        launch(run, broken)
    run.remove()


def test_a_stopped_server_leaves_nothing() -> None:
    with Server.start() as server:
        directory = server.data.parent
        assert directory.exists()
    assert not directory.exists()
    server.stop()  # again does no harm


def test_closing_an_embedded_target_ends_its_server() -> None:
    with embedded(dbname="app") as target, target.connect() as connection:
        assert connection.info.dbname == "app"
    with pytest.raises(psycopg.OperationalError):
        target.connect()


@linux_only
def test_a_killed_owner_leaves_no_server_and_no_directory() -> None:
    with python(OWNER + "sys.stdin.read()") as owner:
        server = said(owner)
        watcher = parent_of(server["postgres"])
        owner.kill()
    wait_for_end(server["postgres"])
    wait_for_end(watcher)
    assert not os.path.exists(os.path.dirname(server["data"]))  # noqa: PTH110, PTH120 - a string from JSON


def test_a_server_that_is_still_deaf_to_signals_is_ended_too(tmp_path: Path) -> None:
    run, survived = tmp_path / "run", tmp_path / "survived"
    run.mkdir()
    # like a server: deaf to SIGQUIT from the shell that started it, until it is set up
    program = (
        "import pathlib, signal, time; signal.signal(signal.SIGQUIT, signal.SIG_DFL); "
        f"time.sleep(20); pathlib.Path({str(survived)!r}).touch()"
    )
    ourselves = Account("ourselves", os.geteuid(), os.getegid(), ours=True)
    Watcher.start([sys.executable, "-c", program], run, ourselves, detached=False).stop()
    assert not survived.exists()
    assert not run.exists()


@linux_only
def test_an_owner_that_just_ends_takes_its_server_along() -> None:
    with python(OWNER) as owner:
        server = said(owner)
    wait_for_end(server["postgres"])
    assert not os.path.exists(server["data"])  # noqa: PTH110 - a string from JSON


@linux_only
@pytest.mark.parametrize("survivor", ["none", "postgres"])
def test_what_a_killed_owner_and_watcher_left_is_cleaned_up_at_the_next_start(survivor: str) -> None:
    with python(OWNER + "sys.stdin.read()") as owner:
        left = said(owner)
        os.kill(parent_of(left["postgres"]), signal.SIGKILL)
        if survivor == "none":
            os.kill(left["postgres"], signal.SIGKILL)
        owner.kill()
    assert os.path.exists(left["data"])  # noqa: PTH110 - a string from JSON
    with Server.start():
        wait_for_end(left["postgres"])
        assert not os.path.exists(left["data"])  # noqa: PTH110 - a string from JSON


def test_ctrl_c_is_for_the_owner_and_not_for_its_server() -> None:
    code = START + (
        f"try:\n    {SAY}    sys.stdin.read()\n"
        "except KeyboardInterrupt:\n    server.target().connect().close(); print('still there')\n"
    )
    with python(code) as owner:
        said(owner)
        os.killpg(owner.pid, signal.SIGINT)
        assert output(owner) == "still there\n"


def test_a_forked_child_that_ends_leaves_its_parents_server_alone() -> None:
    code = OWNER + (
        "child = os.fork()\n"
        "if child == 0: sys.exit()\n"
        "os.waitpid(child, 0); server.target().connect().close(); print('still there')\n"
    )
    with python(code) as owner:
        said(owner)
        assert output(owner) == "still there\n"


@root_only
def test_root_drops_to_an_account_that_is_not_root() -> None:
    account = server_account()
    with Server.start() as server:
        assert account.uid != 0
        assert server.data.stat().st_uid == account.uid


@root_only
def test_a_plain_user_runs_a_server_as_himself() -> None:
    nobody = pwd.getpwnam("nobody")
    code = AS_USER.format(uid=nobody.pw_uid, gid=nobody.pw_gid) + (
        "os.environ['PGSLATE_CACHE'] = cache = tempfile.mkdtemp()\n"
        "with pgslate.targets.embedded.server.Server.start() as server:\n"
        "    server.target().connect().close()\n"
        "    print(server.data.stat().st_uid)\n"
        "shutil.rmtree(cache)\n"
    )
    with python(code) as plain:
        assert output(plain) == f"{nobody.pw_uid}\n"
