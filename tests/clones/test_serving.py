"""Databases over HTTP, as a client in any language sees them; and `pgslate clone` and `reap`."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from pgslate import cli
from pgslate.clones.databases import Databases
from pgslate.errors import UsageError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.testing.http_listener import Listener
from pgslate.testing.http_service import Service
from pgslate.verbs.serve import serve

from .conftest import SHOP
from .looking import clones, tables_of


@dataclass(frozen=True)
class Client:
    """A client of ``pgslate serve``."""

    url: str
    headers: dict[str, str]

    def __call__(self, method: str, path: str, document: Any = None, **headers: str) -> tuple[int, Any]:
        """The status and the document of an answer."""
        place = urlsplit(self.url)
        connection = HTTPConnection(place.hostname or "", place.port, timeout=30)
        body = None if document is None else json.dumps(document)
        given = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body, {**given, **self.headers, **headers})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        is_json = answer.headers.get_content_type() == "application/json"
        return answer.status, json.loads(text) if text and is_json else text


@contextmanager
def served(server: Server, project: Project, *, token: str | None = None, **how: Any) -> Iterator[Client]:
    """A replica that serves databases of ``server`` on a free port."""
    with (
        Databases(server.target(), project, threads=True, ahead=1) as databases,
        Listener(("127.0.0.1", 0), Service(databases, **how), token, loopback=True) as listener,
    ):
        thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        yield Client(f"http://127.0.0.1:{listener.server_address[1]}", headers)
        listener.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server, shop: Project) -> Iterator[Client]:
    with served(server, shop) as client:
        yield client


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/databases", 200), ("/nowhere", 404)])
def test_a_load_balancer_may_ask_for_the_head_alone(client: Client, path: str, status: int) -> None:
    assert client("HEAD", path) == (status, "")
    assert client("GET", path)[0] == status


def test_a_database_is_lent_and_given_back(client: Client, server: Server) -> None:
    status, made = client("POST", "/databases", {"tables": ["orders"]})
    assert status == 201
    assert tables_of(made["dsn"]) == ["customers", "orders"]
    assert (made["host"], made["port"], made["dbname"]) == ("127.0.0.1", str(server.port), made["name"])
    assert client("DELETE", f"/databases/{made['name']}") == (204, "")
    assert client("DELETE", f"/databases/{made['name']}")[0] == 404


def test_a_contract_can_be_named(client: Client) -> None:
    _, made = client("POST", "/databases", {"contract": "till"})
    assert tables_of(made["dsn"]) == ["customers", "orders"]
    client("DELETE", f"/databases/{made['name']}")


def test_replicas_know_of_each_others_databases(server: Server, shop: Project) -> None:
    with served(server, shop) as one:
        _, made = one("POST", "/databases", {"tables": ["stock"], "what": "a test"})
    with served(server, shop) as other:
        _, listed = other("GET", "/databases")
        assert [each["what"] for each in listed["databases"] if each["name"] == made["name"]] == ["a test"]
        assert tables_of(made["dsn"]) == ["stock"]
        assert other("DELETE", f"/databases/{made['name']}") == (204, "")
    assert made["name"] not in clones(server)


def test_many_clients_at_once_each_get_their_own(client: Client) -> None:
    made: list[str] = []

    def ask() -> None:
        made.append(client("POST", "/databases", {"tables": ["stock"]})[1]["name"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8
    for name in made:
        assert client("DELETE", f"/databases/{name}")[0] == 204


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ({"tables": ["order"]}, "did you mean orders"),
        ({"contract": "tills"}, "did you mean till"),
        ({"tables": "orders"}, "no list of names"),
        ({"table": "orders", "wait": 1}, "'wait' is unknown"),
        ({"tables": ["orders"], "seconds": -1}, "seconds"),
        ({"tables": ["orders"], "seconds": True}, "seconds"),
        ([], "no JSON object"),
        ({"tables": ["orders"], "what": "a\0b"}, "what is no text"),
        ({"tables": ["orders"], "what": "\ud800"}, "what is no text"),
        ({"tables": ["orders\0"]}, "no list of names"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(client: Client, document: Any, says: str) -> None:
    status, error = client("POST", "/databases", document)
    assert status == 400
    assert says in f"{error['message']} {error['fix']}"


def test_a_database_of_somebody_else_is_not_dropped(client: Client, server: Server) -> None:
    server.create_database("bystander")
    assert client("DELETE", "/databases/bystander")[0] == 404
    assert client("DELETE", "/databases/postgres")[0] == 404
    server.drop_database("bystander")


def test_without_the_token_nothing_is_told(server: Server, shop: Project) -> None:
    with served(server, shop, token="secret") as client:
        assert client("GET", "/databases")[0] == 200
        stranger = Client(client.url, {})
        assert stranger("POST", "/databases", {"tables": ["stock"]})[0] == 401
        assert stranger("GET", "/metrics")[0] == 401
        assert stranger("GET", "/databases", Authorization="Bearer wrong")[0] == 401
        assert stranger("GET", "/healthz") == (200, {"ok": True})


def test_beyond_loopback_a_token_is_needed(server: Server, shop: Project) -> None:
    with pytest.raises(UsageError, match=r"0\.0\.0\.0"):
        serve(shop, server.target(), host="0.0.0.0", port=0)


def test_a_web_page_cannot_reach_it(client: Client) -> None:
    assert client("POST", "/databases", {}, Host="attacker.example")[0] == 403
    assert client("POST", "/databases", {}, **{"Content-Type": "text/plain"})[0] == 415


def test_metrics_are_those_of_the_whole_server(client: Client) -> None:
    client("GET", "/healthz")
    _, text = client("GET", "/metrics")
    assert 'pgslate_databases{state="taken"}' in text
    assert 'pgslate_requests_total{method="GET",status="200"}' in text


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/databases"), ("POST", "/healthz"), ("GET", "/databases/x")]
)
def test_a_method_that_a_path_does_not_have_is_405(client: Client, method: str, path: str) -> None:
    status, error = client(method, path, {})
    assert status == 405
    assert "DELETE /databases/NAME" in error["fix"]


def test_a_method_that_nobody_has_is_501(client: Client) -> None:
    assert client("BREW", "/databases", {})[0] == 501


def raw(client: Client, *parts: bytes) -> socket.socket:
    """A connection of one's own, with these bytes sent."""
    place = urlsplit(client.url)
    connection = socket.create_connection((place.hostname, place.port), timeout=20)
    for part in parts:
        connection.sendall(part)
    return connection


def statuses(connection: socket.socket) -> list[int]:
    """The statuses of all answers on a connection, until the service closes it."""
    answers = b""
    with connection:
        while chunk := connection.recv(65536):
            answers += chunk
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d+)", answers)]


LAST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
HOST = b"Host: localhost\r\n"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"DELETE /databases/none", 404),
        (b"GET /healthz", 200),
        (b"GET /nowhere", 404),
        (b"OPTIONS /databases", 405),
        (b"PUT /databases", 405),
    ],
)
def test_a_body_never_becomes_the_next_request(client: Client, line: bytes, status: int) -> None:
    body = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    connection = raw(client, line + b" HTTP/1.1\r\n" + HOST + length + body, LAST)
    assert statuses(connection) == [status, 200]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: x\r\n", 400),
        (b"Content-Length: +2\r\n", 400),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n", 400),
        (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", 411),
        (b"Content-Length: 99999999999999999999\r\n", 413),
        (b"", 411),
    ],
)
@pytest.mark.parametrize("method", [b"POST", b"DELETE"])
def test_a_body_of_unknown_or_excessive_length_closes_the_connection(
    client: Client, method: bytes, headers: bytes, status: int
) -> None:
    if method == b"DELETE" and not headers:
        status = 405  # it has no body, and may have none
    request = method + b" /databases HTTP/1.1\r\nContent-Type: application/json\r\n" + HOST
    answers = statuses(raw(client, request + headers + b"\r\n", LAST))
    assert answers == ([405, 200] if status == 405 else [status])


@pytest.mark.parametrize(
    "beginning",
    [
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: loc",
        b"",
        b"POST /databases HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_a_request_that_does_not_arrive_in_time_is_dropped(
    server: Server, shop: Project, monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr("pgslate.testing.http_listener.REQUEST_TIME", 0.2)
    with served(server, shop) as client:
        assert statuses(raw(client, beginning)) == []
        assert client("GET", "/healthz")[0] == 200


def test_a_byte_now_and_then_does_not_extend_the_time_of_a_request(
    server: Server, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgslate.testing.http_listener.REQUEST_TIME", 0.3)
    with served(server, shop) as client, raw(client, b"GET /") as connection:
        connection.settimeout(0.05)
        sent = 0
        with contextlib.suppress(ConnectionError):
            while sent < 200:
                with contextlib.suppress(TimeoutError):
                    if not connection.recv(1):
                        break
                connection.sendall(b"x")
                sent += 1
    assert sent < 200


def test_tables_and_a_contract_in_one_request_are_refused(client: Client) -> None:
    status, error = client("POST", "/databases", {"tables": ["stock"], "contract": "till"})
    assert status == 400
    assert "in one request" in error["message"]


def test_an_unknown_path_is_told_which_there_are(client: Client) -> None:
    status, error = client("GET", "/database")
    assert status == 404
    assert "/databases" in error["fix"]


def test_clients_can_be_told_another_address(server: Server, shop: Project) -> None:
    with served(server, shop, advertise="postgresql://tests@db.example:6432/x?sslmode=require") as client:
        _, made = client("POST", "/databases", {"tables": ["stock"]})
        assert made["dsn"] == f"postgresql://tests@db.example:6432/{made['name']}?sslmode=require"
        client("DELETE", f"/databases/{made['name']}")


def test_when_postgresql_is_away_the_health_says_so(shop: Project) -> None:
    with Server.start() as lonely, served(lonely, shop) as client:
        assert client("GET", "/healthz")[0] == 200
        lonely.stop()
        status, error = client("GET", "/healthz")
        assert status == 503
        assert error["fix"]


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """``run("clone", ...)`` is ``pgslate clone ...``: its status, and what it printed."""

    def ran(*args: str) -> tuple[int, str]:
        status = cli.main(args)
        return status, capfd.readouterr().out

    return ran


def test_clone_prints_a_database_and_reap_drops_it(run: Run, server: Server) -> None:
    where = ("--dsn", server.dsn())
    status, printed = run(
        "clone", "stock", *where, "--config", str(SHOP / "pgslate.toml"), "--format", "json"
    )
    assert status == 0
    made = json.loads(printed)
    assert tables_of(made["dsn"]) == ["stock"]
    status, printed = run("reap", *where)
    assert status == 0
    assert made["name"] not in printed
    status, printed = run("reap", *where, "--force", "--format", "json")
    assert status == 0
    assert made["name"] in json.loads(printed)["clones"]


def test_clone_of_an_unknown_kept_database_says_so(run: Run) -> None:
    status, _ = run("clone", "--kept", "pgslate_0123456789ab_x")
    assert status == 2
