"""A database with one of everything in it (``rich.sql``), on each major version that is installed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pgslate.targets.embedded.server import Server

Connection = psycopg.Connection[Any]
RICH = (Path(__file__).parent / "rich.sql").read_bytes()
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def rich_on(servers: Callable[[int], Server]) -> Iterator[Callable[[int], Connection]]:
    """``rich_on(17)`` is a connection (autocommit) to that major's database with the rich schema.

    Leave the database as it was: change things in a transaction, and roll it back.
    """
    connections: dict[int, Connection] = {}

    def of(major: int) -> Connection:
        if major not in connections:
            connections[major] = _rich_database(servers(major))
        return connections[major]

    yield of
    for connection in connections.values():
        connection.close()


@pytest.fixture
def rich(any_server: Server, rich_on: Callable[[int], Connection]) -> Connection:
    """A connection to the rich schema, on each of the versions in turn."""
    return rich_on(any_server.major)


def _rich_database(server: Server) -> Connection:
    target = server.create_database(f"rich_{next(_numbers)}")
    connection = target.connect(autocommit=True)
    for role in (b"rich_reader", b"rich_writer"):
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role.decode()]).fetchone():
            connection.execute(b"CREATE ROLE " + role)
    connection.execute(RICH)
    return connection
