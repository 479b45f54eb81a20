"""The few calls to the Kubernetes API that pgslate needs, over the standard library's HTTP client.

Source: https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from pgslate.errors import ClusterAuthError, ClusterError, PrivilegeError
from pgslate.targets.kubernetes.credentials import Proof
from pgslate.targets.kubernetes.kubeconfig import Cluster
from pgslate.targets.kubernetes.transport import Transport
from pgslate.targets.kubernetes.websocket import Refusal, shake_hands

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]

FIELD_MANAGER = "pgslate"


class Api(Protocol):
    """What pgslate asks of a cluster. ``path`` is as in the API's reference; see ``path_of``."""

    def get(self, path: str, query: Query = ()) -> Json:
        """One object, or one list of objects."""

    def text(self, path: str, query: Query = ()) -> str:
        """An answer that isn't JSON: a log."""

    def watch(self, path: str, query: Query = (), *, seconds: float) -> Iterator[Json]:
        """Events, ``{"type": ..., "object": ...}``, for at most about ``seconds``; then it ends."""

    def apply(self, manifest: Json) -> Json:
        """Server-side apply: what comes back is the object as it now is."""

    def delete(self, path: str) -> None:
        """Delete one object; that it is gone already is no error."""

    def upgrade(self, path: str, query: Query, protocol: str) -> tuple[socket.socket, bytes]:
        """A websocket: its socket after the handshake, and the frames that came already."""


def path_of(kind: str, namespace: str = "", name: str = "", *, api_version: str = "v1", sub: str = "") -> str:
    """The path of a resource, or of a list of them; ``kind`` is the plural that the API uses.

    >>> path_of("pods", "test", "postgresql-0", sub="log")
    '/api/v1/namespaces/test/pods/postgresql-0/log'
    >>> path_of("deployments", "test", api_version="apps/v1")
    '/apis/apps/v1/namespaces/test/deployments'
    """
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    parts = [root]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(kind)
    if name:
        parts.append(quote(name, safe=""))
    if sub:
        parts.append(sub)
    return "/".join(parts)


def path_of_manifest(manifest: Json) -> str:
    """Where a manifest's object lives."""
    metadata, kind = manifest["metadata"], manifest["kind"]
    plural = "networkpolicies" if kind == "NetworkPolicy" else kind.lower() + "s"
    return path_of(
        plural, metadata.get("namespace", ""), metadata["name"], api_version=manifest["apiVersion"]
    )


class HttpApi:
    """An ``Api`` over HTTPS, with a kept connection for each call under way; safe in several threads."""

    def __init__(self, cluster: Cluster, *, timeout: float = 15.0) -> None:
        """``timeout`` in seconds bounds one answer, not one watch."""
        self.cluster = cluster
        self.transport = Transport(cluster)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._idle: list[tuple[Proof, http.client.HTTPConnection]] = []

    def close(self) -> None:
        """Close the kept connections. The object can still be used."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def get(self, path: str, query: Query = ()) -> Json:
        return _json(self._call("GET", path, query))

    def text(self, path: str, query: Query = ()) -> str:
        return self._call("GET", path, query).decode(errors="replace")

    def apply(self, manifest: Json) -> Json:
        query = (("fieldManager", FIELD_MANAGER), ("force", "true"))
        body = json.dumps(manifest).encode()
        return _json(
            self._call("PATCH", path_of_manifest(manifest), query, body, "application/apply-patch+yaml")
        )

    def delete(self, path: str) -> None:
        with suppress(NotFoundError):
            self._call("DELETE", path, (("propagationPolicy", "Background"),))

    def watch(self, path: str, query: Query = (), *, seconds: float) -> Iterator[Json]:
        query = (*query, ("watch", "true"), ("timeoutSeconds", str(max(1, round(seconds)))))
        _, connection, response = self._request("GET", path, query, seconds=seconds + self._timeout)
        try:
            _check(response.status, response.read() if response.status != 200 else b"", path)
            while line := response.readline():
                yield _json(line)
        except (OSError, http.client.HTTPException) as error:
            raise _lost(self.cluster, error) from error
        finally:
            connection.close()

    def upgrade(self, path: str, query: Query, protocol: str) -> tuple[socket.socket, bytes]:
        proof = self.transport.credentials.proof()
        answer, sock = self._shake_hands(proof, path, query, protocol)
        if isinstance(answer, Refusal) and answer.status == 401 and self.transport.credentials.renewable:
            self.transport.credentials.forget(proof)
            proof = self.transport.credentials.proof()
            answer, sock = self._shake_hands(proof, path, query, protocol)
        if not isinstance(answer, Refusal):
            return sock, answer
        _check(answer.status, answer.body, path)
        raise ClusterError(
            f"the API server answered {answer.status} where a websocket was asked for ({path})",
            fix="check what stands between here and the API server: it must let websockets through",
            status=answer.status,
        )

    def _shake_hands(
        self, proof: Proof, path: str, query: Query, protocol: str
    ) -> tuple[bytes | Refusal, socket.socket]:
        """What came behind the handshake, or the refusal; then the socket is closed."""
        sock = self.transport.connect(timeout=self._timeout)
        try:
            answer = shake_hands(
                sock,
                host=self.transport.authority,
                target=self._target(path, query),
                protocol=protocol,
                headers=self._headers(proof),
            )
        except OSError as error:
            sock.close()
            raise _lost(self.cluster, error) from error
        if isinstance(answer, Refusal):
            sock.close()
        return answer, sock

    def _headers(self, proof: Proof) -> list[tuple[str, str]]:
        return [("User-Agent", "pgslate"), *proof.headers]

    def _target(self, path: str, query: Query) -> str:
        return self.transport.path + path + (f"?{urlencode(query)}" if query else "")

    def _call(self, method: str, path: str, query: Query, body: bytes | None = None, kind: str = "") -> bytes:
        for attempt in (1, 2):
            proof, connection, response = self._request(method, path, query, body, kind)
            try:
                data = response.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                raise _lost(self.cluster, error) from error
            if response.will_close:
                connection.close()
            else:
                with self._lock:
                    self._idle.append((proof, connection))
            if response.status == 401 and attempt == 1 and self.transport.credentials.renewable:
                self.transport.credentials.forget(proof)
                continue
            _check(response.status, data, path)
            return data
        raise AssertionError("unreachable")

    def _request(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None = None,
        kind: str = "",
        *,
        seconds: float | None = None,
    ) -> tuple[Proof, http.client.HTTPConnection, http.client.HTTPResponse]:
        """Send a request. A kept connection may have been closed meanwhile: then once more, on a new one."""
        while True:
            proof = self.transport.credentials.proof()
            connection, kept = self._connection(proof)
            if connection.sock is not None:
                connection.sock.settimeout(seconds or self._timeout)
            headers = {"Accept": "application/json", **({"Content-Type": kind} if kind else {})}
            try:
                connection.putrequest(method, self._target(path, query))
                for name, value in [*headers.items(), *self._headers(proof)]:
                    connection.putheader(name, value)
                if body is not None:
                    connection.putheader("Content-Length", str(len(body)))
                connection.endheaders(body)
                return proof, connection, connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                if kept and not isinstance(error, TimeoutError):
                    continue
                raise _lost(self.cluster, error) from error

    def _connection(self, proof: Proof) -> tuple[http.client.HTTPConnection, bool]:
        with self._lock:
            while self._idle:
                made_with, connection = self._idle.pop()
                if made_with is proof:
                    return connection, True
                connection.close()
        connection = http.client.HTTPConnection(self.transport.host, self.transport.port)
        connection.sock = self.transport.connect(timeout=self._timeout)
        return connection, False


class NotFoundError(ClusterError):
    """404: the object isn't there, or its namespace."""


class ExpiredError(ClusterError):
    """410: a watch from a version that is gone; list again."""


def _json(data: bytes) -> Json:
    try:
        value = json.loads(data)
    except ValueError as error:
        raise ClusterError(
            f"the API server sent something that isn't JSON: {data[:80]!r}",
            fix="check that the kubeconfig's server is an API server, and what stands in between",
        ) from error
    return value if isinstance(value, dict) else {"items": value}


def _lost(cluster: Cluster, error: Exception) -> ClusterError:
    why = (
        "it didn't answer in time" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    )
    return ClusterError(
        f"the connection to the API server {cluster.server} broke: {why}",
        fix="run it again; where it stays so, check the cluster with `kubectl get --raw /readyz`",
    )


_FORBIDDEN = re.compile(
    r'(?:User|user) "(?P<who>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" '
    r'in API group "(?P<group>[^"]*)"(?: in the namespace "(?P<namespace>[^"]*)")?'
)


def error_of(status: int, body: Json | bytes, path: str) -> Exception:
    """The error for an answer that is no success: ``body`` is a Status object, or whatever came."""
    fields = _status_of(body) if isinstance(body, bytes) else body
    message = str(fields.get("message") or f"HTTP status {status}")
    if status == 401:
        return ClusterAuthError(
            "the API server doesn't accept our credentials (401)",
            fix="log in to the cluster again, or choose another --context: `kubectl auth whoami` should work",
            status=status,
        )
    if status == 403:
        return _forbidden(message, path)
    if status == 404:
        return NotFoundError(f"not found: {message}", fix="check the namespace and the name", status=status)
    kind = ExpiredError if status == 410 else ClusterError
    return kind(
        f"the API server answered {status} to {path}: {message}",
        fix="run it again; where it stays so, look at the API server's log",
        status=status,
    )


def _status_of(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return value if isinstance(value, dict) else {"message": body.decode(errors="replace").strip()[:300]}


_PORT_FORWARD = re.compile(r"/namespaces/(?P<namespace>[^/]+)/pods/[^/]+/portforward$")


def _forbidden(message: str, path: str) -> PrivilegeError:
    if match := _FORBIDDEN.search(message):
        return _lacks(
            f"{match['who']!r}", match["verb"], match["resource"], match["group"], match["namespace"] or ""
        )
    if match := _PORT_FORWARD.search(path):
        # Since 1.35 the API server looks a second time, whether the GET of a websocket would be allowed as a
        # create too, and says nothing of it: kubernetes/kubernetes, pkg/registry/core/pod/rest/authorize.go.
        return _lacks("our user", "create", "pods/portforward", "", match["namespace"])
    return PrivilegeError(
        f"the API server forbids it (403): {message}",
        fix="ask for the rights in docs/kubernetes.md, or choose another --context",
        right="",
        on="",
    )


def _lacks(who: str, verb: str, resource: str, group: str, namespace: str) -> PrivilegeError:
    where = f" in the namespace {namespace!r}" if namespace else " in the whole cluster"
    kind = f"{resource}.{group}" if group else resource
    scope = f" -n {namespace}" if namespace else ""
    role = "role" if namespace else "clusterrole"
    return PrivilegeError(
        f"{who} may not {verb} {kind}{where} (403)",
        fix=f"grant it: kubectl create {role} pgslate{scope} --verb={verb} --resource={kind}, and bind it; "
        "docs/kubernetes.md has the whole role",
        right=verb,
        on=f"{kind}{where}",
    )


def _check(status: int, body: bytes, path: str) -> None:
    if status >= 400:
        raise error_of(status, body, path)
