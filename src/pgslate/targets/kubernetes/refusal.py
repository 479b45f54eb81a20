"""Tells a PostgreSQL client why its connection leads nowhere, in the server's own words for it.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html (ErrorResponse, SSLRequest).
"""

from __future__ import annotations

import socket
from contextlib import suppress

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_STARTUP_VERSION = 3
_PATIENCE = 1.0  # seconds for the client to say who it is
_LONGEST = 10_000


def refuse(client: socket.socket, why: str, *, received: bytes = b"") -> None:
    """Answer a client's startup with a FATAL error, so that it shows ``why`` and not "connection closed".

    ``received`` is what the client sent already. A client that speaks another protocol gets no answer.
    """
    with suppress(OSError):
        client.settimeout(_PATIENCE)
        while True:
            packet, received = _packet(client, received)
            code = int.from_bytes(packet[4:8], "big")
            if code in (_SSL_REQUEST, _GSS_REQUEST):
                client.sendall(b"N")
                continue
            if code >> 16 == _STARTUP_VERSION:
                client.sendall(error_response(why))
                client.shutdown(socket.SHUT_WR)
                client.recv(1)  # until it hangs up: closing earlier could take the message away again
            return


def error_response(why: str) -> bytes:
    """An ErrorResponse: severity FATAL, SQLSTATE 08001.

    >>> error_response("no pod")
    b'E\\x00\\x00\\x00+SFATAL\\x00VFATAL\\x00C08001\\x00Mpgslate: no pod\\x00\\x00'
    """
    fields = (b"SFATAL", b"VFATAL", b"C08001", b"M" + f"pgslate: {why}".encode().replace(b"\0", b" "))
    body = b"".join(field + b"\0" for field in fields) + b"\0"
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


def _packet(client: socket.socket, received: bytes) -> tuple[bytes, bytes]:
    """One packet as they are before the startup is done (length first), and what came behind it."""
    while True:
        if len(received) >= 8:
            length = int.from_bytes(received[:4], "big")
            if not 8 <= length <= _LONGEST:
                raise ConnectionError("this isn't PostgreSQL's protocol")
            if len(received) >= length:
                return received[:length], received[length:]
        more = client.recv(4096)
        if not more:
            raise ConnectionError("it went away")
        received += more
