"""An embedded server: starts, answers, ends."""

from __future__ import annotations

from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target


def test_a_database_is_fresh_and_empty(database: Target) -> None:
    with database.connect() as connection:
        rows = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert rows == [(0,)]


def test_every_installed_major_starts(any_server: Server) -> None:
    with any_server.target().connect() as connection:
        assert connection.info.server_version // 10000 == any_server.major
