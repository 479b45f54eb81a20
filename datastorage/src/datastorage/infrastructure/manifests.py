"""What an environment puts into its namespace: PostgreSQL, its secret, and the Data Storage service."""

from __future__ import annotations

from typing import Any, Literal

Json = dict[str, Any]
Workload = Literal["StatefulSet", "Deployment"]

POSTGRES = "postgresql"
SERVICE = "datastorage"
USER, DATABASE = "slm_user", "action_history"
PORT = 8080


def namespace(name: str) -> Json:
    """The namespace, marked as ours."""
    labels = {"app.kubernetes.io/managed-by": "datastorage-e2e"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(namespace: str, name: str, values: dict[str, str]) -> Json:
    """A Secret."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


def postgres(namespace: str, *, image: str, workload: Workload) -> list[Json]:
    """PostgreSQL by the image's own variables, its data gone with its pod, and the Service in front of it."""
    container = {
        "name": POSTGRES,
        "image": image,
        "env": [
            {"name": "POSTGRES_USER", "value": USER},
            {"name": "POSTGRES_DB", "value": DATABASE},
            _from_secret("POSTGRES_PASSWORD", POSTGRES, "POSTGRES_PASSWORD"),
            # A forwarded connection comes from 127.0.0.1, which the image trusts otherwise.
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256 --auth-local=trust"},
        ],
        "ports": [{"name": POSTGRES, "containerPort": 5432}],
        "readinessProbe": {
            "exec": {"command": ["pg_isready", "-h", "127.0.0.1", "-U", USER, "-d", DATABASE]},
            "periodSeconds": 1,
            "failureThreshold": 120,
        },
    }
    return [
        _workload(namespace, POSTGRES, workload, container),
        _service(namespace, POSTGRES, {"name": POSTGRES, "port": 5432, "targetPort": POSTGRES}),
    ]


def datastorage(namespace: str, *, image: str, contract: str) -> list[Json]:
    """The service, on the pod's loopback address.

    A forward leads there, and nothing else does, so no tokens.
    """
    ready = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/health/live')"
    container = {
        "name": SERVICE,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["datastorage", "serve", "--port", str(PORT), "--contract", contract],
        "env": [
            _from_secret("DATASTORAGE_DSN", SERVICE, "dsn"),
            _from_secret("DATASTORAGE_OWNER_DSN", SERVICE, "owner_dsn"),
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": {
            "exec": {"command": ["python", "-c", ready]},
            "periodSeconds": 1,
            "failureThreshold": 120,
        },
    }
    return [
        _workload(namespace, SERVICE, "Deployment", container),
        _service(namespace, SERVICE, {"name": "http", "port": 80, "targetPort": "http"}),
    ]


def _workload(namespace: str, name: str, kind: Workload, container: Json) -> Json:
    labels = {"app": name}
    spec: Json = {
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
        },
    }
    if kind == "StatefulSet":
        spec["serviceName"] = name
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _service(namespace: str, name: str, port: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [port]},
    }


def _from_secret(variable: str, secret: str, key: str) -> Json:
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
