"""The server that a catalog is traced and proved on: an embedded one that has what the catalog needs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgslate.catalog import statements
from pgslate.catalog.catalog import Catalog
from pgslate.errors import MissingExtensionError, PrivilegeError

if TYPE_CHECKING:
    from pgslate.targets.embedded.server import Server
    from pgslate.targets.target import Target

SCRATCH = "pgslate_scratch"
"""The database in which a catalog is traced."""

_CREATE_EXTENSION = re.compile(r'create\s+extension\s+(?:if\s+not\s+exists\s+)?"?([\w-]+)"?', re.IGNORECASE)


@contextmanager
def scratch_server(catalog: Catalog, *, key: str | None = None, major: int | None = None) -> Iterator[Server]:
    """An embedded server that has the extensions that the catalog asks for; of version ``major`` if it can
    be."""
    from pgslate.targets.embedded.server import Server

    asked = extensions(catalog)
    said = {name for migration in catalog for name in _CREATE_EXTENSION.findall(migration.source)}
    try:
        server = Server.start(extensions=sorted(said | set(asked)), key=key, major=major, max_connections=30)
    except MissingExtensionError:
        # What only a DO block mentions may be made where it can be had, and left out where not.
        try:
            server = Server.start(extensions=sorted(asked), key=key, max_connections=30)
        except MissingExtensionError as error:
            files = tuple(dict.fromkeys(asked[name] for name in error.extensions if name in asked))
            which, newline, servers = error.message.partition("\n")
            raise MissingExtensionError(
                f"{which}, needed by {', '.join(files)}{newline}{servers}",
                fix=error.fix,
                extensions=error.extensions,
                migrations=files,
            ) from None
    with server:
        yield server


def extensions(catalog: Catalog) -> dict[str, str]:
    """The extensions that the catalog's statements create, each with the file that does."""
    found: dict[str, str] = {}
    for migration in catalog:
        for statement in migration.statements:
            if statement.kind == "CreateExtensionStmt":
                name = statements.parse(statement.text)[0]["CreateExtensionStmt"]["extname"]
                found.setdefault(name, migration.file)
    return found


@contextmanager
def scratch_database(target: Target) -> Iterator[Target]:
    """An empty database on the target's server, dropped at the end: to trace in where nothing is embedded.

    Raises PrivilegeError where the role may not make one.
    """
    import psycopg

    from pgslate.trace.tracer import create_scratch, drop_scratch

    name = f"pgslate_scratch_{uuid.uuid4().hex[:12]}"
    with target.connect(autocommit=True) as connection:
        try:
            create_scratch(connection, name)
        except psycopg.errors.InsufficientPrivilege as error:
            raise PrivilegeError(
                f"no scratch database can be made on {target.label}: {error.diag.message_primary}",
                fix="pip install 'pgslate[embedded]', commit a pgslate.lock, or give the role CREATEDB",
                right="CREATEDB",
                on=target.label,
            ) from None
        try:
            yield target.with_dbname(name)
        finally:
            drop_scratch(connection, name)
