"""A transaction pooler, as small as one can be: it speaks enough of the protocol to be taken for PgBouncer.

It keeps its backends in a stack, gives one to a client when the client sends something outside a transaction,
and takes it back when the server says that it is idle (ReadyForQuery "I"; protocol 3.0, message formats).
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from types import TracebackType

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104


class Pooler:
    """Listens on ``port`` for clients of the database ``postgres`` of the server at ``server_port``.

    ``keep_session``: a client keeps its backend until it leaves, as in session pooling. ``says_version``:
    what clients are told as server_version, instead of the server's own.
    """

    def __init__(
        self, server_port: int, *, keep_session: bool = False, says_version: str | None = None
    ) -> None:
        self._server_port = server_port
        self._keep_session = keep_session
        self._says_version = says_version
        self._idle: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Pooler:
        self._run(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:  # each ends when its client does
            thread.join()
        for each in (self._listener, *self._open):
            each.close()

    @property
    def dsn(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres?sslmode=disable"

    def _run(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]  # a bound method
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(client)
            self._run(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(ConnectionError, OSError):
            while True:
                (length,) = struct.unpack("!i", _exactly(client, 4))
                (code,) = struct.unpack("!i", _exactly(client, length - 4)[:4])
                if code not in (SSL_REQUEST, GSS_REQUEST):
                    break
                client.sendall(b"N")
            backend, greeting = self._connect()
            client.sendall(greeting)
            self._idle.append(backend)
            while (kind := client.recv(1)) not in (b"", b"X"):  # X: the client leaves
                self._forward_until_idle(client, kind)

    def _forward_until_idle(self, client: socket.socket, kind: bytes) -> None:
        backend = self._idle.pop() if self._idle else self._connect()[0]
        while True:
            backend.sendall(kind + _body(client))
            if kind in b"QS":  # a query or a sync: the server answers up to ReadyForQuery
                while True:
                    answer = _exactly(backend, 1)
                    body = _body(backend)
                    if answer == b"Z" and body[4:] == b"I" and not self._keep_session:
                        self._idle.append(backend)  # before the client knows, who may ask again at once
                        client.sendall(answer + body)
                        return
                    client.sendall(answer + body)
                    if answer == b"Z":
                        break
            if (kind := client.recv(1)) in (b"", b"X"):
                return

    def _connect(self) -> tuple[socket.socket, bytes]:
        """A backend, and the greeting for a client: the server's own, with a process id that is made up."""
        backend = socket.create_connection(("127.0.0.1", self._server_port))
        self._open.append(backend)
        parameters = b"user\0postgres\0database\0postgres\0\0"
        backend.sendall(struct.pack("!ii", 8 + len(parameters), 196608) + parameters)
        greeting = b""
        while True:
            kind = _exactly(backend, 1)
            body = _body(backend)
            if kind == b"K":
                body = struct.pack("!iii", 12, 2_000_000_000 + len(self._open), 1)
            if kind == b"S" and self._says_version and body[4:].startswith(b"server_version\0"):
                text = b"server_version\0" + self._says_version.encode() + b"\0"
                body = struct.pack("!i", 4 + len(text)) + text
            greeting += kind + body
            if kind == b"Z":
                return backend, greeting


def _exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise ConnectionError("the other side left in the middle of a message")
        data += more
    return data


def _body(source: socket.socket) -> bytes:
    """The rest of a message after its kind: its length, which counts itself, and so many bytes."""
    length = _exactly(source, 4)
    return length + _exactly(source, struct.unpack("!i", length)[0] - 4)
