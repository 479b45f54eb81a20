"""Servers and databases for every test: one embedded server a worker, a fresh database a test."""

from __future__ import annotations

import itertools
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgslate.targets.embedded.installations import installations
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

MAJORS = sorted({one.major for one in installations()} & {15, 17, 18})

_numbers = itertools.count(1)

# A shell that starts the tests in its background has them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """PostgreSQL 18 with pgvector, for the whole session; stop it and you stop it for every test."""
    with Server.start(major=18, extensions=["vector"]) as server:
        yield server


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[int], Server]]:
    """``servers(15)`` is the session's server of that major version, started when first asked for."""
    started: dict[int, Server] = {}

    def of(major: int) -> Server:
        if major not in started:
            started[major] = Server.start(major=major)
        return started[major]

    yield of
    for server in started.values():
        server.stop()


@pytest.fixture(params=MAJORS, ids=lambda major: f"pg{major}")
def any_server(request: pytest.FixtureRequest, servers: Callable[[int], Server]) -> Server:
    """A server of each major version that is installed here: the test runs once on each."""
    return servers(request.param)


@pytest.fixture
def database(server: Server) -> Iterator[Target]:
    """A fresh, empty database on ``server``, dropped after the test."""
    yield from _fresh_database(server)


@pytest.fixture
def any_database(any_server: Server) -> Iterator[Target]:
    """A fresh, empty database on each of the versions that are installed here."""
    yield from _fresh_database(any_server)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 160 MB, which every account can reach."""
    place = Path(tempfile.mkdtemp(prefix="pgslate-disk-", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", "size=160m,mode=1777", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small file system")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()


def _fresh_database(server: Server) -> Iterator[Target]:
    name = f"test_{next(_numbers)}"
    with server.create_database(name) as target:
        yield target
    server.drop_database(name)
