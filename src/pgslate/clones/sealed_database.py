"""A sealed database: others make copies of it, and it has its name only when it is complete.

It is made under a private name, left by every session, sealed (IS_TEMPLATE, no connections) and renamed last.
So a process may be killed at any step: the next maker drops what is left under the private name. Makers come
one at a time, under an advisory lock that the caller holds.

Templates are copies of a sealed empty database that has fewer files than template0. initdb leaves 300 files
in a database; 72 of them only map the free and the visible pages of system catalogs. VACUUM FULL rewrites
catalogs without these files, and copies, and copies of copies, don't have them either: a clone takes a sixth
less time. VACUUM FULL takes a tenth of a second, so it is done once for each server and role, and not on a
server that ends with this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.connections import end_sessions, wait_until_empty
from pgslate.clones.registry import Registry
from pgslate.clones.server_facts import ServerFacts
from pgslate.clones.template_contents import TEMPLATE_VERSION
from pgslate.errors import LockTimeoutError

#: Seconds that a process waits for another one to make the empty database, before it goes on without it.
TIMEOUT = 30.0

Step = Callable[[str], None]
"""Receives the name of each step before the step is done; for tests that kill a process there."""

_CATALOGS = """
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relisshared AND n.nspname IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2"""


def no_step(step: str) -> None:
    """A ``Step`` that does nothing."""


def is_complete(connection: psycopg.Connection[Any], name: str) -> bool:
    """Whether the database exists and is still sealed."""
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
    step: Step = no_step,
) -> None:
    """Let ``build`` make a database under a private name; then seal it and rename it to ``name``.

    Args:
        connection: leads to another database of the server, in autocommit mode.
        name: the final name.
        about: the database's comment, for people.
        build: receives the private name and makes the database. If it raises, the database is dropped.
        step: receives the name of each step.
    """
    step("clear")
    building = database_names.building_name(name)
    unseal_and_drop(connection, name)  # a sealed one that somebody opened
    unseal_and_drop(connection, building)  # left by a maker that was killed
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
    """Drop a database, sealed or not; return False if there is none of that name."""
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
    end_sessions(connection, building)  # a session may have come before connections were refused
    wait_until_empty(connection, building)


# -- the empty database that templates are copies of


def create_empty(registry: Registry, connection: psycopg.Connection[Any], name: str) -> None:
    """Make an empty database: a copy of the compact one if the server has or allows it, else of template0.

    Raises psycopg.errors.DiskFull, and psycopg.Error if the role may not make databases.
    """
    compact = None if registry.ephemeral else ensure_compact(registry, connection)
    if compact is not None:
        try:
            connection.execute(_create(registry.facts, name, compact))
        except psycopg.errors.DiskFull:
            raise
        except psycopg.DatabaseError:  # the reaper just dropped it, or the server's collations changed
            if connection.closed:
                raise
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                unseal_and_drop(connection, compact)
        else:
            return
    connection.execute(_create(registry.facts, name, "template0"))


def ensure_compact(registry: Registry, connection: psycopg.Connection[Any]) -> str | None:
    """The name of the sealed, compact empty database, made now if need be; None if the server refuses it."""
    name = database_names.template_name(_key(registry.facts))
    try:
        if not is_complete(connection, name):
            with registry.exclusively(f"template {name}", timeout=TIMEOUT, connection=connection):
                if not is_complete(connection, name):
                    make_sealed(
                        connection,
                        name,
                        "pgslate: an empty database, for templates to be copied from",
                        lambda building: _build(registry, connection, building),
                    )
    except LockTimeoutError:
        return None
    except psycopg.DatabaseError:  # some hosted servers don't let catalogs be rewritten
        if connection.closed:
            raise
        return None
    registry.mark_template_used(name, "", "empty")
    return name


def _build(registry: Registry, connection: psycopg.Connection[Any], building: str) -> None:
    connection.execute(_create(registry.facts, building, "template0"))
    database = registry.server.with_dbname(building)
    with database.connect(autocommit=True) as inside:
        inside.execute("SET synchronous_commit = off")
        inside.execute("SET client_min_messages = error")
        tables = [sql.Identifier(*row) for row in inside.execute(_CATALOGS).fetchall()]
        inside.execute(sql.SQL("VACUUM (FULL) {}").format(sql.SQL(", ").join(tables)))
    # The first session writes a file (pg_internal.init) that spares the sessions of copies a millisecond.
    database.connect().close()
    wait_until_empty(connection, building)


def _create(facts: ServerFacts, name: str, template: str) -> sql.Composed:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template)))
    if facts.encoding == "SQL_ASCII" and template == "template0":
        statement += sql.SQL(" ENCODING 'UTF8'")
    if facts.major >= 15 and not facts.durable:
        statement += sql.SQL(" STRATEGY file_copy")
    return statement


def _key(facts: ServerFacts) -> str:
    """64 hexadecimal digits over everything that determines an empty database."""
    parts = ["empty", TEMPLATE_VERSION, facts.major, facts.role, facts.locale, facts.encoding]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
