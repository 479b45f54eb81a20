"""Through a proxy to the API server: HTTP CONNECT and SOCKS5, and when none is to be used."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.kubernetes.standin.server import StandIn

from pgslate.errors import ClusterError
from pgslate.targets.kubernetes.api import HttpApi, path_of
from pgslate.targets.kubernetes.kubeconfig import load
from pgslate.targets.kubernetes.transport import proxy_from_environment


class Proxy:
    """A proxy for one connection: greets as ``greet`` does, then carries bytes both ways."""

    def __init__(self, greet: Callable[[socket.socket], str]) -> None:
        self._greet = greet
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.asked = ""
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        with suppress(OSError):
            client, _ = self._listener.accept()
            with client:
                self.asked = self._greet(client)
                host, _, port = self.asked.rpartition(":")
                with socket.create_connection((host, int(port))) as server:
                    back = threading.Thread(target=carry, args=(server, client), daemon=True)
                    back.start()
                    carry(client, server)
                    back.join(timeout=5)


def carry(source: socket.socket, destination: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            destination.sendall(data)
    with suppress(OSError):
        destination.shutdown(socket.SHUT_RDWR)


def connect_greeting(client: socket.socket) -> str:
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += client.recv(1)
    assert b"Proxy-Authorization: Basic bWU6cEBzcw==" in request  # me:p@ss
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    return request.split(b" ")[1].decode()


def socks_greeting(client: socket.socket) -> str:
    assert client.recv(4) == b"\x05\x02\x00\x02"
    client.sendall(b"\x05\x02")
    assert client.recv(64) == b"\x01\x02me\x04p@ss"
    client.sendall(b"\x01\x00")
    request = client.recv(64)
    assert request[:4] == b"\x05\x01\x00\x03"
    client.sendall(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
    return f"{request[5:-2].decode()}:{int.from_bytes(request[-2:], 'big')}"


@contextmanager
def through(standin: StandIn, folder: Path, proxy_url: str) -> Iterator[HttpApi]:
    file = standin.kubeconfig(folder)
    document = json.loads(file.read_text())
    document["clusters"][0]["cluster"]["proxy-url"] = proxy_url
    file.write_text(json.dumps(document))
    api = HttpApi(load(file), timeout=5)
    try:
        yield api
    finally:
        api.close()


@pytest.mark.parametrize(("scheme", "greeting"), [("http", connect_greeting), ("socks5", socks_greeting)])
def test_a_proxy_of_the_kubeconfig_is_used(
    standin: StandIn, tmp_path: Path, scheme: str, greeting: Callable[[socket.socket], str]
) -> None:
    proxy = Proxy(greeting)
    with through(standin, tmp_path, f"{scheme}://me:p%40ss@127.0.0.1:{proxy.port}") as api:
        assert api.get(path_of("namespaces"))["items"]
    proxy.close()
    assert proxy.asked == f"127.0.0.1:{standin.port}"


def test_a_proxy_that_refuses_is_named_and_its_password_is_not(standin: StandIn, tmp_path: Path) -> None:
    def refuse(client: socket.socket) -> str:
        client.recv(4096)
        client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
        raise ConnectionError

    proxy = Proxy(refuse)
    with (
        through(standin, tmp_path, f"http://me:secret@127.0.0.1:{proxy.port}") as api,
        pytest.raises(ClusterError, match="407") as caught,
    ):
        api.get(path_of("namespaces"))
    proxy.close()
    assert "through the proxy 127.0.0.1" in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_kind_of_proxy_that_is_not_spoken_is_said(standin: StandIn, tmp_path: Path) -> None:
    with (
        through(standin, tmp_path, "https://proxy.test:3128") as api,
        pytest.raises(ClusterError, match="kind 'https'"),
    ):
        api.get(path_of("namespaces"))


@pytest.mark.parametrize(
    ("server", "no_proxy", "proxy"),
    [
        ("https://api.test:6443", "", "http://proxy.test:3128"),
        ("https://api.test:6443", "*", ""),
        ("https://api.test:6443", "other.test, .test", ""),
        ("https://api.test:6443", "test", ""),
        ("https://api.test:6443", "pi.test", "http://proxy.test:3128"),
        ("https://10.1.2.3:6443", "10.0.0.0/8", ""),
        ("https://11.1.2.3:6443", "10.0.0.0/8", "http://proxy.test:3128"),
        ("https://10.1.2.3:6443", "10.1.2.3", ""),
        ("https://127.0.0.1:6443", "", ""),
        ("https://localhost:6443", "", ""),
        ("http://api.test:8001", "", ""),
    ],
)
def test_the_environments_proxy_is_used_but_where_it_says_not(server: str, no_proxy: str, proxy: str) -> None:
    environ = {"HTTPS_PROXY": "http://proxy.test:3128", "NO_PROXY": no_proxy}
    assert proxy_from_environment(urlsplit(server), environ) == proxy


def test_a_proxy_without_a_scheme_is_an_http_one() -> None:
    environ = {"https_proxy": "proxy.test:3128"}
    assert proxy_from_environment(urlsplit("https://api.test"), environ) == "http://proxy.test:3128"
