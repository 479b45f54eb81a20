"""Servers and databases for every test: one embedded server a worker, a fresh database a test.

With ``--test-dsn URL`` the tests run on that server instead; its role has to be a superuser.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from tests.given_server import GivenServer

from pgslate.targets.embedded.installations import installations
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

MAJORS = sorted({one.major for one in installations() if one.major >= 14})

_numbers = itertools.count(1)

# A shell that starts the tests in its background has them ignore Ctrl-C, which some of them press.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--test-dsn", metavar="URL", help="run the tests on this server, as a superuser of it")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``any_server`` each major version that is installed here, or the one server of ``--test-dsn``."""
    if "any_server" in metafunc.fixturenames:
        given = metafunc.config.getoption("--test-dsn") is not None
        majors = [None] if given else MAJORS
        names = ["given"] if given else [f"pg{major}" for major in MAJORS]
        metafunc.parametrize("any_server", majors, ids=names, indirect=True)


@pytest.fixture(scope="session")
def given_server(request: pytest.FixtureRequest) -> Server | None:
    """The server of ``--test-dsn``. It stands in for an embedded one, as far as it can."""
    dsn = request.config.getoption("--test-dsn")
    return cast(Server, GivenServer(dsn)) if dsn else None


@pytest.fixture(scope="session")
def server(given_server: Server | None) -> Iterator[Server]:
    """PostgreSQL 18 with pgvector, for the whole session; stop it and you stop it for every test."""
    if given_server is not None:
        yield given_server
        return
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


@pytest.fixture
def any_server(
    request: pytest.FixtureRequest, servers: Callable[[int], Server], given_server: Server | None
) -> Server:
    """A server of each major version that is installed here: the test runs once on each."""
    return given_server if given_server is not None else servers(request.param)


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
    name = f"test_{os.getpid()}_{next(_numbers)}"
    with server.create_database(name) as target:
        yield target
    server.drop_database(name)
