"""The HTTP side of the service: reads requests within limits, checks who sent them, and writes answers.

Every request's body is read, whatever the method, or its connection is closed: otherwise the next request of
the connection would begin with the body (RFC 9112, section 6.3). A request that doesn't arrive in time is
dropped.

A web page must not reach the service on somebody's machine. So the request's Host must be this machine, and a
body must be JSON by its content type, which a page of another origin can't send unasked (Fetch standard, CORS
protocol).
"""

from __future__ import annotations

import hmac
import io
import ipaddress
import json
import socket
import sys
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg

from pgslate.errors import PgslateError, TargetError, UsageError
from pgslate.testing.http_service import Answer, Service

if TYPE_CHECKING:
    pass

#: The largest body that is read, in bytes.
LARGEST = 1 << 16

#: Seconds for a request to arrive, from its first byte to the last of its body, and for an answer to leave.
REQUEST_TIME = 10.0

#: Seconds that a connection may wait between two requests.
IDLE_TIME = 30.0

#: Seconds between two runs of the reaper.

_Work = Callable[[], Answer]


class Listener(ThreadingHTTPServer):
    """Answers each connection in a thread of its own. Without a ``token`` nobody has to send one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], service: Service, token: str | None, *, loopback: bool
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.service = service
        self.token = token
        self.loopback = loopback
        self.request_time = REQUEST_TIME
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug of ours; a client that hangs up or is too slow is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _TimedReader(io.RawIOBase):
    """Reads from a socket until a deadline; the socket's own time limit would begin anew with each byte."""

    def __init__(self, connection: socket.socket, request_time: float) -> None:
        self._connection = connection
        self._request_time = request_time
        self._until = 0.0
        self._is_idle = False
        self.wait_for_request(request_time)

    def readable(self) -> bool:
        return True

    def wait_for_request(self, seconds: float) -> None:
        """Wait for the first byte of a request; from then on the request has its own limit."""
        self._until = time.monotonic() + seconds
        self._is_idle = True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        count = self._connection.recv_into(buffer)
        if self._is_idle:
            self._is_idle = False
            self._until = time.monotonic() + self._request_time
        return count


class _RefusedError(Exception):
    """The request is refused with this status, and its connection closed."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pgslate"
    sys_version = ""
    server: Listener

    def setup(self) -> None:
        super().setup()
        self._reader = _TimedReader(self.connection, self.server.request_time)
        self.rfile = io.BufferedReader(self._reader)

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self._reader.wait_for_request(IDLE_TIME)

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self._respond()

    def do_PUT(self) -> None:
        self._respond()

    def do_PATCH(self) -> None:
        self._respond()

    def do_DELETE(self) -> None:
        self._respond()

    def do_OPTIONS(self) -> None:
        self._respond()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that the base class refuses, such as one with an unknown method."""
        self.close_connection = True
        self.command = self.command or "?"
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *args: Any) -> None:  # the base class's name for it
        """Log nothing: /metrics counts, and a DSN in a log would be a password in a log."""

    def _respond(self) -> None:
        try:
            body = self._body()
        except _RefusedError as refused:
            self.close_connection = True
            self._refuse(refused.status)
            return
        path = urlsplit(self.path).path
        methods = self._methods(path, body)
        if not self._is_meant_for_us():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif path != "/healthz" and not self._is_allowed():
            self._refuse(HTTPStatus.UNAUTHORIZED)
        elif not methods:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif self.command not in methods:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, allow=", ".join(methods))
        elif self.command == "POST" and self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        else:
            self._send(_guarded(methods[self.command]))

    def _methods(self, path: str, body: bytes) -> Mapping[str, _Work]:
        """The methods of a path, each with its work; none for a path that doesn't exist."""
        service = self.server.service
        readable = {"/healthz": service.health, "/metrics": service.metrics, "/databases": service.list}
        methods: dict[str, _Work] = {}
        if path in readable:
            methods["GET"] = methods["HEAD"] = readable[path]
        if path == "/databases":
            methods["POST"] = lambda: service.create(_parsed(body))
        folder, _, name = path.rpartition("/")
        if folder == "/databases" and name:
            methods["DELETE"] = lambda: service.give_back(name)
        return methods

    def _body(self) -> bytes:
        """Read the request's body. Raises _RefusedError if its end is not known, or too far away."""
        lengths = self.headers.get_all("Content-Length", [])
        if self.headers.get("Transfer-Encoding") is not None:
            raise _RefusedError(HTTPStatus.BAD_REQUEST if lengths else HTTPStatus.LENGTH_REQUIRED)
        if not lengths:
            if self.command in ("POST", "PUT", "PATCH"):
                raise _RefusedError(HTTPStatus.LENGTH_REQUIRED)
            return b""
        length = lengths[0].strip()
        if len(set(lengths)) > 1 or not (length.isascii() and length.isdecimal()):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)
        if len(length) > len(str(LARGEST)) or int(length) > LARGEST:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise _RefusedError(HTTPStatus.BAD_REQUEST)  # the client closed its side
        return body

    def _is_meant_for_us(self) -> bool:
        """Whether the Host of the request is this machine, if the service is only for this machine."""
        if not self.server.loopback:
            return True
        host = self.headers.get("Host", "").strip()
        name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
        return is_loopback(name)

    def _is_allowed(self) -> bool:
        token = self.server.token
        if not token:
            return True
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

    def _refuse(self, status: HTTPStatus, *, allow: str = "") -> None:
        error = UsageError(status.phrase.lower(), fix=_FIXES.get(status, _USE))
        self._send(Answer(status, error.as_json(), allow=allow))

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.status == HTTPStatus.NO_CONTENT else answer.body
        self.server.service.requests[(self.command, int(answer.status))] += 1
        self.connection.settimeout(self.server.request_time)
        self.send_response(answer.status)
        if body:
            self.send_header("Content-Type", answer.type)
        if answer.allow:
            self.send_header("Allow", answer.allow)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_USE = "use POST or GET /databases, DELETE /databases/NAME, GET /healthz or GET /metrics"

_FIXES = {
    HTTPStatus.UNAUTHORIZED: "send Authorization: Bearer TOKEN",
    HTTPStatus.FORBIDDEN: "address the service as 127.0.0.1 or localhost",
    HTTPStatus.BAD_REQUEST: "send one Content-Length, the number of bytes in the body",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "send Content-Type: application/json",
    HTTPStatus.LENGTH_REQUIRED: "send Content-Length, and no Transfer-Encoding",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"send at most {LARGEST} bytes",
}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise UsageError("the body is not JSON", fix='send {"tables": ["..."]}') from None


def _guarded(work: _Work) -> Answer:
    """The answer of ``work``, or its error as a document."""
    try:
        return work()
    except TargetError as error:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, error.as_json())
    except UsageError as error:
        return Answer(HTTPStatus.BAD_REQUEST, error.as_json())
    except PgslateError as error:
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, error.as_json())
    except psycopg.Error as error:
        message = error.diag.message_primary or "the connection to PostgreSQL was lost"
        wrapped = TargetError(message, fix="look at the server's log, then try again")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, wrapped.as_json())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
