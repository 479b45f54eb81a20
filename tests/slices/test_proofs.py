"""Without a lock, a slice is proved when it is first asked for, and the proof is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.slices.test_widening import BY_COUNT

from pgslate import apply
from pgslate.errors import TargetError
from pgslate.project.project import Project
from pgslate.slices import proof
from pgslate.slices.slice import FORMS, Form
from pgslate.targets.target import Target


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog whose slices are too small as they are cut: no name ties its tables together."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    made = tmp_path / "project" / "migrations"
    made.mkdir(parents=True)
    sources = [*(f"CREATE TABLE {table} (id int)" for table in ("part_one", "part_two", "other")), BY_COUNT]
    for number, source in enumerate(sources, start=1):
        (made / f"{number:03}_step.sql").write_text(source + ";\n")
    return made


@pytest.mark.parametrize("form", FORMS)
def test_a_slice_is_proved_before_it_is_used(folder: Path, form: Form, database: Target) -> None:
    told: list[str] = []
    project = Project(Project.open(folder).catalog, note=told.append)
    chosen = project.slice("part_one", form=form)
    assert told == ["proving the slice for public.part_one"]
    if form != "objects":
        assert chosen.widened
        apply(chosen, database)
        with database.connect() as connection:
            found = connection.execute("SELECT pg_catalog.col_description('part_one'::regclass, 1)")
            assert found.fetchall() == [("2",)]


def test_a_proof_is_made_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Project.open(folder).slice("part_one")
    monkeypatch.setattr(proof, "scratch_server", None)
    again = Project.open(folder).slice("part_one")
    assert (again.effects, again.widened) == (first.effects, first.widened)


def test_without_a_server_to_prove_on_a_slice_is_as_it_was_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(*_: object, **__: object) -> None:
        raise TargetError("no server is installed", fix="")

    project = Project.open(folder)
    assert project.trace
    monkeypatch.setattr(proof, "scratch_server", none_here)
    assert not project.slice("part_one").widened
