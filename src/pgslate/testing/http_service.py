"""Ready databases over HTTP, for tests in any language.

    POST   /databases          {"tables": ["orders"], "seconds": 600}   201  {"name": ..., "dsn": ..., ...}
                               {"contract": "till"}
    GET    /databases          200  {"databases": [{"name": ..., "what": ..., "until": ...}]}
    DELETE /databases/NAME     204
    GET    /healthz            200, or 503 where PostgreSQL can't be reached
    GET    /metrics            in the text format of Prometheus

Nothing is kept in the process: what was given to whom is in the registry on the server, so that replicas, and
restarts, make no difference. An error is a JSON document with ``error``, ``message``, ``place`` and ``fix``.

A web page must not reach this on somebody's machine: a request's Host is ours, and a body is JSON by its
content type, which a page of another origin can't send unasked (Fetch standard, CORS protocol).
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgslate.clones.databases import Databases
from pgslate.clones.reaper import reap_in
from pgslate.clones.registry import STATES
from pgslate.errors import PgslateError, TargetError, UsageError
from pgslate.targets.target import Target
from pgslate.targets.url import url_with

if TYPE_CHECKING:
    from pgslate.project.project import Project

#: The longest that a database may be lent for, in seconds; the largest body that is read, in bytes.
HOUR = 3600.0
LONGEST, LARGEST = 24 * HOUR, 1 << 16

#: Seconds between two looks at what others left behind.
REAP_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a status, and a document, or text of some type."""

    status: HTTPStatus
    document: Any = None
    text: str = ""
    type: str = "application/json"

    @property
    def body(self) -> bytes:
        if self.document is not None:
            return (json.dumps(self.document) + "\n").encode()
        return self.text.encode()


class Service:
    """What the server answers, without HTTP. ``advertise`` is a DSN with the host and port for clients."""

    def __init__(self, databases: Databases, *, advertise: str | None = None) -> None:
        self._databases = databases
        self._advertise = advertise
        self.requests: Counter[tuple[str, int]] = Counter()

    def create(self, asked: Any) -> Answer:
        """A database for whoever asks."""
        tables, contracts, bundles, seconds, purpose = _read(asked)
        clone = self._databases.database(*tables, contracts=contracts, bundles=bundles, purpose=purpose)
        self._databases.hand_over(clone, seconds, purpose)
        dsn = url_with(self._advertise or clone.dsn, dbname=clone.name)
        said = conninfo_to_dict(dsn)
        parts = {part: said.get(part) for part in ("host", "port", "dbname", "user", "password")}
        return Answer(HTTPStatus.CREATED, {"name": clone.name, "dsn": dsn, **parts, "seconds": seconds})

    def give_back(self, name: str) -> Answer:
        """Drop a database that was lent, by this replica or another."""
        if not self._databases.give_back(name):
            error = UsageError(f"no database {name!r} is lent", fix="see GET /databases")
            return Answer(HTTPStatus.NOT_FOUND, error.as_json())
        return Answer(HTTPStatus.NO_CONTENT)

    def list(self) -> Answer:
        """The databases that are lent, by all replicas."""
        lent = self._databases.registry.clones("taken")
        return Answer(
            HTTPStatus.OK,
            {
                "databases": [
                    {"name": one.name, "what": one.purpose, "until": one.until.isoformat()} for one in lent
                ]
            },
        )

    def health(self) -> Answer:
        """Whether databases can be had."""
        self._databases.registry.ping()
        return Answer(HTTPStatus.OK, {"ok": True})

    def metrics(self) -> Answer:
        """The databases by state, from the registry that all replicas share; and the requests to this one."""
        states = Counter(
            one.state
            for one in self._databases.registry.clones(
                "making", "ready", "taken", "returning", "kept", "done"
            )
        )
        lines = ["# TYPE pgslate_databases gauge"]
        lines += [f'pgslate_databases{{state="{state}"}} {states[state]}' for state in STATES]
        lines.append("# TYPE pgslate_requests_total counter")
        lines += [
            f'pgslate_requests_total{{method="{method}",status="{status}"}} {count}'
            for (method, status), count in sorted(self.requests.items())
        ]
        text = "\n".join(lines) + "\n"
        return Answer(HTTPStatus.OK, text=text, type="text/plain; version=0.0.4; charset=utf-8")


def serve_databases(
    server: Target,
    project: Project,
    *,
    host: str = "127.0.0.1",
    port: int = 8432,
    token: str | None = None,
    advertise: str | None = None,
    ahead: int = 4,
    reuse: bool = True,
    as_of: datetime | None = None,
    ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Give ready databases of ``server`` over HTTP until interrupted; ``ready`` is told the URL.

    Beyond the loopback interface there has to be a ``token``, which clients send as a bearer token (RFC
    6750). ``port`` 0 takes a free one. Raises UsageError and what ``Databases`` raises.
    """
    loopback = _is_loopback(host)
    if not loopback and not token:
        raise UsageError(
            f"{host} is reached by others: they could make databases without a token",
            fix="set PGSLATE_TOKEN, or serve on 127.0.0.1",
        )
    with Databases(
        server,
        project,
        ahead=ahead,
        reuse=reuse,
        as_of=as_of,
        threads=True,
        application="pgslate serve",
    ) as databases:
        service = Service(databases, advertise=advertise)
        try:
            listening = Listener((host, port), service, token, loopback=loopback)
        except OSError as error:
            raise UsageError(
                f"can't listen on {host}:{port}: {error.strerror}", fix="choose another --port"
            ) from None
        over = threading.Event()
        reaper = threading.Thread(target=_reap_now_and_then, args=(databases, over), daemon=True)
        reaper.start()
        with listening:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listening.server_address[1]}")
            try:
                listening.serve_forever(poll_interval=0.2)
            finally:
                over.set()


def _reap_now_and_then(databases: Databases, over: threading.Event) -> None:
    while not over.wait(REAP_EVERY):
        try:
            reap_in(databases.registry)
        except (psycopg.Error, PgslateError):
            continue  # the server is away, or another replica is at it


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(asked: Any) -> tuple[list[str], list[str], list[str], float, str]:
    """What a request's document says; raises UsageError for what it shouldn't."""
    if not isinstance(asked, dict):
        raise UsageError("the body is no JSON object", fix='send {"tables": ["..."]} or {"contract": "..."}')
    known = ("tables", "table", "contract", "contracts", "bundle", "bundles", "seconds", "what")
    for name in asked:
        if name not in known:
            raise UsageError(f"{name!r} is unknown", fix=f"use {', '.join(known)}")

    def names(plural: str, singular: str) -> list[str]:
        said = asked.get(plural, [])
        if not (isinstance(said, list) and all(map(_is_text, said))):
            raise UsageError(f"{plural} is no list of names", fix=f'send "{plural}": ["..."]')
        one = asked.get(singular)
        if one is not None and not _is_text(one):
            raise UsageError(f"{singular} is no name", fix=f'send "{singular}": "..."')
        return [*said, *([one] if one else [])]

    seconds = asked.get("seconds", HOUR)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST:
        raise UsageError(f"seconds is {seconds!r}", fix=f"send a number from 1 to {LONGEST:.0f}")
    what = asked.get("what", "")
    if not _is_text(what):
        raise UsageError("what is no text", fix='send "what": "..."')
    return (
        names("tables", "table"),
        names("contracts", "contract"),
        names("bundles", "bundle"),
        float(seconds),
        what,
    )


def _is_text(said: Any) -> bool:
    """Whether it is text that PostgreSQL can hold: no NUL, and no half of a surrogate pair."""
    return isinstance(said, str) and "\0" not in said and not any("\ud800" <= c <= "\udfff" for c in said)


class Listener(ThreadingHTTPServer):
    """Listens for requests, each answered in a thread of its own; ``token`` None asks for none."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], service: Service, token: str | None, *, loopback: bool
    ) -> None:
        import socket

        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.service = service
        self.token = token
        self.loopback = loopback
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of a fault of ours; a client that hangs up is none."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pgslate"
    sys_version = ""
    timeout = 30.0
    server: Listener

    def do_GET(self) -> None:
        service = self.server.service
        routes = {"/healthz": service.health, "/metrics": service.metrics, "/databases": service.list}
        self._answer(routes.get(self.path), open_to_all=self.path == "/healthz")

    def do_HEAD(self) -> None:
        self.do_GET()  # what is sent knows the method

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        service = self.server.service
        self._answer((lambda: service.create(_parsed(body))) if self.path == "/databases" else None)

    def do_DELETE(self) -> None:
        folder, _, name = self.path.rpartition("/")
        service = self.server.service
        self._answer((lambda: service.give_back(name)) if folder == "/databases" and name else None)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class refuses itself, such as an unknown method."""
        self.close_connection = True
        self.command = self.command or "?"
        self._refuse(HTTPStatus(code))

    def log_message(self, format: str, *args: Any) -> None:  # the base class's name for it
        """Say nothing: /metrics counts, and a DSN in a log would be a password in a log."""

    def _body(self) -> bytes | None:
        """The request's body; None where it was refused."""
        said = self.headers.get("Content-Length", "")
        if not said.isdecimal() or int(said) > LARGEST:
            self.close_connection = True
            self._refuse(HTTPStatus.LENGTH_REQUIRED if not said else HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        body = self.rfile.read(int(said))
        if self.headers.get_content_type() != "application/json":
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
            return None
        return body

    def _answer(self, work: Callable[[], Answer] | None, *, open_to_all: bool = False) -> None:
        if not self._is_meant_for_us():
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not (open_to_all or self._is_allowed()):
            self._refuse(HTTPStatus.UNAUTHORIZED)
        elif work is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self._send(_guarded(work))

    def _is_meant_for_us(self) -> bool:
        """Whether the Host of the request is this machine, where that is all that is served."""
        if not self.server.loopback:
            return True
        host = self.headers.get("Host", "").strip()
        name = host[1 : host.find("]")] if host.startswith("[") else host.partition(":")[0]
        return _is_loopback(name)

    def _is_allowed(self) -> bool:
        token = self.server.token
        if not token:
            return True
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())

    def _refuse(self, status: HTTPStatus) -> None:
        error = UsageError(status.phrase.lower(), fix=_FIXES.get(status, "see docs/testing.md"))
        self._send(Answer(status, error.as_json()))

    def _send(self, answer: Answer) -> None:
        body = b"" if answer.status == HTTPStatus.NO_CONTENT else answer.body
        self.server.service.requests[(self.command, int(answer.status))] += 1
        self.send_response(answer.status)
        if body:
            self.send_header("Content-Type", answer.type)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        if answer.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


_FIXES = {
    HTTPStatus.UNAUTHORIZED: "send Authorization: Bearer TOKEN",
    HTTPStatus.FORBIDDEN: "address the service as 127.0.0.1 or localhost",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "send Content-Type: application/json",
    HTTPStatus.NOT_FOUND: "there are /databases, /databases/NAME, /healthz and /metrics",
    HTTPStatus.LENGTH_REQUIRED: "send Content-Length",
    HTTPStatus.NOT_IMPLEMENTED: "use GET, POST or DELETE",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"send at most {LARGEST} bytes",
}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise UsageError("the body is not JSON", fix='send {"tables": ["..."]}') from None


def _guarded(work: Callable[[], Answer]) -> Answer:
    """What ``work`` answers, or its error as a document."""
    try:
        return work()
    except TargetError as error:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, error.as_json())
    except UsageError as error:
        return Answer(HTTPStatus.BAD_REQUEST, error.as_json())
    except PgslateError as error:
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, error.as_json())
    except psycopg.Error as error:
        said = error.diag.message_primary or "the connection to PostgreSQL was lost"
        wrapped = TargetError(said, fix="look at the server's log, then try again")
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, wrapped.as_json())
