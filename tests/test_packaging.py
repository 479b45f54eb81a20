"""What is handed out: two wheels, of one package and one command each."""

from __future__ import annotations

import configparser
import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, zipfile.ZipFile]:
    """The wheels of both distributions, built as pip builds them, by name."""
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    for project in (ROOT, ROOT / "datastorage"):
        subprocess.run([*command, "--no-build-isolation", "-w", str(folder), str(project)], check=True)
    return {path.name.partition("-")[0]: zipfile.ZipFile(path) for path in folder.glob("*.whl")}


def text_of(wheel: zipfile.ZipFile, name: str) -> str:
    """A file of the wheel's metadata."""
    (path,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(path).decode()


def metadata_of(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(text_of(wheel, "METADATA"))


def commands_of(wheel: zipfile.ZipFile) -> list[str]:
    parser = configparser.ConfigParser()
    parser.read_string(text_of(wheel, "entry_points.txt"))
    return sorted(parser["console_scripts"])


@pytest.mark.parametrize("name", ["pgslate", "datastorage"])
def test_a_wheel_holds_one_package_with_its_types_and_brings_one_command(
    wheels: dict[str, zipfile.ZipFile], name: str
) -> None:
    wheel = wheels[name]
    packages = {path.partition("/")[0] for path in wheel.namelist() if ".dist-info/" not in path}
    assert packages == {name}
    assert f"{name}/py.typed" in wheel.namelist()
    assert commands_of(wheel) == [name]


def test_datastorage_depends_on_pgslate_and_not_the_other_way_round(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    needed = {name: metadata_of(wheel).get_all("Requires-Dist", []) for name, wheel in wheels.items()}
    assert any(requirement.startswith("pgslate>=") for requirement in needed["datastorage"])
    assert not any("datastorage" in requirement for requirement in needed["pgslate"])


def test_datastorages_wheel_holds_its_catalog(wheels: dict[str, zipfile.ZipFile]) -> None:
    names = set(wheels["datastorage"].namelist())
    assert {"datastorage/pgslate.toml", "datastorage/pgslate.lock"} <= names
    assert "datastorage/migrations/013_create_audit_events_table.sql" in names


def test_the_page_of_the_package_index_has_no_link_into_the_repository(
    wheels: dict[str, zipfile.ZipFile],
) -> None:
    description = str(metadata_of(wheels["pgslate"]).get_payload())
    assert "](docs/" not in description
    assert "](examples/" not in description
