"""The base: an empty database with fewer files than template0, which templates are copies of.

initdb leaves 300 files in a database, of which 72 only map the free and the visible pages of catalogs. Each
copy of a database copies them. Rewritten by VACUUM FULL, catalogs are without, and so are copies of copies:
a clone takes a sixth less. It takes a tenth of a second, so it is done once for a server and a role, and not
where the server ends with us.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.contents import TEMPLATE_VERSION
from pgslate.clones.registry import Book
from pgslate.clones.seal import is_complete, make_sealed, unseal_and_drop
from pgslate.clones.server_facts import ServerFacts
from pgslate.clones.sessions import wait_until_empty
from pgslate.errors import LockTimeoutError

#: How long (seconds) one process waits for another to make the base, before it goes on without.
TIMEOUT = 30.0

_CATALOGS = """
SELECT n.nspname::text, c.relname::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND NOT c.relisshared AND n.nspname IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2"""


def create_from_base(book: Book, connection: psycopg.Connection[Any], name: str) -> None:
    """Make an empty database, from the base where there is one or one can be made, else from template0.

    Raises psycopg.errors.DiskFull, and psycopg.Error where the role may not make databases.
    """
    base = None if book.ephemeral else ensure_base(book, connection)
    if base is not None:
        try:
            connection.execute(_create(book.facts, name, base))
        except psycopg.errors.DiskFull:
            raise
        except psycopg.DatabaseError:  # it was reaped just now; or the server's collations are others by now
            if connection.closed:
                raise
            with contextlib.suppress(psycopg.errors.ObjectInUse):
                unseal_and_drop(connection, base)
        else:
            return
    connection.execute(_create(book.facts, name, "template0"))


def ensure_base(book: Book, connection: psycopg.Connection[Any]) -> str | None:
    """The name of the base, which is made if it isn't there; None where the server won't have it."""
    name = database_names.template_name(_key(book.facts))
    try:
        if not is_complete(connection, name):
            with book.exclusively(f"template {name}", timeout=TIMEOUT, connection=connection):
                if not is_complete(connection, name):
                    make_sealed(
                        connection,
                        name,
                        "pgslate base: empty, for templates to be made from",
                        lambda building: _build(book, connection, building),
                    )
    except LockTimeoutError:
        return None
    except psycopg.DatabaseError:  # some server won't have its catalogs rewritten
        if connection.closed:
            raise
        return None
    book.template_is_used(name, "", "base")
    return name


def _build(book: Book, connection: psycopg.Connection[Any], building: str) -> None:
    connection.execute(_create(book.facts, building, "template0"))
    database = book.server.with_dbname(building)
    with database.connect(autocommit=True) as inside:
        inside.execute("SET synchronous_commit = off")
        inside.execute("SET client_min_messages = error")
        tables = [sql.Identifier(*row) for row in inside.execute(_CATALOGS).fetchall()]
        inside.execute(sql.SQL("VACUUM (FULL) {}").format(sql.SQL(", ").join(tables)))
    # The first session to come writes a file that spares the sessions of copies a millisecond.
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
    """64 hexadecimal digits over what makes an empty database what it is."""
    told = ["base", TEMPLATE_VERSION, facts.major, facts.role, facts.locale, facts.encoding]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()
