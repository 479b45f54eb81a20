"""The rules of the house that a test can hold: see docs/style.md and docs/architecture.md."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.imports import circle_in, floors_of, imports_of, rooms_of

ROOT = Path(__file__).parents[1]
SOURCES = {"pgslate": ROOT / "src", "datastorage": ROOT / "datastorage" / "src"}

#: Words that only this house would use so: see docs/style.md.
PRIVATE_WORDS = "told said seen met standing book lend lends lent world court foresight"

MOST_FLOORS, MOST_ROOMS = 13, 30
OF_THE_VERBS = ("verbs", "cli", "report")


@pytest.mark.parametrize("package", SOURCES)
def test_no_files_import_each_other_in_a_circle(package: str) -> None:
    imports = imports_of(SOURCES[package], package)
    assert circle_in({name: used for name, used in imports.items() if name != package}) == ()


def test_the_rooms_lie_on_few_floors() -> None:
    rooms = rooms_of(imports_of(SOURCES["pgslate"], "pgslate"))
    assert len(rooms) <= MOST_ROOMS
    floors = floors_of(rooms)
    assert max(floors.values()) <= MOST_FLOORS, floors


def test_a_files_name_stands_once() -> None:
    files = [
        path.name
        for path in (SOURCES["pgslate"] / "pgslate").rglob("*.py")
        if path.parts[-2] not in OF_THE_VERBS and path.stem not in ("__init__", "__main__")
    ]
    assert [name for name, number in Counter(files).items() if number > 1] == []


def test_datastorage_has_no_private_words() -> None:
    found = [
        f"{path.name}: {match.group()}"
        for path in SOURCES["datastorage"].rglob("*.py")
        for match in _private_words().finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def _private_words() -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])(?:{'|'.join(PRIVATE_WORDS.split())})(?![a-z])", re.IGNORECASE)


def test_nothing_imports_a_room_above_its_own() -> None:
    """The order is the import-linter contract of pyproject.toml; it counts lazy and type-only imports."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
