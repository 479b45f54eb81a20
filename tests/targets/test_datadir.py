"""Data directories are initialised once, kept, copied, and mended."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests.targets.processes import OWNER, python, said

from pgslate.errors import TargetError
from pgslate.targets.embedded.accounts import server_account
from pgslate.targets.embedded.choice import choose
from pgslate.targets.embedded.data_directory import MOST_KEPT, copy_kept, keep
from pgslate.targets.embedded.data_directory import kept as kept_under
from pgslate.targets.embedded.server import Server


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own, still empty."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of this module's own, with an initialised directory, which each test may damage."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PGSLATE_CACHE", str(folder))
        yield folder


@pytest.fixture
def kept(shared_cache: Path) -> Path:
    """The kept, initialised directory, whole."""
    Server.start().stop()
    (place,) = kept_in(shared_cache)
    return place


def kept_in(cache: Path) -> list[Path]:
    return [path for path in (cache / "data").iterdir() if not path.name.startswith(".")]


def left_aside(cache: Path) -> list[Path]:
    return [path for path in (cache / "data").glob(".*") if path.is_dir()]


# Keeps data, and is killed when it opens the first file to copy it.
KILLED_WHILE_IT_KEEPS = """
import os, signal, sys
from pathlib import Path
from pgslate.targets.embedded.data_directory import keep
from pgslate.targets.embedded.choice import choose

def kill(event, arguments):
    if event == "open" and str(arguments[0]).endswith("PG_VERSION"):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(kill)
keep(Path({data!r}), choose(), "key")
"""


def test_eight_processes_at_first_use_share_one_data_directory(cache: Path) -> None:
    owners = [python(OWNER) for _ in range(8)]
    assert len({said(owner)["data"] for owner in owners}) == 8
    for owner in owners:
        owner.communicate()
        assert owner.returncode == 0
    assert len(kept_in(cache)) == 1


def test_an_initialised_directory_is_made_once(cache: Path) -> None:
    Server.start().stop()
    made = [path.stat().st_ino for path in kept_in(cache)]
    Server.start().stop()
    assert [path.stat().st_ino for path in kept_in(cache)] == made


def test_a_kept_directory_that_lost_a_file_is_made_again(kept: Path) -> None:
    (kept / "data" / "base" / "1" / "PG_VERSION").unlink()
    with Server.start() as server:
        server.target().connect().close()


def test_a_kept_directory_with_half_a_file_is_made_again(kept: Path) -> None:
    with (kept / "data" / "global" / "pg_control").open("r+b") as file:
        file.truncate(100)
    with Server.start() as server:
        server.target().connect().close()


def test_a_kept_directory_without_a_readable_manifest_is_made_again(kept: Path) -> None:
    (kept / "manifest").write_text("{")
    with Server.start() as server:
        server.target().connect().close()


def test_kept_data_is_there_in_the_next_server() -> None:
    key = "test_kept_data_is_there_in_the_next_server"
    with Server.start() as first:
        with first.create_database("app").connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        first.keep(key)
        with first.target("app").connect() as connection:  # it is up again
            connection.execute("DROP TABLE t")
    with Server.start(key=key) as second:
        assert second.from_kept
        with second.target("app").connect() as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (1000,)


def test_what_was_noted_is_kept_with_the_data() -> None:
    key = "test_what_was_noted_is_kept_with_the_data"
    with Server.start() as first:
        assert first.note == b""
        first.keep_and_stop(key, note=b"why")
    with Server.start(key=key) as second:
        assert (second.from_kept, second.note) == (True, b"why")


def test_data_that_lost_part_of_its_note_is_kept_no_more() -> None:
    key = "test_data_that_lost_part_of_its_note_is_kept_no_more"
    with Server.start() as first:
        first.keep_and_stop(key, note=b"why")
        place = kept_under(first.installation, key)
    assert place
    (place / "note").write_bytes(b"w")
    with Server.start(key=key) as second:
        assert (second.from_kept, second.note) == (False, b"")
        assert kept_under(second.installation, key) is None


def test_a_server_that_is_kept_for_good_leaves_nothing_running() -> None:
    key = "test_a_server_that_is_kept_for_good_leaves_nothing_running"
    with Server.start() as first:
        run = first.data.parent
        first.create_database("app")
        first.keep_and_stop(key)
        assert not run.exists()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(first.dsn(), connect_timeout=2)
    with Server.start(key=key) as second:
        second.target("app").connect().close()


def test_what_no_server_wrote_to_is_kept_once() -> None:
    kept_once = []
    for key, earlier in (("one table", None), ("two tables", "one table"), ("two tables", "two tables")):
        with Server.start(key=earlier) as server:
            assert server.from_kept == bool(earlier)
            with server.target().connect() as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS one AS SELECT generate_series(1, 1000) AS n")
                if earlier:
                    connection.execute("DROP TABLE IF EXISTS two; CREATE TABLE two AS SELECT * FROM one")
                    connection.execute("DELETE FROM one WHERE n % 2 = 0")
            server.keep_and_stop(key)
            place = kept_under(server.installation, key)
        assert place
        files = [file for file in place.rglob("data/**/*") if file.is_file()]
        kept_once.append(sum(file.stat().st_nlink == 1 for file in files) / len(files))
    with Server.start(key="one table") as first, Server.start(key="two tables") as second:
        with first.target().connect() as connection:
            assert connection.execute("SELECT count(*) FROM one").fetchone() == (1000,)
        with second.target().connect() as connection:
            assert connection.execute("SELECT count(*), sum(n) FROM one").fetchone() == (500, 250000)
            assert connection.execute("SELECT count(*) FROM two").fetchone() == (500,)
    assert max(kept_once[1:]) < 0.3


def test_another_that_took_the_place_of_the_origin_is_not_shared_with() -> None:
    with Server.start() as server:
        server.keep("origin")
    with Server.start(key="origin") as first, Server.start(key="origin") as second:
        with second.target().connect() as connection:
            connection.execute("CREATE TABLE t AS SELECT generate_series(1, 1000) AS n")
        second.keep("origin")
        with first.target().connect() as connection:
            connection.execute("CREATE TABLE other (id int)")
        first.keep_and_stop("copy")
        copy = kept_under(second.installation, "copy")
    assert copy
    assert all(file.stat().st_nlink == 1 for file in copy.rglob("data/**/*") if file.is_file())
    with Server.start(key="copy") as server, server.target().connect() as connection:
        found = connection.execute("SELECT relname::text FROM pg_class WHERE oid >= 16384 AND relkind = 'r'")
        assert found.fetchall() == [("other",)]


def test_a_file_that_was_written_to_is_not_shared_whatever_the_clock_says(cache: Path) -> None:
    data = cache / "data of a server"
    data.mkdir()
    (data / "one").write_text("a")
    (data / "two").write_text("b")
    installation, account = choose(), server_account()
    copy = cache / "copy"
    origin = copy_kept(keep(data, installation, "origin"), copy, account)
    (copy / "two").write_text("c")
    os.utime(copy / "two", ns=(1, 1))  # the clock was set back
    place = keep(copy, installation, "next", origin=origin)
    assert (place / "data/two").read_text() == "c"
    assert [(place / "data" / name).stat().st_nlink for name in ("one", "two")] == [2, 1]


def test_a_cache_that_may_only_be_read_is_told_with_what_to_do(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSLATE_CACHE", str(small_disk))
    (small_disk / "data").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(TargetError, match="PGSLATE_CACHE"):
        Server.start()


def test_an_unknown_key_starts_an_empty_server() -> None:
    with Server.start(key="nothing was kept under this key") as server:
        assert not server.from_kept


def test_what_a_killed_process_left_half_kept_is_removed_after_ten_minutes(cache: Path) -> None:
    data = cache / "some data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    with python(KILLED_WHILE_IT_KEEPS.format(data=str(data))) as process:
        assert process.wait() == -signal.SIGKILL
    (left,) = left_aside(cache)
    keep(data, choose(), "another")
    assert left_aside(cache) == [left]  # for all one knows it is still being made
    os.utime(left, ns=(1, 1))
    keep(data, choose(), "another")
    assert left_aside(cache) == []


def test_what_was_not_used_for_longest_is_forgotten_first(cache: Path) -> None:
    data = cache / "some data"
    data.mkdir()
    (data / "PG_VERSION").write_text("18\n")
    installation = choose()
    for number in range(MOST_KEPT):
        place = keep(data, installation, f"key {number}")
        os.utime(place, ns=(number, number))
    assert kept_under(installation, "key 0")  # used just now
    keep(data, installation, "one more")
    assert kept_under(installation, "key 0")
    assert not kept_under(installation, "key 1")
    assert kept_under(installation, "key 2")
