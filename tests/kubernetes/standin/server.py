"""The stand-in's API server: HTTPS, who may do what, objects, watches, logs, and what is streamed."""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml
from tests.kubernetes.standin.certificates import Authority, Certificate
from tests.kubernetes.standin.faults import Faults
from tests.kubernetes.standin.kubelet import Kubelet
from tests.kubernetes.standin.store import KINDS, Json, Store, selected
from tests.kubernetes.standin.streams import Socket, SpdyForward, WebSocket, execute, forward_raw

TOKEN = "stand-in-token"
USER = "tester"

_PATH = re.compile(
    r"^/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+)(?=/))?/(?P<plural>[a-z]+)(?:/(?P<name>[^/]+)(?:/(?P<sub>[a-z]+))?)?$"
)


class StandIn:
    """A cluster for tests. Use it in a ``with`` statement; ``kubeconfig(folder)`` writes how to reach it."""

    def __init__(self) -> None:
        self.store = Store()
        self.kubelet = Kubelet(self.store)
        self.faults = Faults()
        self.authority = Authority()
        self.requests: list[str] = []
        self.forwards: list[WebSocket] = []
        for name in ("default", "kube-system"):
            self.store.put("namespaces", {"metadata": {"name": name}})
        self._http = _HttpServer(("127.0.0.1", 0), _Handler)
        self._http.standin = self
        self._http.context = server_context(self.authority.server("localhost"), self.authority)
        self.port: int = self._http.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self.cut_forwards()
        self.kubelet.close()

    def kubeconfig(self, folder: Path, *, token: str = TOKEN, user: Json | None = None) -> Path:
        """A kubeconfig file for this cluster, with a token or another way to say who one is."""
        ca = base64.b64encode(self.authority.pem).decode()
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url, "certificate-authority-data": ca}}],
            "users": [{"name": "u", "user": user or {"token": token}}],
            "contexts": [{"name": "standin", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "standin",
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(document))
        return file

    def cut_forwards(self) -> None:
        """Reset all connections that are being forwarded, as a node that vanishes does."""
        for websocket in self.forwards:
            websocket.sock.reset()

    def replace_pod(self, namespace: str, name: str) -> None:
        """Delete a pod: connections to it break, and its Deployment gets another."""
        self.cut_forwards()
        if pod := self.kubelet.end(namespace, name):
            self.kubelet.deleted("pods", pod)


def server_context(certificate: Certificate, authority: Authority) -> ssl.SSLContext:
    """TLS for a server; clients may show a certificate, and need not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.write_bytes(certificate.certificate + certificate.key)
        context.load_cert_chain(pem)
    context.load_verify_locations(cadata=authority.pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    standin: StandIn
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread, so that a slow handshake delays nobody else."""
        request.settimeout(30)
        try:
            with self.context.wrap_socket(request, server_side=True) as wrapped:
                wrapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.RequestHandlerClass(wrapped, client_address, self)  # type: ignore[arg-type]  # it is one
        except OSError:
            pass  # the client went away

    def shutdown_request(self, request: Any) -> None:
        """Wrapping took the descriptor over: there is nothing left to shut down."""
        request.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HttpServer

    @property
    def standin(self) -> StandIn:
        return self.server.standin

    def log_message(self, format: str, *args: Any) -> None:
        """Tests look at ``requests``."""

    def do_GET(self) -> None:
        self._serve("get")

    def do_POST(self) -> None:
        self._serve("create")

    def do_PATCH(self) -> None:
        self._serve("patch")

    def do_DELETE(self) -> None:
        self._serve("delete")

    def _serve(self, verb: str) -> None:
        url = urlsplit(self.path)
        self.query = parse_qs(url.query, keep_blank_values=True)
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.standin.requests.append(f"{self.command} {self.path}")
        if answer := self.standin.faults.due_answer(url.path):
            return self._fail(answer.status, "Fault", answer.message or f"told to answer {answer.status}")
        if not self._known():
            return self._fail(401, "Unauthorized", "Unauthorized")
        if url.path in _DISCOVERY:
            return self._json(_DISCOVERY[url.path])
        match = _PATH.match(url.path)
        if not match or match["plural"] not in KINDS:
            return self._fail(404, "NotFound", "the server could not find the requested resource")
        plural, namespace, name, sub = (
            match["plural"],
            match["namespace"] or "",
            match["name"] or "",
            match["sub"],
        )
        if plural == "namespaces" and namespace and not name:
            namespace, name = "", namespace
        if verb == "get" and not name:
            verb = "watch" if self._flag("watch") else "list"
        resource = f"{plural}/{sub}" if sub else plural
        if self._forbidden(verb, resource, plural, namespace, name, match["group"] or ""):
            return None
        if sub:
            return self._sub(sub, namespace, name)
        verbs: dict[str, Callable[[str, str, str], None]] = {
            "get": self._get,
            "list": self._list,
            "watch": self._watch,
            "create": self._create,
            "patch": self._patch,
            "delete": self._delete,
        }
        return verbs[verb](plural, namespace, name)

    def _known(self) -> bool:
        header = self.headers.get("Authorization") or ""
        if header:
            return header == f"Bearer {TOKEN}"
        return isinstance(self.connection, ssl.SSLSocket) and bool(self.connection.getpeercert())

    def _forbidden(
        self, verb: str, resource: str, plural: str, namespace: str, name: str, group: str
    ) -> bool:
        verbs = [verb]
        if resource in ("pods/portforward", "pods/exec"):
            verbs.append("create")  # since 1.35 also where a websocket makes it a GET
        for one in verbs:
            if (one, resource) in self.standin.faults.forbidden:
                where = f' in the namespace "{namespace}"' if namespace else " at the cluster scope"
                why = f'User "{USER}" cannot {one} resource "{resource}" in API group "{group}"{where}'
                # of the second look, 1.36 gives only the authorizer's reason, and RBAC has none
                self._fail(403, "Forbidden", f'{plural} "{name}" is forbidden: {why if one == verb else ""}')
                return True
        return False

    def _get(self, plural: str, namespace: str, name: str) -> None:
        value = self.standin.store.get(plural, namespace, name)
        if value is None:
            return self._fail(404, "NotFound", f'{plural} "{name}" not found')
        return self._json(value)

    def _list(self, plural: str, namespace: str, name: str) -> None:
        group_version, kind, _ = KINDS[plural]
        items = [item for item in self.standin.store.list(plural, namespace) if self._selected(item)]
        self._json(
            {
                "apiVersion": group_version,
                "kind": f"{kind}List",
                "metadata": {"resourceVersion": str(self.standin.store.version)},
                "items": items,
            }
        )

    def _selected(self, item: Json) -> bool:
        return selected(item, self._one("labelSelector"), self._one("fieldSelector"))

    def _watch(self, plural: str, namespace: str, name: str) -> None:
        store = self.standin.store
        version = int(self._one("resourceVersion") or store.version)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if version < store.oldest:
            status = _status(410, "Expired", f"too old resource version: {version} ({store.oldest})")
            self._chunk({"type": "ERROR", "object": status})
            return self._last_chunk()
        until = time.monotonic() + float(self._one("timeoutSeconds") or 300)
        while (left := until - time.monotonic()) > 0:
            if self.standin.faults.slow_watch.is_set():
                with store.changed:
                    store.changed.wait(min(left, 0.05))
                continue
            for change in store.since(version):
                version = change.version
                inside = not namespace or change.object["metadata"].get("namespace") == namespace
                if change.plural == plural and inside and self._selected(change.object):
                    self._chunk({"type": change.kind, "object": change.object})
            with store.changed:
                if store.version == version:
                    store.changed.wait(min(left, 0.2))
        return self._last_chunk()

    def _chunk(self, value: Json) -> None:
        line = json.dumps(value).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _last_chunk(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _patch(self, plural: str, namespace: str, name: str) -> None:
        value = yaml.safe_load(self.body)
        old = self.standin.store.get(plural, namespace, name)
        if KINDS[plural][2] and not self.standin.store.get("namespaces", "", namespace):
            return self._fail(404, "NotFound", f'namespaces "{namespace}" not found')
        if plural == "secrets":
            plain = value.pop("stringData", None) or {}
            encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
            value["data"] = {**(value.get("data") or {}), **encoded}
        if old and "status" in old:
            value.setdefault("status", old["status"])
        changed = not old or old.get("spec") != value.get("spec")
        value["metadata"]["generation"] = (old or {"metadata": {}})["metadata"].get("generation", 0) + changed
        if "--dry-run" not in self.query and "dryRun" not in self.query:
            value = self.standin.store.put(plural, value)
            self.standin.kubelet.applied(plural, value)
        return self._json(value, 200 if old else 201)

    def _create(self, plural: str, namespace: str, name: str) -> None:
        value = yaml.safe_load(self.body)
        return self._patch(plural, namespace, value["metadata"]["name"])

    def _delete(self, plural: str, namespace: str, name: str) -> None:
        if plural == "pods":
            pod = self.standin.store.get(plural, namespace, name)
            self.standin.replace_pod(namespace, name)
            return self._json(pod) if pod else self._fail(404, "NotFound", f'pods "{name}" not found')
        value = self.standin.store.delete(plural, namespace, name)
        if value is None:
            return self._fail(404, "NotFound", f'{plural} "{name}" not found')
        self.standin.kubelet.deleted(plural, value)
        return self._json(value)

    def _sub(self, sub: str, namespace: str, name: str) -> None:
        running = self.standin.kubelet.running(namespace, name)
        pod = self.standin.store.get("pods", namespace, name)
        if not pod:
            return self._fail(404, "NotFound", f'pods "{name}" not found')
        if sub == "log":
            (status, *_) = pod["status"].get("containerStatuses") or [{}]
            if self._flag("previous") and "terminated" not in status.get("lastState", {}):
                container = f'"{status.get("name")}" in pod "{name}"'
                return self._fail(400, "BadRequest", f"previous terminated container {container} not found")
            text = (running.log if running else "").splitlines(keepends=True)
            return self._text("".join(text[-int(self._one("tailLines") or 100) :]))
        if sub == "portforward":
            return self._port_forward(namespace, name)
        if sub == "exec":
            return self._exec(namespace, name)
        return self._fail(404, "NotFound", "the server could not find the requested resource")

    def _exec(self, namespace: str, name: str) -> None:
        running = self.standin.kubelet.running(namespace, name)
        environ = dict(running.environ) if running else {}
        if running and running.server:
            environ |= {"PGHOST": "127.0.0.1", "PGPORT": str(running.server.port)}
            environ["PGPASSWORD"] = environ.get("POSTGRES_PASSWORD", "")
        if websocket := self._websocket("v5.channel.k8s.io"):
            execute(websocket, self.query.get("command", []), environ, stdin=self._flag("stdin"))

    def _port_forward(self, namespace: str, name: str) -> None:
        fault = self.standin.faults.due_forward()
        if fault == "forbidden":
            return self._fail(403, "Forbidden", f'pods "{name}" is forbidden: ')
        if fault == "reset":
            return Socket(self.connection).reset()

        def connect(port: int = 0) -> socket.socket:
            running = self.standin.kubelet.running(namespace, name)
            if fault == "refused" or not running or not running.server:
                raise ConnectionRefusedError(111, "connect: connection refused")
            return socket.create_connection(("127.0.0.1", running.server.port))

        offered = [p.strip() for p in (self.headers.get("Sec-WebSocket-Protocol") or "").split(",")]
        if "SPDY/3.1+portforward.k8s.io" in offered:
            websocket = self._websocket("SPDY/3.1+portforward.k8s.io")
            if websocket is None:
                return None
            session = SpdyForward(websocket.send, connect)
            while (messages := websocket.messages()) is not None:
                if not all(session.feed(message) for message in messages):
                    break
            session.close()
            websocket.close()
            return None
        if (self.headers.get("Upgrade") or "").lower() == "spdy/3.1":
            return self._bare_spdy(connect)
        if websocket := self._websocket("v4.channel.k8s.io"):
            self.standin.forwards.append(websocket)
            try:
                forward_raw(websocket, int(self._one("ports")), connect, fault)
            finally:
                self.standin.forwards.remove(websocket)
        return None

    def _bare_spdy(self, connect: Any) -> None:
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
            b"X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n"
        )
        self.close_connection = True
        sock = Socket(self.connection)
        session = SpdyForward(sock.write, connect)
        while (data := sock.read()) and session.feed(data):
            pass
        session.close()
        sock.close()

    def _websocket(self, protocol: str) -> WebSocket | None:
        self.close_connection = True
        offered = [p.strip() for p in (self.headers.get("Sec-WebSocket-Protocol") or "").split(",")]
        if (self.headers.get("Upgrade") or "").lower() != "websocket":
            self._fail(400, "BadRequest", "Upgrade request required")
            return None
        if protocol not in offered:
            self._fail(403, "Forbidden", f"websocket server: none of {offered} is supported")
            return None
        headers = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        return WebSocket(Socket(self.connection), headers, self.path, protocol)

    def _one(self, name: str) -> str:
        return self.query.get(name, [""])[0]

    def _flag(self, name: str) -> bool:
        return self._one(name) in ("true", "1")

    def _json(self, value: Json, status: int = 200) -> None:
        self._answer(status, "application/json", json.dumps(value).encode())

    def _text(self, value: str) -> None:
        self._answer(200, "text/plain", value.encode())

    def _fail(self, status: int, reason: str, message: str) -> None:
        self._json(_status(status, reason, message), status)

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)


def _status(code: int, reason: str, message: str) -> Json:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _discovery() -> dict[str, Json]:
    """What tells a client which resources there are."""
    groups: dict[str, list[Json]] = {}
    for plural, (group_version, kind, namespaced) in KINDS.items():
        verbs = ["create", "delete", "get", "list", "patch", "watch"]
        one = {
            "name": plural,
            "singularName": kind.lower(),
            "namespaced": namespaced,
            "kind": kind,
            "verbs": verbs,
        }
        groups.setdefault(group_version, []).append(one)
    found: dict[str, Json] = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/readyz": {},
    }
    listed = []
    for group_version, resources in groups.items():
        path = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
        found[path] = {"kind": "APIResourceList", "groupVersion": group_version, "resources": resources}
        if "/" in group_version:
            group, version = group_version.split("/")
            known = {"groupVersion": group_version, "version": version}
            listed.append({"name": group, "versions": [known], "preferredVersion": known})
    found["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    return found


_DISCOVERY = _discovery()
