"""One port of one pod over a websocket: the frames of ``v4.channel.k8s.io``, without any I/O.

Each message starts with a byte that names its channel: 0 carries data both ways, 1 carries the node's words
on what went wrong. On each channel the first two bytes that the node sends are the port number, little
endian. A message must not be fragmented on its way there: the node takes each fragment for a message of its
own. There is no half-close: who closes the websocket ends both directions. Source: kubernetes/kubernetes,
staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go, and apimachinery's wsstream/conn.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from pgslate.targets.kubernetes.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    FrameError,
    FrameReader,
    frame,
    random_mask,
)

PROTOCOL = "v4.channel.k8s.io"

_DATA, _ERROR = 0, 1
_PORT_BYTES = 2
_NORMAL_CLOSURE = (1000).to_bytes(2, "big")


class PodChannels:
    """The two channels of one forwarded port, over a websocket whose handshake is done.

    ``incoming`` holds data for the client, ``outgoing`` bytes for the websocket's socket; whoever does the
    I/O takes from them. ``error`` is the node's message on the error channel.
    """

    def __init__(self, came_already: bytes = b"", *, mask: Callable[[], bytes] = random_mask) -> None:
        """``came_already`` is what came in one piece with the handshake; ``mask`` gives masking keys."""
        self._mask = mask
        self._reader = FrameReader()
        self._channel: int | None = None  # of the message whose pieces are coming in
        self._port_bytes_due = {_DATA: _PORT_BYTES, _ERROR: _PORT_BYTES}
        self._error = bytearray()
        self._close_sent = False
        self.incoming: deque[bytes | memoryview] = deque()
        self.outgoing: deque[bytes | memoryview] = deque()
        self.closed = False
        self.pong_due = False
        self.received = 0
        self.unanswered = 0  # bytes sent since the node last sent any
        if came_already:
            self.feed(came_already)

    @property
    def error(self) -> str:
        """The error that the node reported, or nothing."""
        return self._error.decode(errors="replace").strip()

    def send(self, data: bytes) -> None:
        """Queue data for the pod, as one unfragmented message."""
        if not self.closed:
            self.unanswered += len(data)
            self._say(BINARY, data, prefix=b"\x00")

    def ping(self) -> None:
        """Queue a ping; ``pong_due`` is set until anything comes back."""
        if not self.closed:
            self.pong_due = True
            self._say(PING, b"")

    def close(self) -> None:
        """Queue the closing frame, once; nothing more can be sent."""
        if not self._close_sent:
            self._close_sent = True
            self._say(CLOSE, _NORMAL_CLOSURE)
        self.closed = True

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes that came from the websocket's socket; none means that it ended.

        What is ``incoming`` refers to them: they have to stay as they are until it was taken.
        """
        if self.closed:
            return
        if not data:
            self.closed = True
            return
        self.pong_due = False
        self.unanswered = 0
        try:
            for piece in self._reader.feed(data):
                if piece.opcode in (BINARY, CONTINUATION):
                    self._take(piece.payload, last=piece.last)
                elif piece.opcode == PING:
                    self._say(PONG, bytes(piece.payload))
                elif piece.opcode == CLOSE:
                    self.close()
                    return
        except FrameError as error:
            self._error += f"the node doesn't speak websocket: {error}".encode()
            self.close()

    def _say(self, opcode: int, payload: bytes, *, prefix: bytes = b"") -> None:
        self.outgoing.append(frame(opcode, payload, prefix=prefix, key=self._mask()))

    def _take(self, data: memoryview, *, last: bool) -> None:
        """One piece of a message; a message comes in several where it straddles what was read at once."""
        if self._channel is None and data:
            self._channel = data[0]
            data = data[1:]
        channel = self._channel
        if last:
            self._channel = None
        if channel not in (_DATA, _ERROR):
            return
        if due := self._port_bytes_due[channel]:
            self._port_bytes_due[channel] = max(0, due - len(data))
            data = data[due:]
        if not data:
            return
        if channel == _ERROR:
            self._error += data
        else:
            self.received += len(data)
            self.incoming.append(data)
