"""An embedded server: a PostgreSQL of our own, started in a tenth of a second, gone with its owner."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from pgslate.targets.database_removal import remove_database
from pgslate.targets.embedded import data_directory
from pgslate.targets.embedded.folders import run_folder
from pgslate.targets.embedded.installations import Installation
from pgslate.targets.embedded.launch import FOR_TESTS, THROW_AWAY, Recipe, dsn_of, fill, launch, recipe
from pgslate.targets.embedded.run_directory import RunDirectory, make_run_directory, remove_stale
from pgslate.targets.embedded.watcher import Watcher

if TYPE_CHECKING:
    from pgslate.targets.target import Target  # at run time when asked for: psycopg is slow to import


class Server:
    """A running embedded server; ``Server.start()`` makes one, ``stop()`` or leaving its ``with`` ends it.

    It also ends with this process, even when that is killed. Its superuser is ``postgres``, without a
    password; it listens on 127.0.0.1 and, where the path is short enough, a socket.
    """

    def __init__(self, run: RunDirectory, how: Recipe, origin: data_directory.Origin) -> None:
        self.from_kept = origin.has_key
        self._origin = origin
        self._run = run
        self._how = how
        self._launch(None)

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
        leaves fsync on and the data on disk, but the data goes with the server all the same; else ``tmpfs``
        is used where there is room, or as set. ``settings`` are PostgreSQL's own and win over ours. ``key``:
        begin with the data that ``keep(key)`` kept, where there is some; ``from_kept`` then is True.

        Raises ``MissingExtensionError``, or ``TargetError`` where no server is there or it doesn't start.
        """
        how = recipe(
            extensions=extensions,
            major=major,
            installation=installation,
            max_connections=max_connections,
            settings=settings,
            defaults=FOR_TESTS if durable else {**THROW_AWAY, **FOR_TESTS},
            durable=durable,
        )
        folder = run_folder(how.account, tmpfs=False if durable and tmpfs is None else tmpfs)
        remove_stale(folder)
        run = make_run_directory(folder)
        try:
            return cls(run, how, fill(run, how, key))
        except BaseException:
            run.remove()
            raise

    @property
    def installation(self) -> Installation:
        """Which of the machine's PostgreSQL installations this is, with its programs."""
        return self._how.installation

    @property
    def major(self) -> int:
        return self._how.installation.major

    @property
    def note(self) -> bytes:
        """What was noted where the data was kept that this server began with; empty where it wasn't."""
        return self._origin.note

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
        from pgslate.targets.embedded.embedded_target import EmbeddedTarget

        return EmbeddedTarget(
            self.dsn(dbname), label=f"{dbname} on embedded PostgreSQL {self.installation.version}"
        )

    def create_database(self, name: str, *, template: str = "template1") -> Target:
        """Make a database and return it; raises ``psycopg.errors.DuplicateDatabase`` where it exists."""
        from psycopg import sql

        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        if self.major >= 15 and not self._how.durable:
            statement += sql.SQL(" STRATEGY file_copy")  # the faster one without fsync
        with self.target().connect(autocommit=True) as connection:
            connection.execute(statement)
        return self.target(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, whoever is connected to it."""
        with self.target().connect(autocommit=True) as connection:
            remove_database(self.target(), connection, name)

    def keep(self, key: str) -> None:
        """Keep this server's data under ``key``, for ``start(key=...)``.

        The server stops for it and starts again, on the same port if that is still free: connections break.
        """
        try:
            self._stop_and_keep(key)
        finally:
            self._launch(self.port)

    def keep_and_stop(self, key: str, *, note: bytes = b"") -> None:
        """End the server and keep its data under ``key``, for ``start(key=...)``, which finds the ``note``
        again, too."""
        try:
            self._stop_and_keep(key, note)
        finally:
            self._run.remove()

    def _stop_and_keep(self, key: str, note: bytes = b"") -> None:
        self._end.detach()
        self._watcher.stop_cleanly()
        data_directory.keep(self.data, self.installation, key, origin=self._origin, note=note)

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

    def _launch(self, port: int | None) -> None:
        self._watcher, self.port = launch(self._run, self._how, port=port)
        self._end = weakref.finalize(self, _end, self._watcher, self._run, os.getpid())


def _end(watcher: Watcher, run: RunDirectory, owner: int) -> None:
    if os.getpid() == owner:  # a forked child leaves its parent's server alone
        watcher.stop()
        run.remove()
