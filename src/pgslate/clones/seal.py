"""Sealing: a database that others make copies of has its name only when it is complete, whoever is killed.

It is made under a private name, and left by everybody; sealed (IS_TEMPLATE, no connections); and, last, given
its name. What a maker that was killed left behind is dropped by the next. Makers come one at a time, under an
advisory lock that the caller holds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.sessions import end_sessions, wait_until_empty

Step = Callable[[str], None]
"""Told the name of each step before it is done."""


def nothing(step: str) -> None:
    """No step is told."""


def is_complete(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the database is there, and as sealed as it was when it got its name."""
    found = connection.execute(
        "SELECT FROM pg_catalog.pg_database WHERE datname = %s AND datistemplate AND NOT datallowconn", [name]
    ).fetchone()
    return found is not None


def make_sealed(
    connection: psycopg.Connection[Any],
    name: str,
    about: str,
    build: Callable[[str], None],
    *,
    step: Step = nothing,
) -> None:
    """Have ``build`` make a database, whose private name it is given; then seal it and call it ``name``.

    ``about`` is its comment, for people. Raises what ``build`` raises; then nothing is left of it.
    """
    step("clear")
    building = database_names.building_name(name)
    unseal_and_drop(connection, name)  # one that somebody opened
    unseal_and_drop(connection, building)  # of a maker that was killed
    try:
        build(building)
        step("seal")
        _seal(connection, building, about)
        step("rename")
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(building), sql.Identifier(name))
        )
        step("named")
    except BaseException:
        if not connection.closed:
            unseal_and_drop(connection, building)
        raise


def unseal_and_drop(connection: psycopg.Connection[Any], name: str) -> bool:
    """Drop a database, sealed or not; False where there is none."""
    row = connection.execute(
        "SELECT datistemplate FROM pg_catalog.pg_database WHERE datname = %s", [name]
    ).fetchone()
    if row is None:
        return False
    if row[0]:
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(sql.Identifier(name)))
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
    return True


def _seal(connection: psycopg.Connection[Any], building: str, about: str) -> None:
    name = sql.Identifier(building)
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(about)))
    connection.execute(
        sql.SQL("ALTER DATABASE {} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false").format(name)
    )
    end_sessions(connection, building)  # of who slipped in between
    wait_until_empty(connection, building)
