"""Databases of failed tests on an embedded server, whose data is kept when the server ends.

pgslate clone --kept NAME      start a server with the data; without NAME, the newest
pgslate reap --kept            remove the data of every run
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pgslate.clones import database_names
from pgslate.clones.clone import drop
from pgslate.errors import UsageError
from pgslate.targets.embedded import data_directory, named_server
from pgslate.targets.embedded.folders import state_folder
from pgslate.targets.embedded.installations import installations
from pgslate.targets.embedded.server import Server
from pgslate.targets.url import url_with

_KEPT_RUNS = 3
"""The data of so many runs is kept."""


def keep_data(server: Server, kept: Iterable[str]) -> None:
    """Keep the data of a server that is about to end, with only the ``kept`` clones, for ``start_again``."""
    wanted = sorted(kept, key=lambda name: name.rpartition("_")[2])  # oldest first
    with server.target().connect(autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT datname::text FROM pg_database WHERE datname ~ %s", [database_names.CLONES]
        ).fetchall():
            if name not in wanted:
                drop(connection, name, force=True)
    key = f"failed-tests-{hashlib.sha256(' '.join(sorted(wanted)).encode()).hexdigest()[:16]}"
    server.keep(_kept_as(key))
    _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    entry = {"key": key, "major": server.major, "names": wanted}
    (_folder() / f"{key.rpartition('-')[2]}.json").write_text(json.dumps(entry))
    for old, _ in _entries()[:-_KEPT_RUNS]:
        old.unlink(missing_ok=True)


def kept_on(server: Server, kept: Iterable[str]) -> list[str]:
    """The ``kept`` databases that are on this server."""
    wanted = sorted(kept)
    if not wanted:
        return []
    with server.target().connect(autocommit=True) as connection:
        rows = connection.execute("SELECT datname::text FROM pg_database WHERE datname = ANY(%s)", [wanted])
        return [row[0] for row in rows]


def psql_command(dsn: str) -> str:
    """A command that opens a database, without a password.

    >>> psql_command("postgresql://me:secret@db.example/pgslate_0123456789ab_1?sslmode=require")
    "psql 'postgresql://me@db.example/pgslate_0123456789ab_1?sslmode=require'"
    """
    return "psql " + shlex.quote(url_with(dsn, password=""))


def start_again(name: str = "") -> tuple[str, str, str]:
    """Start a server with a database that was kept; without a ``name``, with the newest.

    Returns the DSN and the name of the database, and the name of the server, which stays up until
    ``pgslate down --name`` that name. Raises UsageError if no run kept such a database, or if its data was
    removed since.
    """
    for _, entry in reversed(_entries()):
        if name in entry["names"] or not name:
            found = name or entry["names"][-1]
            server = _started(entry["key"], entry["major"])
            if server is None:
                raise UsageError(
                    f"the data of {found} is no longer kept: newer data took its place, or the PostgreSQL"
                    " that it was kept for was replaced",
                    fix="run the tests again, and look into what fails then",
                )
            return url_with(server.dsn, dbname=found), found, server.name
    raise UsageError(
        f"no test run kept a database {name}".rstrip(),
        fix=f"the databases of the last {_KEPT_RUNS} runs with failed tests are kept",
    )


def forget(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """Remove the data of kept databases: of those named, or of all; return the names of the databases.

    A server that was started again with the data is ended, too, unless another kept database is on it.
    """
    chosen = None if names is None else set(names)
    forgotten: list[str] = []
    for file, entry in _entries():
        left = [] if chosen is None else [name for name in entry["names"] if name not in chosen]
        gone = [name for name in entry["names"] if name not in left]
        if not gone:
            continue
        forgotten += gone
        if left:
            file.write_text(json.dumps({**entry, "names": left}))
            continue
        named_server.down(entry["key"])
        for installation in installations():
            place = data_directory.kept(installation, _kept_as(entry["key"]))
            if place is not None:
                data_directory.forget(place)
        file.unlink(missing_ok=True)
    return tuple(forgotten)


def _started(key: str, major: int) -> named_server.NamedServer | None:
    """The server with the data kept under ``key``, on whichever installation of that version kept it."""
    for installation in installations():
        if installation.major == major:
            server = named_server.up(key, key=key, installation=installation)
            if server.from_kept or not server.started:
                return server
            named_server.down(key)  # it is a fresh one
    return None


def _kept_as(key: str) -> str:
    """The key under which ``named_server.up`` looks for the data."""
    return f"up\n{key}\npostgres"


def _entries() -> list[tuple[Path, dict[str, Any]]]:
    """The runs whose data is kept, oldest first, each with its file."""
    files = sorted(_folder().glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    return [(file, json.loads(file.read_text())) for file in files]


def _folder() -> Path:
    return state_folder() / "kept"
