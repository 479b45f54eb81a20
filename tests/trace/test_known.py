"""The cache of traces saves time, and nothing is wrong without it, or where it may only be read."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.slices.judging import catalog_of
from tests.targets.processes import output, python

from pgslate.dump.kept_snapshot import snapshot_of
from pgslate.trace import trace_cache
from pgslate.trace.trace_cache import trace_of

USERS = catalog_of("CREATE TABLE users (id int PRIMARY KEY);")
TEAMS = catalog_of("CREATE TABLE teams (id int PRIMARY KEY);")
ORDERS = catalog_of("CREATE TABLE orders (id int PRIMARY KEY);")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def make_read_only(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """The cache is on a disk of its own, and after ``make_read_only()`` it may only be read."""
    monkeypatch.setenv("PGSLATE_CACHE", str(small_disk))

    def remount() -> None:
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    return remount


def test_a_trace_in_a_cache_that_may_only_be_read_is_used(make_read_only: Callable[[], None]) -> None:
    traced: list[int] = []
    first = trace_of(USERS)
    make_read_only()
    assert trace_of(USERS, progress=lambda at, *_: traced.append(at)) == first
    assert traced == []


def test_a_trace_that_cannot_be_kept_is_none_the_worse(
    make_read_only: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace_cache, "_WORTH_KEEPING", 0)  # the server's data is to be kept, too
    trace_of(USERS)
    make_read_only()
    assert trace_of(TEAMS).migrations == tuple((one.version, one.checksum) for one in TEAMS)


def test_a_trace_that_cannot_be_forgotten_stays(
    make_read_only: Callable[[], None], small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace_of(USERS)
    trace_of(TEAMS)
    make_read_only()
    monkeypatch.setattr(trace_cache, "_KEPT", 1)
    trace_of(ORDERS)
    assert len(list((small_disk / "traces").glob("trace-*.json"))) == 2


def test_a_name_that_the_locale_has_no_letters_for_is_kept(cache: Path) -> None:
    code = (
        "from tests.slices.judging import catalog_of\n"
        "from pgslate.trace.trace_cache import trace_of\n"
        "traced = []\n"
        "for _ in range(2):\n"
        "    trace_of(catalog_of('CREATE TABLE \"\\u0438\\u043c\\u044f\" (id int);'),"
        " progress=lambda at, *_: traced.append(at))\n"
        "print(traced)\n"
    )
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert output(python(code, **locale)) == "[0]\n"


def test_a_snapshot_that_is_used_is_not_the_next_to_go(cache: Path) -> None:
    snapshot_of(USERS)
    (snapshot,) = (cache / "traces").glob("snapshot-*.json")
    os.utime(snapshot, ns=(1, 1))
    snapshot_of(USERS)
    assert snapshot.stat().st_mtime_ns > 1
