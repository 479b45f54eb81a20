"""The frames of SPDY/3.1 that port-forwarding uses, server side: kubectl speaks it, in a websocket or bare.

Source: https://www.chromium.org/spdy/spdy-protocol/spdy-protocol-draft3-1/. There is no flow control:
kubectl's side (moby/spdystream) neither sends window updates nor looks at them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 1, 2, 3, 6, 7
FIN = 0x01

# section 2.6.10.1: words with their lengths before them, then text
_WORDS = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
]  # a list of 65 lines reads worse
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 No"
    "n-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403"
    " Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Fe"
    "b Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunke"
    "d,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/"
    "javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(len(word).to_bytes(4, "big") + word.encode() for word in _WORDS) + _TEXT.encode()


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: of a ``stream``, or of the whole connection; ``kind`` is 0 for data."""

    kind: int
    stream: int = 0
    data: bytes = b""
    fin: bool = False
    headers: dict[str, str] = field(default_factory=dict)


class Session:
    """Reads and writes the frames of one connection; does no I/O."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete now."""
        self._unread += data
        while len(self._unread) >= 8:
            length = int.from_bytes(self._unread[5:8], "big")
            if len(self._unread) < 8 + length:
                return
            head, body = bytes(self._unread[:8]), bytes(self._unread[8 : 8 + length])
            del self._unread[: 8 + length]
            yield self._frame(head, body)

    def _frame(self, head: bytes, body: bytes) -> Frame:
        fin = bool(head[4] & FIN)
        if not head[0] & 0x80:
            return Frame(0, int.from_bytes(head[:4], "big"), body, fin)
        kind = int.from_bytes(head[2:4], "big")
        stream = int.from_bytes(body[:4], "big") & 0x7FFFFFFF if len(body) >= 4 else 0
        if kind == SYN_STREAM:
            return Frame(kind, stream, fin=fin, headers=self._headers(body[10:]))
        return Frame(kind, stream, body, fin)

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block)
        count, at, found = int.from_bytes(plain[:4], "big"), 4, {}
        for _ in range(count):
            pair = []
            for _ in range(2):
                size = int.from_bytes(plain[at : at + 4], "big")
                pair.append(plain[at + 4 : at + 4 + size].decode())
                at += 4 + size
            found[pair[0].lower()] = pair[1]
        return found

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers."""
        block = self._deflate.compress(b"\0\0\0\0") + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, stream.to_bytes(4, "big") + block)


def data(stream: int, payload: bytes, *, fin: bool = False) -> bytes:
    """A data frame."""
    return struct.pack(">II", stream, (FIN if fin else 0) << 24 | len(payload)) + payload


def ping(body: bytes) -> bytes:
    """The answer to a ping: the same."""
    return _control(PING, body)


def reset(stream: int) -> bytes:
    """RST_STREAM with CANCEL."""
    return _control(RST_STREAM, struct.pack(">II", stream, 5))


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body
