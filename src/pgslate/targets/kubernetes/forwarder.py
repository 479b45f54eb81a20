"""A local port that leads to a service in a cluster, whichever pod stands behind it at the moment."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Protocol

from pgslate.errors import ClusterAuthError, PgslateError, PrivilegeError, TargetError
from pgslate.targets.kubernetes.api import Api, path_of
from pgslate.targets.kubernetes.channels import PROTOCOL, PodChannels
from pgslate.targets.kubernetes.frames import NO_MASK, random_mask
from pgslate.targets.kubernetes.refusal import refuse
from pgslate.targets.kubernetes.relay import DEFAULT_PACE, Ending, Pace, relay

_FINAL = (PrivilegeError, ClusterAuthError)  # no use in asking again


class Pods(Protocol):
    """Where connections go: asked anew for each one."""

    def pick(self, *, fresh: bool) -> tuple[str, str, int]:
        """Namespace, pod and port of a ready pod; with ``fresh``, by asking the cluster now.

        Raises PgslateError where there is none.
        """


class Forwarder:
    """Listens on a port of 127.0.0.1; each connection goes through a websocket of its own to a ready pod.

    One thread a connection: what befalls one never touches another. While a pod answers nothing yet, dialling
    is tried again, with growing pauses, on whichever pod is ready by then.
    """

    def __init__(
        self,
        api: Api,
        pods: Pods,
        *,
        port: int = 0,
        dial_timeout: float = 30.0,
        pace: Pace = DEFAULT_PACE,
        first_pause: float = 0.1,
        note: Callable[[str], None] = lambda line: None,
    ) -> None:
        """Bind ``port`` (0: a free one) and start to listen.

        ``dial_timeout``, in seconds, bounds the tries for one connection; ``note`` is called with a
        line for each failure.
        """
        self._api, self._pods = api, pods
        self._dial_timeout, self._pace, self._first_pause, self._note = dial_timeout, pace, first_pause, note
        self.on_close: Callable[[], None] = lambda: None
        try:
            self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        except OSError as error:
            raise TargetError(
                f"port {port} of 127.0.0.1 can't be listened on: {error.strerror}",
                fix="choose another local port, or leave it out: a free one is taken",
            ) from error
        self._listener.settimeout(None)
        self.host: str = "127.0.0.1"
        self.port: int = self._listener.getsockname()[1]
        self.last_error = ""  # why a connection last led nowhere
        self.forbidden: PgslateError | None = None  # set where no connection will ever lead anywhere
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._live: dict[threading.Thread, list[socket.socket]] = {}
        self._acceptor = threading.Thread(
            target=self._accept, name=f"pgslate-forward-{self.port}", daemon=True
        )
        self._acceptor.start()

    def __enter__(self) -> Forwarder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def open_connections(self) -> int:
        """How many connections are being carried now."""
        with self._lock:
            return len(self._live)

    def close(self) -> None:
        """Stop listening and end all connections. May be called twice."""
        if self.closed.is_set():
            return
        self.closed.set()
        # accept() in another thread isn't woken everywhere by a close: knock
        with suppress(OSError):
            socket.create_connection((self.host, self.port), timeout=1).close()
        self._acceptor.join(timeout=5)
        self._listener.close()
        with self._lock:
            live = dict(self._live)
        for sockets in live.values():
            for sock in sockets:
                _hang_up(sock)
        for thread in live:
            thread.join(timeout=5)
        self.on_close()

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self.closed.wait(0.05):  # out of descriptors: they come back as connections end
                    return
                continue
            if self.closed.is_set():
                client.close()
                return
            thread = threading.Thread(
                target=self._serve, args=(client,), name="pgslate-forwarded", daemon=True
            )
            with self._lock:
                self._live[thread] = [client]
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        sockets = self._live[threading.current_thread()]
        try:
            with suppress(OSError):  # it may be gone already
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._carry(client, sockets)
        finally:
            client.close()
            with self._lock:
                del self._live[threading.current_thread()]

    def _carry(self, client: socket.socket, sockets: list[socket.socket]) -> None:
        until = time.monotonic() + self._dial_timeout
        sent, pause, fresh = b"", self._first_pause, False
        while not self.closed.is_set():
            try:
                ending = self._once(client, sockets, sent, fresh)
            except _FINAL as error:
                self.forbidden = error
                ending = Ending(error.message, sent=sent)
            except PgslateError as error:
                ending = Ending(error.message, repeatable=True, sent=sent)
            if not ending.why:
                return
            self._failed(ending.why)
            sent = ending.sent
            if not ending.repeatable or time.monotonic() + pause > until:
                if not ending.answered:
                    refuse(client, ending.why, received=sent)
                return
            # a little apart, so that 64 connections don't all knock at once
            self.closed.wait(pause * random.uniform(0.8, 1.2))  # noqa: S311  # no secret in it
            pause, fresh = min(pause * 2, 2.0), True

    def _once(self, client: socket.socket, sockets: list[socket.socket], sent: bytes, fresh: bool) -> Ending:
        namespace, pod, port = self._pods.pick(fresh=fresh)
        node, came = self._api.upgrade(
            path_of("pods", namespace, pod, sub="portforward"), (("ports", str(port)),), PROTOCOL
        )
        with node:
            with self._lock:
                sockets.append(node)
            try:
                if self.closed.is_set():
                    _hang_up(node)
                # inside TLS masking protects nobody
                mask = (lambda: NO_MASK) if isinstance(node, ssl.SSLSocket) else random_mask
                return relay(client, node, PodChannels(came, mask=mask), sent=sent, pace=self._pace)
            finally:
                with self._lock:
                    sockets.remove(node)

    def _failed(self, why: str) -> None:
        self.last_error = why
        self._note(why)


def _hang_up(sock: socket.socket) -> None:
    """Wake the thread that waits on a socket. Not SSLSocket.shutdown, which takes its TLS away under it."""
    with suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
