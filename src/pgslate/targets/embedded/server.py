"""An embedded server: a PostgreSQL of our own, started in a tenth of a second, gone with its owner."""

from __future__ import annotations

import contextlib
import os
import socket
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from psycopg import sql

from pgslate.errors import TargetError
from pgslate.targets.embedded import datadir
from pgslate.targets.embedded.accounts import Account, server_account
from pgslate.targets.embedded.folders import run_folder
from pgslate.targets.embedded.installations import Installation, choose
from pgslate.targets.embedded.reachable import reachable
from pgslate.targets.embedded.rundirs import RunDirectory, make_run_directory, remove_stale
from pgslate.targets.embedded.watcher import ServerExitedError, Watcher
from pgslate.targets.target import Target

#: For data nobody will miss: what is lost with the machine is worth no wait for a disk.
THROW_AWAY: dict[str, str] = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "autovacuum": "off",  # a worker in a template makes CREATE DATABASE wait for it
    "checkpoint_timeout": "1h",
}

#: For every server: short queries, and the same answers on every machine.
ALWAYS: dict[str, str] = {"jit": "off", "timezone": "UTC", "log_timezone": "UTC"}

PORT_TRIES = 5


class Server:
    """A running embedded server; ``Server.start()`` makes one, ``stop()`` or leaving its ``with`` ends it.

    It also ends with this process, even when that is killed. Its superuser is ``postgres``; it listens on
    127.0.0.1 and a socket only.
    """

    def __init__(
        self,
        installation: Installation,
        account: Account,
        run: RunDirectory,
        settings: Mapping[str, str],
    ) -> None:
        self.installation = installation
        self.port = 0
        self._account = account
        self._run = run
        self._settings = dict(settings)
        self._launch(free_port())

    @classmethod
    def start(
        cls,
        *,
        extensions: Iterable[str] = (),
        major: int | None = None,
        installation: Installation | None = None,
        durable: bool = False,
        tmpfs: bool | None = None,
        max_connections: int = 100,
        settings: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> Server:
        """Start a server; takes about 0.1 s, and half a second more the first time ever.

        ``extensions`` that it must have and ``major`` choose the installation, if none is given. ``durable``
        leaves fsync on and the data on disk; else ``tmpfs`` is used where there is room, or as told.
        ``settings`` are PostgreSQL's own and win over ours. ``key``: begin with the data that ``keep(key)``
        kept, where there is some.

        Raises ``MissingExtensionError``, or ``TargetError`` where no server is there or it doesn't start.
        """
        chosen = installation or choose(extensions, major)
        account = server_account()
        chosen = reachable(chosen, account)
        folder = run_folder(account, tmpfs=False if durable and tmpfs is None else tmpfs)
        remove_stale(folder)
        run = make_run_directory(folder)
        try:
            fill(run, chosen, account, key)
            return cls(chosen, account, run, _settings(durable, max_connections, settings or {}))
        except BaseException:
            run.remove()
            raise

    @property
    def major(self) -> int:
        return self.installation.major

    @property
    def data(self) -> Path:
        """The data directory; while the server runs it is the server's alone."""
        return self._run.data

    def log(self) -> str:
        """What the server has logged so far."""
        return self._run.log.read_text(errors="replace")

    def dsn(self, dbname: str = "postgres", user: str = "postgres") -> str:
        """A URL of a database of this server, which every PostgreSQL client understands."""
        return dsn_of(self.port, dbname, user)

    def target(self, dbname: str = "postgres") -> Target:
        """A database of this server as a target; closing it leaves the server up."""
        return Target(self.dsn(dbname), label=f"{dbname} on embedded PostgreSQL {self.installation.version}")

    def create_database(self, name: str, *, template: str = "template1") -> Target:
        """Make a database and return it."""
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        if self.major >= 15:
            statement += sql.SQL(" STRATEGY file_copy")  # the faster one without fsync
        with self.target().connect(autocommit=True) as connection:
            connection.execute(statement)
        return self.target(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        with self.target().connect(autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def keep(self, key: str) -> None:
        """Keep this server's data under ``key``, for ``start(key=...)``; it restarts, on the same port."""
        self._end.detach()
        self._watcher.stop_cleanly()
        datadir.keep(self.data, self.installation, key)
        self._launch(self.port)

    def stop(self) -> None:
        """End the server and remove its data; returns when both is done. Safe to repeat."""
        self._end()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Server {self.installation.label} on port {self.port}>"

    def _launch(self, port: int) -> None:
        self._watcher, self.port = launch(
            self._run, self.installation, self._account, self._settings, port, detached=False
        )
        self._end = weakref.finalize(self, _end, self._watcher, self._run, os.getpid())


def _end(watcher: Watcher, run: RunDirectory, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's server alone
        watcher.stop()
        run.release()


def dsn_of(port: int, dbname: str, user: str) -> str:
    return f"postgresql://{quote(user, safe='')}@127.0.0.1:{port}/{quote(dbname, safe='')}?sslmode=disable"


def fill(run: RunDirectory, installation: Installation, account: Account, key: str | None) -> None:
    """Put a data directory into a run directory: the one kept under ``key``, or a freshly initialised one.

    One that was damaged while it was kept is thrown away and made again.
    """
    place = datadir.kept(installation, key) if key is not None else None
    if place is not None:
        with contextlib.suppress(datadir.DamagedError):
            run.give_to(account, place)
            return
        run.empty()
        datadir.forget(place)
    if not account.ours:
        os.chmod(run.path, 0o711)  # noqa: PTH101, S103 - initdb's account has to get to its folder within
    place = datadir.initialised(installation, account, run.path)
    try:
        run.give_to(account, place)
    except datadir.DamagedError:
        run.empty()
        datadir.forget(place)
        run.give_to(account, datadir.initialised(installation, account, run.path))


def launch(
    run: RunDirectory,
    installation: Installation,
    account: Account,
    settings: Mapping[str, str],
    port: int,
    *,
    detached: bool,
) -> tuple[Watcher, int]:
    """Start the server in a run directory and wait until it takes connections; the port may turn out another.

    Nobody can hold a port for another process, so one that was taken meanwhile is given up for the next.
    """
    for _ in range(PORT_TRIES):
        options = {**settings, "port": str(port), "listen_addresses": "127.0.0.1"}
        options["unix_socket_directories"] = str(run.path)
        command = [str(installation.bin / "postgres"), "-D", str(run.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        watcher = Watcher.start(command, run.path, account, detached=detached)
        try:
            watcher.wait_until_ready(run.data, run.log, timeout=60)
        except ServerExitedError as error:
            watcher.stop_cleanly()
            if "could not bind" in str(error):
                run.log.write_text("")
                port = free_port()
                continue
            raise TargetError(
                f"{installation.label} did not start:\n{error}",
                fix="the server's own words above say why; other settings or another installation may help",
            ) from None
        except BaseException:
            watcher.stop()
            raise
        return watcher, port
    raise TargetError(
        f"found no free port on 127.0.0.1 in {PORT_TRIES} tries", fix="look at what takes all ports"
    )


def free_port() -> int:
    """A TCP port of the loopback interface that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _settings(durable: bool, max_connections: int, own: Mapping[str, str]) -> dict[str, str]:
    settings = {**ALWAYS, "max_connections": str(max_connections)}
    if not durable:
        settings.update(THROW_AWAY)
        if own.get("wal_level", "minimal") != "minimal":
            del settings["max_wal_senders"]
    return {**settings, **own}
