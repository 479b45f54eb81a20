"""One port of one pod over a websocket: the frames of ``v4.channel.k8s.io``, without any I/O.

Each message starts with a byte that names its channel: 0 carries data both ways, 1 carries the node's words
on what went wrong. On each channel the first two bytes that the node sends are the port number, little
endian. A message must not be fragmented on its way there: the node takes each fragment for a message of its
own. There is no half-close: who closes the websocket ends both directions. Source: kubernetes/kubernetes,
staging/src/k8s.io/kubelet/pkg/cri/streaming/portforward/websocket.go, and apimachinery's wsstream/conn.go.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong
from wsproto.utilities import LocalProtocolError

PROTOCOL = "v4.channel.k8s.io"

_DATA, _ERROR = 0, 1
_PORT_BYTES = 2


class PodChannels:
    """The two channels of one forwarded port.

    ``incoming`` holds data for the client, ``outgoing`` bytes for the websocket's socket; whoever does the
    I/O takes from them. ``error`` is what the node said on the error channel.
    """

    def __init__(self, connection: Any) -> None:
        """``connection`` is a wsproto.WSConnection whose handshake is done."""
        self._connection = connection
        self._channel: int | None = None  # of the message whose parts are coming in
        self._port_bytes_due = {_DATA: _PORT_BYTES, _ERROR: _PORT_BYTES}
        self._error = bytearray()
        self.incoming: deque[bytes | bytearray | memoryview] = deque()
        self.outgoing: deque[bytes | memoryview] = deque()
        self.closed = False
        self.pong_due = False
        self.received = 0
        self.unanswered = 0  # bytes sent since the node last said anything
        self._take_events()  # data can come in one piece with the handshake's answer

    @property
    def error(self) -> str:
        """What the node said went wrong, or nothing."""
        return self._error.decode(errors="replace").strip()

    def send(self, data: bytes | memoryview) -> None:
        """Queue data for the pod, as one unfragmented message."""
        if not self.closed:
            self.unanswered += len(data)
            self.outgoing.append(self._connection.send(BytesMessage(data=b"\x00" + bytes(data))))

    def ping(self) -> None:
        """Queue a ping; ``pong_due`` is set until anything comes back."""
        if not self.closed:
            self.pong_due = True
            self.outgoing.append(self._connection.send(Ping()))

    def close(self) -> None:
        """Queue the closing frame; nothing more can be sent."""
        if self._connection.state in (ConnectionState.OPEN, ConnectionState.REMOTE_CLOSING):
            self.outgoing.append(self._connection.send(CloseConnection(code=1000)))
        self.closed = True

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes that came from the websocket's socket; none means that it ended."""
        if self.closed:
            return
        if not data:
            self.closed = True
            return
        self.pong_due = False
        self.unanswered = 0
        try:
            self._connection.receive_data(bytes(data))
        except LocalProtocolError:  # frames after the closing one
            self.closed = True
            return
        self._take_events()

    def _take_events(self) -> None:
        for event in self._connection.events():
            match event:
                case BytesMessage():
                    self._take(event.data, last=event.message_finished)
                case Ping():
                    self.outgoing.append(self._connection.send(event.response()))
                case CloseConnection():
                    self.close()
                case Pong() | _:
                    pass

    def _take(self, data: bytes | bytearray, *, last: bool) -> None:
        """One part of a message; a message comes in several where it straddles what was read at once."""
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
