"""Opens a websocket to the API server: the handshake, and the message of a refusal."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request
from wsproto.utilities import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer that was no upgrade."""

    status: int
    body: bytes


def shake_hands(
    sock: socket.socket,
    *,
    host: str,
    target: str,
    protocol: str,
    headers: Sequence[tuple[str, str]],
) -> bytes | Refusal:
    """Upgrade a connected socket to a websocket of the subprotocol ``protocol`` (RFC 6455, section 4).

    Returns what came right behind the answer: the first frames, or nothing. Raises OSError where the socket
    fails, or what answers doesn't speak the protocol.
    """
    websocket = WSConnection(ConnectionType.CLIENT)
    extra = [(name.encode(), value.encode()) for name, value in headers]
    sock.sendall(websocket.send(Request(host, target, subprotocols=[protocol], extra_headers=extra)))
    answer, status, body = b"", 0, b""
    while True:
        data = sock.recv(65536)
        answer += data
        try:
            websocket.receive_data(data or None)
            for event in websocket.events():
                match event:
                    case AcceptConnection():
                        _check_protocol(event.subprotocol, protocol)
                        return answer.partition(b"\r\n\r\n")[2]
                    case RejectConnection():
                        status = event.status_code
                    case RejectData():
                        body += event.data
                        if event.body_finished:
                            return Refusal(status, body)
        except RemoteProtocolError as error:
            hint: Any = error.event_hint
            raise ConnectionError(
                f"no websocket came of it: {error or hint or 'it speaks something else'}"
            ) from error
        if not data:
            raise ConnectionError("it hung up during the websocket handshake")


def _check_protocol(chosen: str | None, asked: str) -> None:
    if chosen != asked:
        raise ConnectionError(f"it chose the websocket protocol {chosen!r} where {asked!r} was asked for")
