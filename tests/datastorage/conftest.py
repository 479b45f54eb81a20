"""The Data Storage service's own fixtures: databases with the audit slice, or with the whole catalog."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests.datastorage import goose

from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

_numbers = itertools.count(1)
_AUDIT = {13, 23, 24, 1000}


def template(server: Server, name: str, wanted: Callable[[goose.GooseFile], bool]) -> str:
    """A database with the migrations ``wanted`` chooses, to be cloned by tests; its name."""
    with server.create_database(name) as target, target.connect(autocommit=True) as connection:
        for file in goose.read_all():
            if wanted(file):
                goose.run(connection, file, file.up)
    return name


@pytest.fixture(scope="session")
def audit_template(server: Server) -> str:
    """The audit slice, migrated once a session."""
    return template(server, "template_audit", lambda file: file.version in _AUDIT)


@pytest.fixture(scope="session")
def whole_template(server: Server) -> str:
    """All 24 migrations, run once a session."""
    return template(server, "template_whole", lambda file: True)


def clone(server: Server, of: str) -> Iterator[Target]:
    name = f"datastorage_{next(_numbers)}"
    with server.create_database(name, template=of) as target:
        yield target
    server.drop_database(name)


@pytest.fixture
def audit_database(server: Server, audit_template: str) -> Iterator[Target]:
    """A fresh database with audit_events and its two first months."""
    yield from clone(server, audit_template)


@pytest.fixture
def whole_database(server: Server, whole_template: str) -> Iterator[Target]:
    """A fresh database with the whole catalog."""
    yield from clone(server, whole_template)


@pytest.fixture
def audit(audit_database: Target) -> Iterator[psycopg.Connection]:
    """An autocommit connection to a fresh audit database."""
    with audit_database.connect(autocommit=True) as connection:
        yield connection
