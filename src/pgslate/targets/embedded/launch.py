"""Starting a server in a run directory: its data, its settings, its port, and the wait until it is ready."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pgslate.errors import TargetError
from pgslate.targets.embedded import data_directory
from pgslate.targets.embedded.accounts import Account, server_account
from pgslate.targets.embedded.choice import choose
from pgslate.targets.embedded.folders import SOCKET_FOLDER_LENGTH
from pgslate.targets.embedded.installations import Installation
from pgslate.targets.embedded.reachable import reachable
from pgslate.targets.embedded.run_directory import RunDirectory, end_server
from pgslate.targets.embedded.watcher import ServerExitedError, Watcher

#: For every server: short queries, and the same answers on every machine.
ALWAYS: dict[str, str] = {"jit": "off", "timezone": "UTC", "log_timezone": "UTC"}

#: For data nobody will miss: what is lost with the machine is worth no wait for a disk.
THROW_AWAY: dict[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "checkpoint_timeout": "1h",
}

#: For servers of tests: an autovacuum worker in a template makes CREATE DATABASE wait until it has gone.
FOR_TESTS: dict[str, str] = {"autovacuum": "off"}

#: Nobody can hold a port for another process; this many are tried.
PORT_TRIES = 5

#: Seconds that a server may take to start: a hundred times what it does take, for machines that swap.
START_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What it takes to start one server: which, as whom, with which settings."""

    installation: Installation
    account: Account
    settings: Mapping[str, str]
    durable: bool = False


def recipe(
    *,
    extensions: Iterable[str],
    major: int | None,
    installation: Installation | None,
    max_connections: int,
    settings: Mapping[str, str] | None,
    defaults: Mapping[str, str],
    durable: bool = False,
) -> Recipe:
    """Choose the installation, make sure it can be run, and put the settings together: the caller's win."""
    account = server_account()
    chosen = reachable(installation or choose(extensions, major), account)
    together = {**ALWAYS, "max_connections": str(max_connections), **defaults, **(settings or {})}
    if together.get("wal_level", "replica") != "minimal" and "max_wal_senders" not in (settings or {}):
        together.pop("max_wal_senders", None)  # it was 0 only because minimal asks for it
    return Recipe(chosen, account, together, durable)


def fill(run: RunDirectory, how: Recipe, key: str | None) -> data_directory.Origin:
    """Put a data directory into a run directory: the one kept under ``key``, or a freshly initialised one.

    One that is found damaged is thrown away and made again.
    """
    place = data_directory.kept(how.installation, key) if key is not None else None
    if place is not None:
        with contextlib.suppress(data_directory.DamagedError):
            return run.give_to(how.account, place)
        _discard(run, place)
    if not how.account.ours:
        run.path.chmod(0o711)  # initdb runs as the account, in a folder within
    place = data_directory.initialised(how.installation, how.account, run.path)
    try:
        origin = run.give_to(how.account, place)
    except data_directory.DamagedError:
        _discard(run, place)
        again = data_directory.initialised(how.installation, how.account, run.path)
        origin = run.give_to(how.account, again)
    if how.durable:
        _sync(run, how)
    return origin


def _discard(run: RunDirectory, place: Path) -> None:
    shutil.rmtree(run.data, ignore_errors=True)
    data_directory.forget(place)


def _sync(run: RunDirectory, how: Recipe) -> None:
    subprocess.run(
        [str(how.installation.bin / "initdb"), "--sync-only", "--pgdata", str(run.data)],
        check=True,
        cwd="/",
        env=data_directory.server_environment(),
        stdout=subprocess.DEVNULL,
        **how.account.popen_options(),
    )


def launch(
    run: RunDirectory, how: Recipe, *, port: int | None = None, detached: bool = False
) -> tuple[Watcher, int]:
    """Start the server and wait until it takes connections; gives the port, ``port`` if it was still free.

    Raises ``TargetError`` with the server's own words where it doesn't start. Where it fails, or is
    interrupted, no server is left.
    """
    sockets = str(run.path) if len(os.fsencode(run.path)) <= SOCKET_FOLDER_LENGTH else ""
    for _ in range(PORT_TRIES):
        port = port or free_port()
        options = {
            **how.settings,
            "port": str(port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": sockets,
        }
        command = [str(how.installation.bin / "postgres"), "-D", str(run.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        watcher = Watcher.start(command, run.path, how.account, detached=detached)
        try:
            importlib.import_module("psycopg")  # it takes as long as the server does, and both have to be
            watcher.wait_until_ready(run.data, run.log, START_TIMEOUT)
        except ServerExitedError as error:
            watcher.stop_cleanly()
            if "could not bind" not in str(error):
                raise TargetError(
                    f"{how.installation.label} did not start:\n{error}",
                    fix="the server says why; other settings, or another installation, may help",
                ) from None
            port = None
        except BaseException:
            watcher.stop()
            if detached:
                end_server(run.data)
            raise
        else:
            return watcher, port
    raise TargetError(
        f"found no free port on 127.0.0.1 in {PORT_TRIES} tries", fix="see which program takes all ports"
    )


def free_port() -> int:
    """A TCP port of the loopback interface that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def dsn_of(port: int, dbname: str, user: str = "postgres") -> str:
    """A URL of a database on this machine that every PostgreSQL client understands."""
    return f"postgresql://{quote(user, safe='')}@127.0.0.1:{port}/{quote(dbname, safe='')}?sslmode=disable"
