"""Without a lock, a slice is proved when it is first asked for, and the proof is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.slices.test_widening import BY_COUNT

from pgslate import apply
from pgslate.errors import TargetError
from pgslate.project.project import Project
from pgslate.slices import proof, prover
from pgslate.slices.replay import replay_all
from pgslate.slices.slice import FORMS, Form
from pgslate.targets.embedded.folders import cache_folder
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


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Grows by one each time that a proof replays a whole catalog."""
    counted: list[None] = []

    def counting(*given: Any) -> None:
        counted.append(None)
        replay_all(*given)

    monkeypatch.setattr(prover, "replay_all", counting)
    return counted


def test_the_whole_catalog_is_replayed_for_the_first_of_its_proofs_alone(
    folder: Path, replays: list[None]
) -> None:
    Project.open(folder).slice("part_two")
    assert len(replays) == 2
    Project.open(folder).slice("other")
    Project.open(folder).slice("other", form="statements")
    assert len(replays) == 2


def test_a_kept_outcome_that_can_not_be_read_is_made_anew(folder: Path, replays: list[None]) -> None:
    Project.open(folder).slice("part_two")
    (kept,) = (cache_folder() / "references").iterdir()
    kept.write_text("{}")
    Project.open(folder).slice("other")
    assert len(replays) == 4


def test_values_that_hang_on_the_day_of_a_kept_outcome_are_found_by_another_replay(
    folder: Path, replays: list[None]
) -> None:
    (folder / "999_visits.sql").write_text(
        "CREATE TABLE visits (id int, day date); INSERT INTO visits VALUES (1, CURRENT_DATE);\n"
    )
    Project.open(folder).slice("other")
    (kept,) = (cache_folder() / "references").iterdir()
    outcome = json.loads(kept.read_text())
    for part in ("outcome", "everything"):  # as it would have been made on another day
        rows = outcome[part]["rows"]["public.visits"]
        rows["digest"], rows["columns"]["day"] = "5", "5"
    kept.write_text(json.dumps(outcome))
    assert Project.open(folder).slice("visits").changing == ("public.visits.day",)
    assert len(replays) == 3


def test_without_a_server_to_prove_on_a_slice_is_as_it_was_cut(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_here(*_: object, **__: object) -> None:
        raise TargetError("no server is installed", fix="")

    project = Project.open(folder)
    assert project.trace
    monkeypatch.setattr(proof, "scratch_server", none_here)
    assert not project.slice("part_one").widened
