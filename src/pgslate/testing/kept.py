"""Databases of failed tests on an embedded server: its data is kept at its end, and started again on demand.

pgslate clone --kept pgslate_0123456789ab_019364b2f1007abc8123456789abcdef
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable
from pathlib import Path

from pgslate.clones import database_names
from pgslate.clones.clone import drop
from pgslate.errors import UsageError
from pgslate.targets.embedded import named_server
from pgslate.targets.embedded.folders import state_folder
from pgslate.targets.embedded.installations import installations
from pgslate.targets.embedded.server import Server
from pgslate.targets.url import url_with

_KEPT_RUNS = 3
"""How many runs' data can be started again; older ones are forgotten."""


def keep_data(server: Server, kept: Iterable[str]) -> None:
    """Keep the data of a server that is about to end, for ``start_again``; only its ``kept`` clones."""
    wanted = sorted(kept)
    with server.target().connect(autocommit=True) as connection:
        for (name,) in connection.execute(
            "SELECT datname::text FROM pg_database WHERE datname ~ %s", [database_names.CLONES]
        ).fetchall():
            if name not in wanted:
                drop(connection, name, force=True)
    key = f"failed-tests-{hashlib.sha256(' '.join(wanted).encode()).hexdigest()[:16]}"
    server.keep(f"up\n{key}\npostgres")  # as ``up`` looks for it
    _folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    said = {"key": key, "major": server.major, "names": wanted}
    (_folder() / f"{key.rpartition('-')[2]}.json").write_text(json.dumps(said))
    by_age = sorted(_folder().glob("*.json"), key=lambda file: file.stat().st_mtime_ns)
    for old in by_age[:-_KEPT_RUNS]:
        old.unlink(missing_ok=True)


def kept_on(server: Server, kept: Iterable[str]) -> list[str]:
    """Those of the ``kept`` databases that are on this server."""
    wanted = sorted(kept)
    if not wanted:
        return []
    with server.target().connect(autocommit=True) as connection:
        rows = connection.execute("SELECT datname::text FROM pg_database WHERE datname = ANY(%s)", [wanted])
        return [row[0] for row in rows]


def psql_command(dsn: str) -> str:
    """A command to look into a database with, without a password.

    >>> psql_command("postgresql://me:secret@db.example/pgslate_0123456789ab_1?sslmode=require")
    "psql 'postgresql://me@db.example/pgslate_0123456789ab_1?sslmode=require'"
    """
    return "psql " + shlex.quote(url_with(dsn, password=""))


def start_again(name: str) -> tuple[str, str]:
    """The DSN of a database that was kept, and the name of its server, which stays up until
    ``pgslate down --name`` that.

    Raises UsageError where no run kept a database of that name, or its data was forgotten since.
    """
    for file in sorted(_folder().glob("*.json")):
        said = json.loads(file.read_text())
        if name in said["names"]:
            standing = _started(said["key"], said["major"])
            if standing is None:
                raise UsageError(
                    f"the data of {name} is no longer kept: newer data took its place, or the PostgreSQL that"
                    " it was kept for was replaced",
                    fix="run the tests again, and look into what fails then",
                )
            return url_with(standing.dsn, dbname=name), standing.name
    raise UsageError(
        f"no test run kept a database {name}", fix=f"the last {_KEPT_RUNS} runs with failed tests are kept"
    )


def _started(key: str, major: int) -> named_server.Standing | None:
    """The server with the data kept under ``key``, by whichever installation of that version kept it."""
    for installation in installations():
        if installation.major == major:
            standing = named_server.up(key, key=key, installation=installation)
            if standing.from_kept or not standing.started:
                return standing
            named_server.down(key)  # a fresh one
    return None


def _folder() -> Path:
    return state_folder() / "kept"
