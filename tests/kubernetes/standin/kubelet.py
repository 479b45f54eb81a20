"""Runs the pods of the stand-in: PostgreSQL and other commands for real, and says why what can't run
doesn't."""

from __future__ import annotations

import base64
import itertools
import os
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any

from psycopg import sql
from tests.kubernetes.standin.store import Json, Store

from pgslate.targets.embedded.server import Server

_LABEL = "pod-template-hash"


@dataclass(slots=True)
class Running:
    """What a pod runs: a PostgreSQL server, or nothing that listens."""

    server: Server | None = None
    environ: dict[str, str] = field(default_factory=dict)
    log: str = ""


class Kubelet:
    """Turns Deployments into Pods, and gives Pods a status, as controllers and a node would."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._servers: dict[tuple[str, str], Server] = {}  # by namespace and owner: its data outlives a pod
        self._running: dict[tuple[str, str], Running] = {}
        self._threads: list[threading.Thread] = []
        self.holding: set[str] = set()  # names of Deployments whose pods never get ready

    def close(self) -> None:
        """Stop all servers."""
        for thread in self._threads:
            thread.join(timeout=30)
        for server in self._servers.values():
            server.stop()

    def running(self, namespace: str, pod: str) -> Running | None:
        """What runs in a pod."""
        return self._running.get((namespace, pod))

    def applied(self, plural: str, value: Json) -> None:
        """Something was applied: see to what follows from it."""
        if plural == "deployments":
            self.reconcile(value)
        elif plural == "pods" and "phase" not in (value.get("status") or {}):
            self._in_background(value)

    def reconcile(self, deployment: Json) -> None:
        """Make the pods of a Deployment as many as its replicas."""
        name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
        wanted = (deployment.get("spec") or {}).get("replicas", 1)
        pods = [p for p in self._store.list("pods", namespace) if _owner(p) == name]
        current = f"{deployment['metadata']['generation']}"
        for pod in pods:
            if pod["metadata"]["labels"].get(_LABEL) != current or wanted < len(pods):
                self.end(namespace, pod["metadata"]["name"])
        pods = [p for p in self._store.list("pods", namespace) if _owner(p) == name]
        for _ in range(wanted - len(pods)):
            self._in_background(self._pod_of(deployment, current))

    def _pod_of(self, deployment: Json, generation: str) -> Json:
        name, namespace = deployment["metadata"]["name"], deployment["metadata"]["namespace"]
        template = deployment["spec"]["template"]
        labels = {**(template["metadata"].get("labels") or {}), _LABEL: generation}
        pod = {
            "metadata": {
                "name": f"{name}-{next(self._numbers):05}",
                "namespace": namespace,
                "labels": labels,
                "ownerReferences": [{"kind": "ReplicaSet", "name": name}],
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        return self._store.put("pods", pod)

    def end(self, namespace: str, name: str) -> Json | None:
        """A pod is gone; its Deployment, if it has one, gets another."""
        self._running.pop((namespace, name), None)
        return self._store.delete("pods", namespace, name)

    def deleted(self, plural: str, value: Json) -> None:
        """Something was deleted: see to what follows from it."""
        namespace = value["metadata"].get("namespace", "")
        if plural == "pods":
            deployment = self._store.get("deployments", namespace, _owner(value))
            if deployment:
                self.reconcile(deployment)
        elif plural == "deployments":
            for pod in self._store.list("pods", namespace):
                if _owner(pod) == value["metadata"]["name"]:
                    self.end(namespace, pod["metadata"]["name"])
            if server := self._servers.pop((namespace, value["metadata"]["name"]), None):
                server.stop()
        elif plural == "namespaces":
            name = value["metadata"]["name"]
            for inner in ("deployments", "pods", "services", "secrets", "configmaps", "events"):
                for item in self._store.list(inner, name):
                    self._store.delete(inner, name, item["metadata"]["name"])
                    if inner == "deployments":
                        self.deleted(inner, item)

    def _in_background(self, pod: Json) -> None:
        thread = threading.Thread(target=self._run, args=(pod,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self, pod: Json) -> None:
        """What a node does with a new pod."""
        spec, namespace = pod["spec"], pod["metadata"]["namespace"]
        container = spec["containers"][0]
        if spec.get("nodeSelector"):
            return self._unschedulable(pod)
        if container.get("imagePullPolicy") == "Never":
            message = f'Container image "{container["image"]}" is not present with pull policy of Never'
            return self._waiting(pod, container, "ErrImageNeverPull", message)
        if container["image"].partition("/")[0].endswith(".invalid"):
            return self._no_image(pod, container)
        try:
            environ = self._environ(namespace, container)
        except LookupError as missing:
            return self._waiting(pod, container, "CreateContainerConfigError", str(missing.args[0]))
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        if command and command[0] != "sleep":
            return self._crash(pod, container, command, environ)
        running = Running(environ=environ)
        self._running[namespace, pod["metadata"]["name"]] = running
        if "POSTGRES_PASSWORD" in environ and not command:
            running.server = self._server(namespace, _owner(pod) or pod["metadata"]["name"], environ)
        if _owner(pod) in self.holding:
            self._event(pod, "Unhealthy", "Readiness probe failed: no response")
            return self._status(pod, "Running", container, {"running": {}}, ready=False)
        return self._status(pod, "Running", container, {"running": {}}, ready=True)

    def release(self, name: str) -> None:
        """Let the pods of a held Deployment get ready."""
        self.holding.discard(name)
        for pod in self._store.list("pods"):
            if _owner(pod) == name:
                self._status(pod, "Running", pod["spec"]["containers"][0], {"running": {}}, ready=True)

    def _server(self, namespace: str, owner: str, environ: dict[str, str]) -> Server:
        with self._lock:
            if (namespace, owner) not in self._servers:
                self._servers[namespace, owner] = start_postgres(
                    environ["POSTGRES_USER"], environ["POSTGRES_PASSWORD"], environ.get("POSTGRES_DB", "")
                )
            return self._servers[namespace, owner]

    def _environ(self, namespace: str, container: Json) -> dict[str, str]:
        found: dict[str, str] = {}
        for entry in container.get("env") or ():
            reference = (entry.get("valueFrom") or {}).get("secretKeyRef")
            if not reference:
                found[entry["name"]] = entry.get("value", "")
                continue
            secret = self._store.get("secrets", namespace, reference["name"])
            if secret is None:
                raise LookupError(f'secret "{reference["name"]}" not found')
            found[entry["name"]] = base64.b64decode(secret["data"][reference["key"]]).decode()
        return found

    def _unschedulable(self, pod: Json) -> None:
        message = "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
        pod["status"] = {
            "phase": "Pending",
            "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            ],
        }
        self._store.put("pods", pod)
        self._event(pod, "FailedScheduling", message)

    def _no_image(self, pod: Json, container: Json) -> None:
        image = container["image"]
        for message in (
            f'Failed to pull image "{image}": dial tcp: lookup: no such host',
            "Error: ErrImagePull",
        ):
            self._event(pod, "Failed", message)
        self._waiting(
            pod, container, "ErrImagePull", f'failed to pull and unpack image "{image}": no such host'
        )
        self._waiting(pod, container, "ImagePullBackOff", f'Back-off pulling image "{image}"')

    def _crash(self, pod: Json, container: Json, command: list[str], environ: dict[str, str]) -> None:
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, **environ}, check=False
        )
        ended = {"terminated": {"exitCode": done.returncode, "reason": "Error"}}
        key = pod["metadata"]["namespace"], pod["metadata"]["name"]
        self._running[key] = Running(log=done.stdout + done.stderr)
        self._event(pod, "BackOff", "Back-off restarting failed container")
        message = f"back-off 10s restarting failed container={container['name']}"
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
        self._status(pod, "Running", container, waiting, ready=False, last=ended, restarts=2)

    def _waiting(self, pod: Json, container: Json, reason: str, message: str) -> None:
        state = {"waiting": {"reason": reason, "message": message}}
        self._status(pod, "Pending", container, state, ready=False)

    def _status(
        self,
        pod: Json,
        phase: str,
        container: Json,
        state: Json,
        *,
        ready: bool,
        last: Json | None = None,
        restarts: int = 0,
    ) -> None:
        current = self._store.get("pods", pod["metadata"]["namespace"], pod["metadata"]["name"])
        if current is None:
            return  # deleted meanwhile
        current["status"] = {
            "phase": phase,
            "podIP": "10.0.0.1",
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True" if ready else "False"},
            ],
            "containerStatuses": [
                {
                    "name": container["name"],
                    "image": container["image"],
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state,
                    "lastState": last or {},
                }
            ],
        }
        self._store.put("pods", current)

    def _event(self, pod: Json, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        self._store.put(
            "events",
            {
                "metadata": {
                    "name": f"{metadata['name']}.{next(self._numbers)}",
                    "namespace": metadata["namespace"],
                },
                "type": "Warning",
                "reason": reason,
                "message": message,
                "count": 3,
                "involvedObject": {"kind": "Pod", "name": metadata["name"], "uid": metadata.get("uid", "")},
            },
        )


def _owner(pod: Json) -> str:
    owners: list[dict[str, Any]] = pod["metadata"].get("ownerReferences") or []
    return str(owners[0]["name"]) if owners else ""


def start_postgres(user: str, password: str, database: str) -> Server:
    """A server as the postgres image makes one: that user owns that database, and TCP asks for SCRAM."""
    server = Server.start(settings={"password_encryption": "scram-sha-256"})
    with server.target().connect(autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
                sql.Identifier(user), sql.Literal(password)
            )
        )
        if database:
            owned = sql.SQL("CREATE DATABASE {} OWNER {}")
            connection.execute(owned.format(sql.Identifier(database), sql.Identifier(user)))
        hba = server.data / "pg_hba.conf"
        hba.write_text(
            "host all postgres 127.0.0.1/32 trust\nhost all all all scram-sha-256\nlocal all all trust\n"
        )
        connection.execute("SELECT pg_reload_conf()")
    return server
