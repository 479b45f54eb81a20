"""Carries one connection's bytes between a local socket and a pod, until one of the two is done."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from pgslate.targets.kubernetes.channels import PodChannels

_CHUNK = 64 * 1024
_TURN = 256 * 1024  # read from one side before the other gets its turn
_FULL = 1024 * 1024  # bytes waiting in one direction: read no more for it
_PIECES = 64  # written at once
_REPEATABLE = 64 * 1024
_FITS_IN_BUFFERS = (
    32 * 1024
)  # the node answers pings in turn with data: with more under way it may just be busy


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a relay is; all in seconds.

    ``ping`` after so long without a word from the node; ``pong`` to wait for its answer; ``linger`` is how
    long the relay still carries the pod's bytes to a client that has sent its last (the websocket has no way
    to tell the pod that the client is done).
    """

    ping: float = 20.0
    pong: float = 20.0
    linger: float = 1.0


DEFAULT_PACE = Pace()


@dataclass(frozen=True, slots=True)
class Ending:
    """How a relay ended. ``why`` is empty where client or server simply finished.

    ``sent`` is everything that the client sent, kept as long as the pod has sent nothing: where the ending is
    ``repeatable``, it can be sent again to another pod.
    """

    why: str = ""
    repeatable: bool = False
    sent: bytes = b""
    answered: bool = False


def relay(
    client: socket.socket,
    node: socket.socket,
    channels: PodChannels,
    *,
    sent: bytes = b"",
    pace: Pace = DEFAULT_PACE,
    clock: Callable[[], float] = time.monotonic,
) -> Ending:
    """Carry bytes both ways until either side is done. Closes neither socket.

    ``sent`` is what the client sent already; it goes to the pod first. Network failures don't raise: they
    are the ``why`` of the ending.
    """
    return _Relay(client, node, channels, sent, pace, clock).run()


class _Relay:
    def __init__(
        self,
        client: socket.socket,
        node: socket.socket,
        channels: PodChannels,
        sent: bytes,
        pace: Pace,
        clock: Callable[[], float],
    ) -> None:
        self.client, self.node, self.channels = client, node, channels
        self.pace, self.clock = pace, clock
        self.sent: bytes | None = sent
        self.client_done = False
        self.why = ""
        self.heard = clock()
        self.moved = clock()  # when a byte last went either way
        self.buffer, self.filled = memoryview(bytearray(_TURN)), 0  # bytes of the node
        if sent:
            channels.send(sent)

    def run(self) -> Ending:
        self.client.setblocking(False)
        self.node.setblocking(False)
        selector = getattr(selectors, "PollSelector", selectors.SelectSelector)()
        try:
            while self._step(selector):
                pass
        finally:
            selector.close()
        self.why = self.channels.error or self.why  # the node's own words are better than ours
        quiet = self.channels.received == 0
        return Ending(
            why=self.why,
            repeatable=bool(self.why) and quiet and self.sent is not None and not self.client_done,
            sent=self.sent or b"",
            answered=not quiet,
        )

    def _step(self, selector: selectors.BaseSelector) -> bool:
        """Wait for something to do, and do it. False when it is over."""
        channels = self.channels
        over = channels.closed or bool(self.why)
        if over and (not channels.incoming or self.why):
            self._say_goodbye()
            return False
        listening = not over and sum(map(len, channels.incoming)) < _FULL
        room_for_node = sum(map(len, channels.outgoing)) < _FULL
        events = (selectors.EVENT_READ if not self.client_done and not over and room_for_node else 0) | (
            selectors.EVENT_WRITE if channels.incoming else 0
        )
        _listen(selector, self.client, events)
        events = (selectors.EVENT_READ if listening else 0) | (
            selectors.EVENT_WRITE if channels.outgoing and not over else 0
        )
        _listen(selector, self.node, events)
        unread = listening and isinstance(self.node, ssl.SSLSocket) and self.node.pending()
        patience = 0 if unread else self._patience() if listening else None
        ready = {key.fileobj: mask for key, mask in selector.select(patience)}
        if not listening:
            # a client that reads slowly, or not at all: who isn't listened to can't be called silent
            self.heard = self.moved = self.clock()
        if ready.get(self.node, 0) & selectors.EVENT_READ or unread:
            self._read_node()
        if channels.incoming:
            self._write_client()
        if ready.get(self.client, 0) & selectors.EVENT_READ:
            self._read_client()
        if channels.outgoing:
            self._write_node()
        if not ready and not unread:
            self._check_the_time()
        return True

    def _patience(self) -> float:
        now = self.clock()
        if self.client_done:
            patience = self.pace.ping + self.pace.pong if self.channels.outgoing else self.pace.linger
            return max(0.0, patience - (now - self.moved))
        patience = self.pace.ping + (self.pace.pong if self.channels.pong_due else 0.0)
        return max(0.0, patience - (now - self.heard))

    def _check_the_time(self) -> None:
        if self._patience() > 0:
            return
        if self.client_done:
            self.channels.close()
        elif not self.channels.pong_due:
            self.channels.ping()
        elif self.channels.unanswered > _FITS_IN_BUFFERS:
            self.heard = self.clock()  # it is taking in what we sent; TCP's keep-alive watches over the rest
        else:
            self.why = f"the node did not answer for {self.pace.ping + self.pace.pong:g} s"

    def _read_client(self) -> None:
        try:
            data = self.client.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
            self.channels.incoming.clear()  # it was reset: nobody listens any more
            self.channels.close()
        if not data:
            self.client_done = True
            self.moved = self.clock()
            return
        if self.sent is not None:
            keep = self.channels.received == 0 and len(self.sent) + len(data) <= _REPEATABLE
            self.sent = self.sent + data if keep else None
        self.channels.send(data)

    def _read_node(self) -> None:
        """All that is there, up to a limit."""
        if not self.channels.incoming:
            self.filled = 0
        elif self.filled == _TURN:
            self.buffer, self.filled = memoryview(bytearray(_TURN)), 0  # the other one is still needed
        start, lost = self.filled, None
        try:
            while self.filled < _TURN:
                # TLS hands out 16 KB at a time, at most: to parse them together is less work
                taken = self.node.recv_into(self.buffer[self.filled :])
                if not taken:
                    raise ConnectionError("it ended without a goodbye")
                self.filled += taken
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError as error:
            lost = error
        if self.filled > start:
            self.heard = self.moved = self.clock()
            self.channels.feed(self.buffer[start : self.filled])
        if lost and not self.channels.closed:
            self._lost(lost)

    def _write_client(self) -> None:
        incoming = self.channels.incoming
        try:
            while incoming:
                sent = self.client.sendmsg(list(islice(incoming, _PIECES)))
                while incoming and sent >= len(incoming[0]):
                    sent -= len(incoming.popleft())
                if sent:
                    incoming[0] = memoryview(incoming[0])[sent:]
        except BlockingIOError:
            return
        except OSError:
            incoming.clear()
            self.client_done = True
            self.channels.close()

    def _write_node(self) -> None:
        outgoing = self.channels.outgoing
        try:
            while outgoing:
                sent = self.node.send(outgoing[0])
                self.moved = self.clock()
                if sent < len(outgoing[0]):
                    outgoing[0] = memoryview(outgoing[0])[sent:]
                    return
                outgoing.popleft()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as error:
            self._read_node()  # it may have sent the reason before it hung up
            if not self.channels.closed:
                self._lost(error)

    def _lost(self, error: OSError) -> None:
        if not self.channels.incoming and not self.client_done:
            self.why = f"the connection to the API server broke: {error}"
        self.channels.closed = True

    def _say_goodbye(self) -> None:
        """The closing frame, if there is still someone to read it."""
        self.channels.close()
        self._write_node()


def _listen(selector: selectors.BaseSelector, sock: socket.socket, events: int) -> None:
    known = selector.get_map().get(sock)
    if known is None:
        if events:
            selector.register(sock, events)
    elif not events:
        selector.unregister(sock)
    elif known.events != events:
        selector.modify(sock, events)
