"""A small shop's migrations, and Databases of it on the session's server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pgslate.clones.databases import Databases
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

SHOP = Path(__file__).parent / "shop"

Open = Callable[..., Databases]


@pytest.fixture
def shop() -> Project:
    """Customers, orders that need them, and stock that stands alone."""
    return Project.open(SHOP / "migrations", config=SHOP / "pgslate.toml")


@pytest.fixture
def databases_on() -> Iterator[Open]:
    """``databases_on(server, project, ...)``: Databases that are closed after the test."""
    with ExitStack() as stack:

        def open_on(server: Server, project: Project, **how: Any) -> Databases:
            return stack.enter_context(Databases(server.target(), project, **how))

        yield open_on


@pytest.fixture
def databases(server: Server, shop: Project, databases_on: Open) -> Databases:
    """The shop's databases on the session's server."""
    return databases_on(server, shop)
