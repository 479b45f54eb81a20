"""What the stand-in streams: a pod's port over a raw websocket or SPDY, and a command's input and output."""

from __future__ import annotations

import json
import os
import selectors
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from tests.kubernetes.standin import spdy
from tests.kubernetes.standin.store import Json
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request
from wsproto.utilities import LocalProtocolError

CHUNK = 32 * 1024  # what containerd copies at once
GRACE = 1.0  # seconds that containerd leaves one direction once the other is done


class Stream(Protocol):
    """A connection that has been upgraded: what comes in, and what goes out."""

    def receive(self, data: bytes) -> list[bytes]:
        """The payloads in what was read from the socket."""

    def wrap(self, payload: bytes) -> bytes:
        """The bytes to write for a payload."""


class Socket:
    """A socket with TLS that one thread reads and any thread may write, though never both inside OpenSSL."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._lock = threading.RLock()
        self.closed = False
        sock.setblocking(False)

    def read(self) -> bytes:
        """Some bytes, waiting for them; none at the end."""
        while True:
            with self._lock:
                if self.closed:
                    return b""
                try:
                    return self.sock.recv(256 * 1024)
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                    pass
                except OSError:
                    return b""
            wait(self.sock, selectors.EVENT_READ)

    def write(self, data: bytes) -> None:
        """All of it, waiting as long as it takes. What is lost is lost."""
        view = memoryview(data)
        while view:
            with self._lock:
                if self.closed:
                    return
                try:
                    view = view[self.sock.send(view) :]
                    continue
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
                    pass
                except OSError:
                    return
            wait(self.sock, selectors.EVENT_WRITE)

    def close(self) -> None:
        """Orderly: what was written still arrives."""
        with self._lock:
            if not self.closed:
                self.closed = True
                with suppress(OSError):
                    socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def reset(self) -> None:
        """As a node that dies: the peer gets a TCP reset."""
        with self._lock, suppress(OSError):
            self.closed = True
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            descriptor = self.sock.detach()
            os.close(descriptor)


def wait(sock: socket.socket, event: int) -> None:
    """Until a socket can be read or written, or a moment passed (it may have been closed meanwhile)."""
    with suppress(OSError, ValueError), selectors.PollSelector() as selector:
        selector.register(sock, event)
        selector.select(0.5)


class WebSocket:
    """The server's side of a websocket: whole messages in, whole messages out."""

    def __init__(self, sock: Socket, headers: list[tuple[bytes, bytes]], path: str, protocol: str) -> None:
        self.sock = sock
        self._connection = WSConnection(ConnectionType.SERVER)
        self._connection.initiate_upgrade_connection(headers, path)
        assert any(isinstance(event, Request) for event in self._connection.events())
        self._lock = threading.Lock()
        self._part = bytearray()
        self.stalled = threading.Event()
        self.close_code: int | None = None
        self.fragments = 0
        sock.write(self._connection.send(AcceptConnection(subprotocol=protocol)))

    def messages(self) -> list[bytes] | None:
        """The next messages, waiting for some; None once it is over."""
        found: list[bytes] = []
        while not found:
            if self.stalled.is_set():
                if self.sock.closed:
                    return None
                time.sleep(0.05)
                continue
            data = self.sock.read()
            with self._lock, suppress(LocalProtocolError):
                self._connection.receive_data(data or None)
            for event in self._connection.events():
                if isinstance(event, BytesMessage):
                    self._part += event.data
                    self.fragments += event.frame_finished and not event.message_finished
                    if event.message_finished:
                        found.append(bytes(self._part))
                        self._part.clear()
                elif isinstance(event, Ping):
                    self._send(event.response())
                elif isinstance(event, CloseConnection):
                    self.close_code = event.code
                    self.close()
                    return found or None
            if not data:
                return found or None
        return found

    def send(self, message: bytes) -> None:
        """One message."""
        self._send(BytesMessage(data=message))

    def _send(self, event: Any) -> None:
        with self._lock:
            if self._connection.state is ConnectionState.OPEN and not self.stalled.is_set():
                self.sock.write(self._connection.send(event))

    def close(self) -> None:
        """With a closing frame."""
        with self._lock:
            if self._connection.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
                self.sock.write(self._connection.send(CloseConnection(code=1000)))
        self.sock.close()


def forward_raw(websocket: WebSocket, port: int, connect: Callable[[], socket.socket], fault: str) -> None:
    """One port over ``v4.channel.k8s.io``, as the kubelet does it."""
    head = port.to_bytes(2, "little")
    websocket.send(b"\x00" + head)
    websocket.send(b"\x01" + head)
    if fault == "hangup":
        return websocket.close()
    try:
        backend = connect()
    except OSError as error:
        text = (
            f"error forwarding port {port} to pod 0123456789, uid : failed to execute portforward in network "
        )
        text += (
            f'namespace "/var/run/netns/cni": failed to connect to localhost:{port} inside namespace: {error}'
        )
        websocket.send(b"\x01" + text.encode())
        return websocket.close()
    with backend:
        done = threading.Event()

        def from_pod() -> None:
            first = True
            while data := _read(backend):
                websocket.send(b"\x00" + data)
                if first and fault == "reset-later":
                    websocket.sock.reset()
                first = False
            done.set()
            time.sleep(GRACE)
            websocket.close()

        reader = threading.Thread(target=from_pod, daemon=True)
        reader.start()
        if fault == "stall":
            websocket.stalled.set()
        while (messages := websocket.messages()) is not None:
            for message in messages:
                if message[:1] == b"\x00" and not done.is_set():
                    with suppress(OSError):
                        backend.sendall(message[1:])
        with suppress(OSError):
            backend.shutdown(socket.SHUT_RDWR)
        reader.join(timeout=5)
    return None


def _read(sock: socket.socket) -> bytes:
    try:
        return sock.recv(CHUNK)
    except OSError:
        return b""


class SpdyForward:
    """Ports over SPDY, for as many connections as the client opens streams; as the kubelet does it."""

    def __init__(self, write: Callable[[bytes], None], connect: Callable[[int], socket.socket]) -> None:
        self._write, self._connect = write, connect
        self._session = spdy.Session()
        self._lock = threading.Lock()
        self._errors: dict[str, int] = {}  # request id -> error stream
        self._backends: dict[int, socket.socket] = {}

    def feed(self, data: bytes) -> bool:
        """Take what the client sent; False once it says goodbye."""
        for frame in self._session.feed(data):
            if frame.kind == spdy.SYN_STREAM:
                self._open(frame)
            elif frame.kind == 0 and frame.stream in self._backends:
                with suppress(OSError):
                    if frame.data:
                        self._backends[frame.stream].sendall(frame.data)
                    if frame.fin:
                        self._backends[frame.stream].shutdown(socket.SHUT_WR)
            elif frame.kind == spdy.RST_STREAM and frame.stream in self._backends:
                _shut(self._backends.pop(frame.stream))
            elif frame.kind == spdy.PING:
                self._send(spdy.ping(frame.data))
            elif frame.kind == spdy.GOAWAY:
                return False
        return True

    def close(self) -> None:
        """End what is still open."""
        for backend in self._backends.values():
            _shut(backend)

    def _open(self, frame: spdy.Frame) -> None:
        request = frame.headers.get("requestid", "")
        with self._lock:
            self._write(self._session.reply(frame.stream))
        if frame.headers.get("streamtype") == "error":
            self._errors[request] = frame.stream
            return
        error_stream = self._errors.pop(request)
        try:
            backend = self._connect(int(frame.headers["port"]))
        except OSError as error:
            self._send(spdy.data(error_stream, f"error forwarding port: {error}".encode(), fin=True))
            self._send(spdy.data(frame.stream, b"", fin=True))
            return
        self._backends[frame.stream] = backend
        args = (frame.stream, error_stream, backend)
        threading.Thread(target=self._from_pod, args=args, daemon=True).start()

    def _from_pod(self, stream: int, error_stream: int, backend: socket.socket) -> None:
        with backend:
            while data := _read(backend):
                self._send(spdy.data(stream, data))
        self._send(spdy.data(stream, b"", fin=True))
        self._send(spdy.data(error_stream, b"", fin=True))

    def _send(self, data: bytes) -> None:
        with self._lock:
            self._write(data)


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def execute(websocket: WebSocket, command: list[str], environ: dict[str, str], *, stdin: bool) -> None:
    """A command over ``v5.channel.k8s.io``: 0 in, 1 out, 2 err, 3 status, 255 closes the channel it names."""
    websocket.send(b"\x01")  # says that the connection stands
    try:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environ},
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except OSError as error:
        websocket.send(b"\x03" + json.dumps(_failure(126, str(error))).encode())
        return websocket.close()

    def copy(pipe: Any, channel: bytes) -> None:
        with pipe:
            while data := pipe.read1(CHUNK):
                websocket.send(channel + data)

    outputs = [
        threading.Thread(target=copy, args=(process.stdout, b"\x01"), daemon=True),
        threading.Thread(target=copy, args=(process.stderr, b"\x02"), daemon=True),
    ]
    for thread in outputs:
        thread.start()
    ended = threading.Thread(target=_report, args=(process, outputs, websocket), daemon=True)
    ended.start()
    while (messages := websocket.messages()) is not None:
        for message in messages:
            if process.stdin is None or process.stdin.closed:
                continue
            with suppress(OSError):
                if message[:1] == b"\x00":
                    process.stdin.write(message[1:])
                    process.stdin.flush()
                elif message == b"\xff\x00":
                    process.stdin.close()
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
    if process.poll() is None:
        process.terminate()
    ended.join(timeout=10)
    return None


def _report(process: subprocess.Popen[bytes], outputs: list[threading.Thread], websocket: WebSocket) -> None:
    for thread in outputs:
        thread.join()
    code = process.wait()
    status: Json = {"metadata": {}, "status": "Success"}
    websocket.send(b"\x03" + json.dumps(_failure(code, "") if code else status).encode())
    websocket.close()


def _failure(code: int, message: str) -> Json:
    return {
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": message or f"command terminated with non-zero exit code: exit status {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
