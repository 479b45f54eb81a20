"""Writing pgslate.lock: it is the old one or the new one, whole, and stays the file that it was."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgslate.slices import proof

from .conftest import Run


@pytest.fixture
def lock(project: Path, run: Run) -> Path:
    """The project's lock; a contract is gone since, so it is to be written anew, and nothing to be proved."""
    assert run("lock").status == 0
    (project / "pgslate.toml").write_text("catalog = 'db'\n")
    return project / "pgslate.lock"


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Writing more than ``size`` bytes into a file fails, as on a full disk: some are written, some not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_lock_that_is_written_by_half_leaves_the_old_one(
    lock: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        proof, "prove_many", lambda *_, **__: proof.Proofs((), None)
    )  # on a server, whose files are larger
    before, beside = lock.read_text(), set(lock.parent.iterdir())
    with files_of_at_most(len(before) // 2):
        ran = run("lock")
    assert (ran.status, "can't be written" in ran.err) == (2, True)
    assert lock.read_text() == before
    assert set(lock.parent.iterdir()) == beside


def test_a_lock_keeps_its_mode(lock: Path, run: Run) -> None:
    lock.chmod(0o664)
    assert run("lock").status == 0
    assert "contract audit" not in lock.read_text()
    assert lock.stat().st_mode & 0o777 == 0o664


def test_a_new_lock_has_the_mode_of_any_new_file(lock: Path, run: Run) -> None:
    lock.unlink()
    before = os.umask(0o027)
    try:
        assert run("lock").status == 0
    finally:
        os.umask(before)
    assert lock.stat().st_mode & 0o777 == 0o640


def test_a_lock_that_is_a_link_stays_one(lock: Path, run: Run) -> None:
    (lock.parent / "elsewhere").mkdir()
    target = lock.rename(lock.parent / "elsewhere" / "shared.lock")
    lock.symlink_to(target)
    assert run("lock").status == 0
    assert lock.is_symlink()
    assert "contract audit" not in target.read_text()


def test_the_lock_of_another_folder_is_not_written_over(tmp_path: Path, run: Run) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "001_x.sql").write_text(f"CREATE TABLE {name} (id int PRIMARY KEY);")
    assert run("lock", "--catalog", str(tmp_path / "one")).status == 0
    before = (tmp_path / "pgslate.lock").read_text()
    refused = run("lock", "--catalog", str(tmp_path / "two"))
    assert (refused.status, "is another catalog's" in refused.err) == (2, True)
    assert (tmp_path / "pgslate.lock").read_text() == before


def test_values_that_differ_at_each_replay_are_listed_in_lines_of_the_terminals_width(
    project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = ", ".join(f"made_at_{number:02} timestamptz DEFAULT clock_timestamp()" for number in range(9))
    (project / "db" / "999_visits.sql").write_text(
        f"CREATE TABLE visits (id int, {columns});\nINSERT INTO visits VALUES (1);"
    )
    monkeypatch.setenv("COLUMNS", "80")
    printed = run("lock").out.splitlines()
    head = next(index for index, line in enumerate(printed) if line.startswith("proofs compare no values"))
    listed = printed[head + 1 :]
    assert ", ".join(f"public.visits.made_at_{number:02}" for number in range(9)) == " ".join(
        line.strip() for line in listed
    )
    assert max(map(len, listed)) <= 80
