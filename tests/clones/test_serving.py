"""Databases over HTTP, as a client in any language sees them; and `pgslate clone` and `reap`."""

from __future__ import annotations

import json
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
from pgslate.testing.http_service import Listener, Service, serve_databases

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
        serve_databases(server.target(), shop, host="0.0.0.0", port=0)


def test_a_web_page_cannot_reach_it(client: Client) -> None:
    assert client("POST", "/databases", {}, Host="attacker.example")[0] == 403
    assert client("POST", "/databases", {}, **{"Content-Type": "text/plain"})[0] == 415


def test_metrics_are_those_of_the_whole_server(client: Client) -> None:
    client("GET", "/healthz")
    _, text = client("GET", "/metrics")
    assert 'pgslate_databases{state="taken"}' in text
    assert 'pgslate_requests_total{method="GET",status="200"}' in text


def test_an_unknown_method_is_told_as_all_else_is(client: Client) -> None:
    status, error = client("PATCH", "/databases", {})
    assert (status, error["fix"]) == (501, "use GET, POST or DELETE")


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
