"""stdout that is closed or full, and names that make no sense, end a verb as its status says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "001_users.sql").write_text("CREATE TABLE users (id int PRIMARY KEY);")
    (tmp_path / "pgslate.toml").write_text('catalog = "migrations"\n')
    return tmp_path


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A shell command in which ``pgslate`` is this checkout's."""
    return subprocess.run(
        ["/bin/sh", "-c", f'pgslate() {{ "{sys.executable}" -m pgslate "$@"; }}; {command}'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PGSLATE_CACHE": str(folder / "cache")},
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_under_stdout_is_an_error_and_no_traceback(folder: Path, form: str) -> None:
    done = run(folder, f"pgslate plan --format {form} >/dev/full")
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_stdout_is_no_failure(folder: Path) -> None:
    done = run(folder, "pgslate plan >&-")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


@pytest.mark.parametrize("name", ['us"ers', '"', 'a."b'])
def test_a_quote_that_is_not_closed_names_no_table(folder: Path, name: str) -> None:
    done = run(folder, f"pgslate plan '{name}' --format json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == "UnknownTableError"


def test_a_broken_lock_is_not_passed_over(folder: Path) -> None:
    (folder / "pgslate.lock").write_text("{}")
    done = run(folder, "pgslate plan users")
    assert done.returncode == 2
    assert "write it anew with `pgslate lock`" in done.stderr
    assert run(folder, "pgslate lock && pgslate lock --check && pgslate plan users").returncode == 0


def test_a_cache_that_cannot_be_written_is_named(folder: Path) -> None:
    done = run(folder, "PGSLATE_CACHE=/proc/none pgslate plan users")
    assert done.returncode == 3
    assert "the cache folder /proc/none can't be written to" in done.stderr
    assert "PGSLATE_CACHE" in done.stderr.partition("fix:")[2]
