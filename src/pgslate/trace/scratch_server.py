"""The server that a catalog is traced and proved on: an embedded one that has what the catalog needs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.catalog.server_needs import extensions, features, mentioned_extensions
from pgslate.errors import MissingExtensionError, PrivilegeError, TargetError
from pgslate.targets.database_removal import remove_database

if TYPE_CHECKING:
    from pgslate.targets.embedded.installations import Installation
    from pgslate.targets.embedded.server import Server
    from pgslate.targets.target import Target

SCRATCH = "pgslate_scratch"
"""The database in which a catalog is traced."""


@contextmanager
def scratch_server(
    catalog: Catalog,
    prelude: Sequence[PreludeFile] = (),
    *,
    key: str | None = None,
    major: int | None = None,
    like: int | None = None,
) -> Iterator[Server]:
    """An embedded server that has what the catalog and its prelude need.

    Args:
        catalog: The migrations that it is for.
        prelude: The SQL that is run before them.
        key: The data to begin with, as ``Server.start`` takes it.
        major: The version that it must have.
        like: The version that it should have: another one is taken where none of this version will do.

    Raises:
        MissingExtensionError: No server has the extensions; it says which files need them.
        TargetError: No server is installed, or none of version ``major``, or it doesn't start.
    """
    from pgslate.targets.embedded.server import Server

    try:
        installation = chosen(catalog, prelude, major or like)
    except TargetError:
        if major is not None or like is None:
            raise
        installation = chosen(catalog, prelude, None)
    with Server.start(installation=installation, key=key, max_connections=30) as server:
        yield server


def chosen(catalog: Catalog, prelude: Sequence[PreludeFile], major: int | None = None) -> Installation:
    """The installed server that has what the catalog and its prelude need. Raises as ``scratch_server``."""
    from pgslate.targets.embedded.choice import choose

    asked = extensions(catalog, prelude)
    built_with = features(catalog, prelude)
    try:
        return choose(mentioned_extensions(catalog, prelude) | asked.keys(), major, built_with)
    except MissingExtensionError:
        pass  # what only a DO block mentions may be made where it can be had, and left out where not
    try:
        return choose(asked, major, built_with)
    except MissingExtensionError as error:
        files = tuple(dict.fromkeys(asked[name] for name in error.extensions if name in asked))
        which, newline, servers = error.message.partition("\n")
        raise MissingExtensionError(
            f"{which}, needed by {', '.join(files)}{newline}{servers}",
            fix=error.fix,
            extensions=error.extensions,
            migrations=files,
        ) from None


@contextmanager
def scratch_database(target: Target) -> Iterator[Target]:
    """An empty database on the target's server, dropped at the end: to trace in where nothing is embedded.

    Raises PrivilegeError where the role may not make one.
    """
    import psycopg

    from pgslate.trace.tracer import create_scratch

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
            remove_database(target, connection, name)
