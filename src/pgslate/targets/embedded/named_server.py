"""Servers that stay up: what ``pgslate up`` starts, finds again, and ``pgslate down`` ends.

Each has a name and a file ``<state>/up/<hash of the name>.json``, written before the server starts, so that
nothing that runs is unknown. Its data is thrown away with it: a server that crashed is started anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pgslate.errors import TargetError
from pgslate.targets.embedded import data_directory
from pgslate.targets.embedded.folders import state_folder, up_folder
from pgslate.targets.embedded.installations import Installation
from pgslate.targets.embedded.launch import THROW_AWAY, Recipe, dsn_of, fill, launch, recipe
from pgslate.targets.embedded.run_directory import RunDirectory, end_server, make_run_directory, server_pid
from pgslate.targets.embedded.watcher import is_ready

if TYPE_CHECKING:
    from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class NamedServer:
    """A server that stays up.

    ``key`` is that of the data it began with. ``started`` is True where this call started it, ``from_kept``
    where it began with data that was kept, ``crashed`` where it replaces one that was found dead.
    """

    name: str
    key: str
    dbname: str
    port: int
    server: str
    directory: Path
    started: bool = False
    from_kept: bool = False
    crashed: bool = False

    @property
    def dsn(self) -> str:
        return dsn_of(self.port, self.dbname)

    @property
    def running(self) -> bool:
        """Whether its process is there and says that it takes connections."""
        data = self.directory / "data"
        return server_pid(data) is not None and is_ready(data)

    def target(self) -> Target:
        """Its database as a target; closing it leaves the server up."""
        return _target(self.port, self.dbname, self.server)


def up(
    name: str,
    *,
    key: str = "",
    prepare: Callable[[Target], object] | None = None,
    dbname: str = "postgres",
    extensions: Iterable[str] = (),
    major: int | None = None,
    port: int | None = None,
    installation: Installation | None = None,
    tmpfs: bool | None = None,
    max_connections: int = 100,
    settings: Mapping[str, str] | None = None,
) -> NamedServer:
    """The server of that name: the one that runs, or a new one that outlives this process.

    A new one begins with the data kept under ``key``. Where there is none, ``prepare`` is called once with
    the database ``dbname`` of a fresh server, and what it made there is kept under ``key`` for the next time,
    if that can be; if it raises, no server is left and nothing is kept. A server that runs is returned as it
    is: compare ``key``. A new one listens on ``port``, by default on a free one.

    Raises ``MissingExtensionError`` or ``TargetError`` as ``Server.start`` does, and what ``prepare`` raises.
    """
    with _registry_locked(name):
        entry = _read(_file(name))
        if entry is not None and entry.running:
            return entry
        if entry is not None:
            _remove(entry)
        how = recipe(
            extensions=extensions,
            major=major,
            installation=installation,
            max_connections=max_connections,
            settings=settings,
            defaults=THROW_AWAY,
        )
        run = make_run_directory(up_folder(how.account, tmpfs=tmpfs))
        fresh = NamedServer(
            name, key, dbname, 0, how.installation.version, run.path, crashed=entry is not None
        )
        _write(fresh)
        try:
            started = _start(run, how, fresh, prepare, port)
        except BaseException:
            _remove(fresh)
            raise
        finally:
            run.release()
        _write(started)
        return started


def down(name: str) -> bool:
    """End the server of that name and remove its data; False where there was none."""
    with _registry_locked(name):
        entry = _read(_file(name))
        if entry is None:
            return False
        _remove(entry)
        return True


def named_servers() -> tuple[NamedServer, ...]:
    """Every server that was started and not ended, by name; ``running`` tells those that crashed."""
    entries = (_read(file) for file in _folder().glob("*.json"))
    return tuple(sorted((one for one in entries if one is not None), key=lambda one: one.name))


def _start(
    run: RunDirectory,
    how: Recipe,
    fresh: NamedServer,
    prepare: Callable[[Target], object] | None,
    wanted: int | None,
) -> NamedServer:
    # what is kept holds the database too, so its name is part of the key
    kept_as = f"up\n{fresh.key}\n{fresh.dbname}" if fresh.key else None
    origin = fill(run, how, kept_as)
    port = None
    if not origin.has_key and (prepare is not None or fresh.dbname != "postgres"):
        port = _prepare(run, how, fresh, prepare)
        if kept_as is not None:
            with contextlib.suppress(OSError, TargetError):  # it is prepared again the next time
                data_directory.keep(run.data, how.installation, kept_as, origin=origin)
    watcher, port = launch(run, how, port=wanted or port, detached=True)
    watcher.detach()
    if wanted not in (None, port):
        raise TargetError(
            f"port {wanted} of 127.0.0.1 is taken", fix="end the program that listens on it, or give another"
        )
    return dataclasses.replace(fresh, port=port, started=True, from_kept=origin.has_key)


def _prepare(
    run: RunDirectory, how: Recipe, fresh: NamedServer, prepare: Callable[[Target], object] | None
) -> int:
    """Make the database while the server is still tied to us, so that a failure or a kill leaves nothing."""
    from psycopg import sql

    watcher, port = launch(run, how)
    try:
        if fresh.dbname != "postgres":
            with _target(port, "postgres", fresh.server).connect(autocommit=True) as connection:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(fresh.dbname)))
        if prepare is not None:
            prepare(_target(port, fresh.dbname, fresh.server))
    except BaseException:
        watcher.stop()
        raise
    watcher.stop_cleanly()
    return port


def _target(port: int, dbname: str, version: str) -> Target:
    from pgslate.targets.embedded.embedded_target import EmbeddedTarget

    return EmbeddedTarget(dsn_of(port, dbname), label=f"{dbname} on embedded PostgreSQL {version}")


def _remove(entry: NamedServer) -> None:
    end_server(entry.directory / "data")
    shutil.rmtree(entry.directory, ignore_errors=True)
    _file(entry.name).unlink(missing_ok=True)


def _folder() -> Path:
    return state_folder() / "up"


def _file(name: str) -> Path:
    return _folder() / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def _read(file: Path) -> NamedServer | None:
    try:
        entry = json.loads(file.read_text())
        return NamedServer(
            name=str(entry["name"]),
            key=str(entry["key"]),
            dbname=str(entry["dbname"]),
            port=int(entry["port"]),
            server=str(entry["server"]),
            directory=Path(entry["directory"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(entry: NamedServer) -> None:
    """Write the entry so that a reader finds the old one or the new one, whole."""
    parts = ("name", "key", "dbname", "port", "server", "directory")
    document = {part: str(getattr(entry, part)) for part in parts}
    aside = _file(entry.name).with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(document))
    aside.replace(_file(entry.name))


@contextmanager
def _registry_locked(name: str) -> Iterator[None]:
    """One ``up`` or ``down`` of a name at a time."""
    file = _file(name)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
