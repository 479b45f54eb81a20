"""Streams that are closed, or can't spell a name; signals that come early; options that say what they do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import CONFIG, Run


def pgslate(*args: str, **options: object) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options are run's own
        [sys.executable, "-m", "pgslate", *args], capture_output=True, text=True, check=False, **options
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_name_that_the_terminal_can_not_spell_is_replaced(project: Path, encoding: str) -> None:
    (project / "db" / "004_more.sql").write_text('CREATE TABLE "имя" (id int);\n', encoding="utf-8")
    done = pgslate("why", env={**os.environ, "PYTHONIOENCODING": encoding})
    assert (done.returncode, "???" in done.stdout) == (0, True)


@pytest.mark.parametrize("closed", ["2>&-", ">&-"])
def test_a_stream_that_was_closed_is_no_failure(project: Path, closed: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f"'{sys.executable}' -m pgslate plan users {closed}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("delay", [0.0, 0.004, 0.009, 0.02])
def test_ctrl_c_while_modules_are_imported_ends_with_a_line(project: Path, delay: float) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pgslate", "plan"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "click." in line:  # ``main`` runs, and imports click
                break
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode in (0, 130)
    assert "Traceback" not in said


@pytest.mark.parametrize("args", [("--debug", "plan", "nowhere"), ("plan", "nowhere", "--debug")])
def test_debug_is_taken_before_and_after_the_verb(project: Path, run: Run, args: tuple[str, ...]) -> None:
    ran = run(*args)
    assert (ran.status, "Traceback" in ran.err, "nowhere" in ran.err) == (2, True, True)
    assert "--debug" in run("--help").out
    assert "--debug" in run("plan", "--help").out


@pytest.mark.parametrize("kind", ["dangling link", "folder", "pipe"])
def test_a_configuration_that_is_no_file_is_an_error(project: Path, run: Run, kind: str) -> None:
    file = project / "pgslate.toml"
    file.unlink()
    (project / "db").rename(project / "migrations")  # where it would be looked for without one
    match kind:
        case "dangling link":
            file.symlink_to("nowhere.toml")
        case "folder":
            file.mkdir()
        case _:
            os.mkfifo(file)
    ran = run("plan")
    assert (ran.status, "pgslate.toml" in ran.err) == (2, True)


def test_a_byte_order_mark_before_the_configuration_is_skipped(project: Path, run: Run) -> None:
    (project / "pgslate.toml").write_text(CONFIG, encoding="utf-8-sig")
    assert run("plan", "users").status == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_configuration_of_another_user_is_taken_only_by_name(project: Path, run: Run) -> None:
    file = project / "pgslate.toml"
    os.chown(file, 12345, 12345)
    ran = run("plan", "users")
    assert (ran.status, "belongs to another user (uid 12345)" in ran.err) == (2, True)
    assert f"--config {file}" in ran.err
    assert run("plan", "users", "--config", str(file)).status == 0


def test_a_variable_that_no_file_uses_is_an_error_with_what_may_be_meant(project: Path, run: Run) -> None:
    (project / "db" / "004_more.sql").write_text("CREATE TABLE more (id ${kind});\n")
    assert run("plan", "users", "--define", "kind=int").status == 0
    ran = run("plan", "users", "--define", "knd=int", "--define", "kind=int")
    assert (ran.status, "did you mean kind?" in ran.err) == (2, True)


def test_explore_writes_to_stdout_where_the_file_is_a_dash(project: Path, run: Run) -> None:
    ran = run("explore", "-")
    assert (ran.status, "<html" in ran.out, (project / "-").exists()) == (0, True, False)


def test_an_edited_file_under_up_is_told_what_up_can_do(project: Path, run: Run) -> None:
    try:
        assert run("up", "teams").status == 0
        (project / "db" / "002_teams.sql").write_text("CREATE TABLE teams (id int PRIMARY KEY);\n")
        ran = run("up", "teams")
        assert ran.status != 0
        assert "fix: pgslate down, then pgslate up" in ran.err
        assert "--accept-edited" not in ran.err
    finally:
        run("down")


def test_up_takes_a_port_which_is_the_same_each_time(project: Path, run: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        for _ in range(2):
            ran = run("up", "teams", "--port", str(port), "-q")
            assert (ran.status, f":{port}/" in ran.out, ran.err) == (0, True, "")
            assert run("down").status == 0
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            ran = run("up", "teams", "--port", str(port))
            assert (ran.status, f"port {port} of 127.0.0.1 is taken" in ran.err) == (3, True)
        assert json.loads(run("down", "--format", "json").out) == {"stopped": []}
    finally:
        run("down")


def test_down_ends_a_server_of_the_time_before_there_was_a_configuration(project: Path, run: Run) -> None:
    (project / "pgslate.toml").unlink()
    (project / "db").rename(project / "migrations")
    assert run("up", "teams").status == 0
    (project / "pgslate.toml").write_text('catalog = "migrations"\n')
    ran = run("down")
    assert (ran.status, "stopped" in ran.out) == (0, True)


def test_a_plan_wraps_between_words_below_its_column(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ", ".join(f"a_rather_long_name_{n} int REFERENCES users" for n in range(3))
    (project / "db" / "004_venues.sql").write_text(f"CREATE TABLE venues ({columns});\n")
    (project / "db" / "005_more.sql").write_text(
        "ALTER TABLE venues ADD x int; COMMENT ON TABLE venues IS '';\n"
    )
    monkeypatch.setenv("COLUMNS", "80")
    narrow = run("plan", "venues").out
    assert max(map(len, narrow.splitlines())) <= 80
    monkeypatch.delenv("COLUMNS")
    assert narrow.split() == run("plan", "venues").out.split()
