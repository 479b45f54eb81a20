"""Sockets to an API server: straight or through a proxy, with the cluster's own TLS settings."""

from __future__ import annotations

import base64
import ipaddress
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment

from pgslate.errors import ClusterError
from pgslate.targets.kubernetes.credentials import Credentials, Proof
from pgslate.targets.kubernetes.kubeconfig import Cluster


class Transport:
    """Connects to one cluster's API server, as its user. Safe to use from several threads."""

    def __init__(self, cluster: Cluster, *, environ: Mapping[str, str] = os.environ) -> None:
        self.cluster = cluster
        self.credentials = Credentials(cluster)
        url = urlsplit(cluster.server)
        self.host = url.hostname or ""
        self.port = url.port or (443 if url.scheme == "https" else 80)
        self.path = url.path.rstrip("/")
        self._tls = url.scheme == "https"
        self._proxy = urlsplit(cluster.proxy or proxy_from_environment(url, environ))
        self._lock = threading.Lock()
        self._context: tuple[Proof, ssl.SSLContext] | None = None

    @property
    def authority(self) -> str:
        """Host and port, as a ``Host`` header has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connect(self, *, timeout: float) -> socket.socket:
        """A new connection, TLS done, that blocks for at most ``timeout`` seconds a call.

        Raises ClusterError where nobody answers, or who answers is not who the kubeconfig says.
        """
        proof = self.credentials.proof()
        try:
            sock = _dial(self.host, self.port, self._proxy, timeout)
        except OSError as error:
            raise self._unreachable(error) from error
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(sock)
        if not self._tls:
            return sock
        try:
            name = self.cluster.tls_server_name or self.host
            return self._tls_context(proof).wrap_socket(sock, server_hostname=name)
        except (OSError, ValueError) as error:
            sock.close()
            raise self._unreachable(error) from error

    def _tls_context(self, proof: Proof) -> ssl.SSLContext:
        with self._lock:
            if self._context is None or self._context[0] is not proof:
                self._context = (proof, tls_context(self.cluster, proof))
            return self._context[1]

    def _unreachable(self, error: Exception) -> ClusterError:
        who = f"{self.cluster.server} ({self.cluster.source})"
        through = f" through the proxy {self._proxy.hostname}" if self._proxy.hostname else ""
        if isinstance(error, ssl.SSLCertVerificationError):
            return ClusterError(
                f"{who} shows a certificate that the kubeconfig doesn't vouch for: {error.verify_message}",
                fix="the cluster may have been made anew: write its kubeconfig again, "
                "or check certificate-authority and tls-server-name",
            )
        why = "it didn't answer in time" if isinstance(error, TimeoutError) else str(error)
        return ClusterError(
            f"the API server {who} can't be reached{through}: {why}",
            fix="check that the cluster runs (`kubectl cluster-info`), and that the right context is chosen",
        )


def tls_context(cluster: Cluster, proof: Proof) -> ssl.SSLContext:
    """The TLS settings of a cluster: its authorities, and our certificate where we have one."""
    context = ssl.create_default_context(cadata=cluster.ca.decode("ascii", "replace") if cluster.ca else None)
    # Python 3.13 asks of authorities what RFC 5280 does and many clusters' don't have; kubectl doesn't ask.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if cluster.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if proof.certificate:
        # ssl reads certificates from files only
        with tempfile.TemporaryDirectory(prefix="pgslate-") as folder:
            pem = Path(folder) / "client.pem"
            pem.touch(mode=0o600)
            pem.write_bytes(proof.certificate.rstrip() + b"\n" + proof.key)
            context.load_cert_chain(pem)
    return context


def proxy_from_environment(server: SplitResult, environ: Mapping[str, str]) -> str:
    """The proxy that the environment names for a server, by the rules that kubectl's language has.

    ``HTTPS_PROXY`` or ``HTTP_PROXY`` by the server's scheme, in either case; never for this machine itself,
    nor for what ``NO_PROXY`` lists: ``*``, addresses, networks (``10.0.0.0/8``), hosts and domains
    (``.svc``).
    """
    host = (server.hostname or "").lower()
    variables = {name.lower(): value for name, value in environ.items() if value}
    proxy = variables.get(f"{server.scheme}_proxy", "")
    if not proxy and environ is os.environ:
        proxy = getproxies_environment().get(server.scheme, "")
    if not proxy or host == "localhost":
        return ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address and address.is_loopback:
        return ""
    for entry in variables.get("no_proxy", "").lower().split(","):
        rule = entry.strip().partition(":")[0] if entry.count(":") == 1 else entry.strip()
        if rule == "*" or (rule and (host == rule.lstrip(".") or host.endswith("." + rule.lstrip(".")))):
            return ""
        if address and "/" in rule:
            with suppress(ValueError):
                if address in ipaddress.ip_network(rule, strict=False):
                    return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _keep_alive(sock: socket.socket) -> None:
    """Let the kernel notice, within two minutes, that the other side is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _dial(host: str, port: int, proxy: SplitResult, timeout: float) -> socket.socket:
    if not proxy.hostname:
        return socket.create_connection((host, port), timeout=timeout)
    if proxy.scheme not in ("http", "socks5", "socks5h"):
        raise ClusterError(
            f"the proxy is of the kind {proxy.scheme!r}; http and socks5 are what pgslate speaks",
            fix="set proxy-url in the kubeconfig, or HTTPS_PROXY, to an http:// or socks5:// proxy",
        )
    ports = {"http": 80, "socks5": 1080, "socks5h": 1080}
    sock = socket.create_connection((proxy.hostname, proxy.port or ports[proxy.scheme]), timeout=timeout)
    try:
        if proxy.scheme == "http":
            _http_connect(sock, host, port, proxy)
        else:
            _socks5_connect(sock, host, port, proxy)
    except BaseException:
        sock.close()
        raise
    return sock


def _http_connect(sock: socket.socket, host: str, port: int, proxy: SplitResult) -> None:
    """RFC 9110, section 9.3.6."""
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.username:
        account = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(account.encode()).decode())
    sock.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = sock.recv(1)  # not one more: what follows is TLS
        if not byte or len(answer) > 65536:
            raise ConnectionError("the proxy hung up")
        answer += byte
    status = answer.split(b"\r\n", 1)[0].decode("latin-1")
    if " 200" not in status:
        raise ConnectionError(f"the proxy answered {status!r}")


def _socks5_connect(sock: socket.socket, host: str, port: int, proxy: SplitResult) -> None:
    """RFC 1928, and RFC 1929 for a user and a password."""
    sock.sendall(b"\x05\x02\x00\x02" if proxy.username else b"\x05\x01\x00")
    method = _exactly(sock, 2)[1]
    if method == 2:
        user, password = unquote(proxy.username or "").encode(), unquote(proxy.password or "").encode()
        sock.sendall(b"\x01" + bytes([len(user)]) + user + bytes([len(password)]) + password)
        if _exactly(sock, 2)[1]:
            raise ConnectionError("the proxy refused the user and password")
    elif method:
        raise ConnectionError("the proxy accepts none of our ways to log in")
    name = host.encode("idna")
    sock.sendall(b"\x05\x01\x00\x03" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
    head = _exactly(sock, 4)
    if head[1]:
        raise ConnectionError(f"the proxy could not connect (SOCKS reply {head[1]})")
    _exactly(sock, {1: 4, 4: 16}.get(head[3]) or _exactly(sock, 1)[0])
    _exactly(sock, 2)


def _exactly(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionError("the proxy hung up")
        data += more
    return data
