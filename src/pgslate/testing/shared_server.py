"""The embedded server that all workers of a test run share: started by who runs them, when one first asks.

The controller of pytest-xdist listens on a socket in a folder only it can enter; a worker asks for a server
with certain extensions, and receives its DSN. So the server lives as long as the run, whichever worker is
killed, and a run that needs none starts none. It listens all the same: a worker has no other way to ask.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgslate.errors import MissingExtensionError, PgslateError, TargetError

if TYPE_CHECKING:
    from pgslate.targets.embedded.server import Server  # at run time when a server is asked for

#: Connections that a server for tests takes: several for each worker.
MAX_CONNECTIONS = 200

#: A socket's path may have 103 bytes (``sun_path`` of macOS); ``/pgslate-12345678/broker`` takes 24 of them.
TEMPORARY_FOLDER_LENGTH = 103 - 24

#: Where the socket is if TMPDIR is longer than that; not taken from ``targets``, which a run that asks for no
#: database doesn't import.
SHARED_TEMPORARY = "/tmp"  # noqa: S108 - what we make in it is ours alone

_Wanted = tuple[tuple[str, ...], int | None]


def start_server(extensions: Iterable[str] = (), major: int | None = None) -> Server:
    """An embedded server for a test run, with the ``extensions`` as far as any server here has them.

    Raises TargetError. (What no server has, tests may not need: their templates will say.)
    """
    from pgslate.targets.embedded.server import Server

    try:
        return Server.start(extensions=extensions, major=major, max_connections=MAX_CONNECTIONS)
    except MissingExtensionError as error:
        rest = set(extensions) - set(error.extensions)
    return Server.start(extensions=sorted(rest), major=major, max_connections=MAX_CONNECTIONS)


class Broker:
    """Starts servers for the processes that know its ``address``; ``close`` ends them.

    Raises OSError where there can be no socket.
    """

    def __init__(self) -> None:
        self.servers: dict[_Wanted, Server] = {}
        self._lock = threading.Lock()
        with contextlib.ExitStack() as undo:
            self._folder = _short_folder()
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self.address = str(self._folder / "broker")
            self._socket = undo.enter_context(socket.socket(socket.AF_UNIX))
            self._socket.bind(self.address)
            self._socket.listen(64)
            undo.pop_all()
        threading.Thread(target=self._listen, name="pgslate-broker", daemon=True).start()

    def close(self, *, keep: Iterable[str] = ()) -> None:
        """Take no more requests, and end the servers; ``keep`` are databases to be looked into later."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes up accept()
        self._socket.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        with self._lock:
            for server in self.servers.values():
                from pgslate.testing.kept import keep_data, kept_on

                if kept := kept_on(server, keep):
                    keep_data(server, kept)
                server.stop()
            self.servers.clear()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rw", encoding="utf-8") as stream:
            asked = json.loads(stream.readline())
            try:
                server = self._server((tuple(sorted(asked["extensions"])), asked["major"]))
                answer: dict[str, Any] = {"dsn": server.dsn(), "version": server.installation.version}
            except PgslateError as error:
                answer = {"error": error.message, "fix": error.fix}
            with contextlib.suppress(OSError):  # whoever asked may be gone
                stream.write(json.dumps(answer) + "\n")
                stream.flush()

    def _server(self, wanted: _Wanted) -> Server:
        with self._lock:
            for (extensions, major), server in self.servers.items():
                if set(wanted[0]) <= set(extensions) and wanted[1] in (None, major):
                    return server
            self.servers[wanted] = start_server(*wanted)
            return self.servers[wanted]


def _short_folder() -> Path:
    """A new folder that only we can enter, for a socket."""
    is_short = len(os.fsencode(tempfile.gettempdir())) <= TEMPORARY_FOLDER_LENGTH
    return Path(tempfile.mkdtemp(prefix="pgslate-", dir=None if is_short else SHARED_TEMPORARY))


def ask(address: str, extensions: Iterable[str], major: int | None) -> tuple[str, str] | None:
    """The DSN and version of a server of the broker at ``address``; None where there is no broker any more,
    or it is on another machine.

    Raises TargetError where the broker can't start one.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:
            return None
        with connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(json.dumps({"extensions": sorted(extensions), "major": major}) + "\n")
            stream.flush()
            line = stream.readline()
    if not line:
        return None
    answer = json.loads(line)
    if "error" in answer:
        raise TargetError(answer["error"], fix=answer["fix"])
    return answer["dsn"], answer["version"]
