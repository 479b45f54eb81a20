"""Databases that failed tests left on an embedded server: started again, as long as their data is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from pgslate.errors import UsageError
from pgslate.targets.embedded import data_directory, named_server
from pgslate.targets.embedded.server import Server
from pgslate.testing.kept import keep_data, start_again

NAME = "pgslate_0123456789ab_019364b2f1007abc8123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache and state folder of this test's own; what it leaves up is taken down."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))
    yield tmp_path
    for server in named_server.named_servers():
        named_server.down(server.name)


@pytest.fixture
def kept(cache: Path) -> str:
    """A database that was kept."""
    with Server.start() as server:
        server.create_database(NAME)
        keep_data(server, [NAME])
    return NAME


def test_a_kept_database_is_there_again(kept: str) -> None:
    dsn, _, server = start_again(kept)
    with psycopg.connect(dsn) as connection:
        assert connection.info.dbname == kept
    assert [one.name for one in named_server.named_servers()] == [server]


def test_one_whose_data_was_forgotten_is_told_to_be_gone_and_nothing_is_left_up(
    kept: str, cache: Path
) -> None:
    for place in (cache / "data").glob(f"{data_directory.KEPT}*"):
        data_directory.forget(place)
    with pytest.raises(UsageError, match=f"{kept} is no longer kept"):
        start_again(kept)
    assert named_server.named_servers() == ()
