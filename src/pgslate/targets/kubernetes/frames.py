"""Websocket frames (RFC 6455, section 5), client side: read without copying, written masked.

wsproto shakes hands and could do this too, but copies each byte several times, and bytes are what a forward
is about. The tests hold this to wsproto.

Masking (section 5.3) keeps a stranger's bytes, such as a page's script sends, from being taken for HTTP by a
proxy that reads along (section 10.3). Inside TLS nobody reads along, and here no stranger chooses the bytes:
there ``NO_MASK`` saves what is else by far the most of the work of sending, 5 to 10 ms a megabyte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NO_MASK = bytes(4)
"""The masking key that changes nothing: a frame has to have one."""

_FIN, _MASKED = 0x80, 0x80
_LONGEST_CONTROL = 125
_TABLES = [bytes(byte ^ key for byte in range(256)) for key in range(256)]


class FrameError(Exception):
    """What came is no frame that a server may send."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Payload of a message, as it came in; ``last`` where it ends the message. Control frames come whole."""

    opcode: int
    payload: memoryview
    last: bool


class FrameReader:
    """Takes bytes from a server, and gives the pieces of messages in them."""

    def __init__(self) -> None:
        self._head = b""  # of a header that isn't complete yet
        self._control = b""  # of a control frame that isn't
        self._left = 0  # bytes of the current frame still to come
        self._opcode = 0
        self._fin = True

    def feed(self, data: bytes | memoryview) -> Iterator[Piece]:
        """The pieces in what came. They refer to ``data``. Raises FrameError."""
        if self._head:
            data, self._head = self._head + data, b""
        view, at, end = memoryview(data), 0, len(data)
        while at < end:
            if not self._left:
                size = self._read_header(data, at)
                if not size:
                    self._head = bytes(data[at:])
                    return
                at += size
                if not self._left:
                    yield Piece(self._opcode, view[at:at], self._fin)
                    continue
            payload = view[at : at + self._left]
            at += len(payload)
            self._left -= len(payload)
            if self._opcode < CLOSE:
                if payload:
                    yield Piece(self._opcode, payload, self._fin and not self._left)
                continue
            self._control += payload
            if not self._left:
                whole, self._control = self._control, b""
                yield Piece(self._opcode, memoryview(whole), True)

    def _read_header(self, data: bytes | memoryview, at: int) -> int:
        """The size of the header at ``at``, or 0 where it isn't complete."""
        if len(data) < at + 2:
            return 0
        first, second = data[at], data[at + 1]
        extra = {126: 2, 127: 8}.get(second, 0)
        if len(data) < at + 2 + extra:
            return 0
        if first & 0x70 or second & _MASKED:
            raise FrameError("a server may neither mask frames nor use extensions that were not agreed on")
        self._fin, self._opcode = bool(first & _FIN), first & 0x0F
        self._left = int.from_bytes(data[at + 2 : at + 2 + extra], "big") if extra else second
        if self._opcode >= CLOSE and (self._left > _LONGEST_CONTROL or not self._fin):
            raise FrameError("a control frame is short and whole")
        return 2 + extra


def random_mask() -> bytes:
    """A masking key that nobody can foresee."""
    return os.urandom(4)


def frame(opcode: int, payload: bytes, *, prefix: bytes = b"", key: bytes = NO_MASK) -> bytes:
    """A whole message in one frame, masked with ``key``: ``prefix``, then ``payload``."""
    length = len(prefix) + len(payload)
    if length < 126:
        head = bytes((_FIN | opcode, _MASKED | length))
    elif length < 65536:
        head = bytes((_FIN | opcode, _MASKED | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((_FIN | opcode, _MASKED | 127)) + length.to_bytes(8, "big")
    if key == NO_MASK:
        return b"".join((head, key, prefix, payload))
    masked = bytearray(prefix)
    masked += payload
    for number in range(4):
        masked[number::4] = masked[number::4].translate(_TABLES[key[number]])
    return b"".join((head, key, masked))
