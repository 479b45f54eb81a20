"""What the tests put into a cluster, stand-in or real: PostgreSQL behind a service, and pods in trouble."""

from __future__ import annotations

import os
from typing import Any

Json = dict[str, Any]

#: A public image by default; a cluster without a registry at hand gets another by this variable.
IMAGE = os.environ.get("PGSLATE_TEST_POSTGRES_IMAGE", "docker.io/library/postgres:17-alpine")

PASSWORD = "p'a s\\s/w@rd%"  # with all that a conninfo string and a URL have to quote


def namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def postgres(namespace: str, name: str = "postgresql") -> list[Json]:
    """A Secret, a Deployment and a Service; the password is in the Secret only."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": f"{name}-secret", "namespace": namespace},
            "stringData": {"POSTGRES_PASSWORD": PASSWORD},
        },
        deployment(namespace, name, postgres_container(f"{name}-secret")),
        service(namespace, name),
    ]


def postgres_container(secret: str) -> Json:
    from_secret = {"secretKeyRef": {"name": secret, "key": "POSTGRES_PASSWORD"}}
    probe = ["sh", "-c", "pg_isready -h 127.0.0.1 -U slm_user -d action_history"]
    return {
        "name": "postgresql",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "POSTGRES_USER", "value": "slm_user"},
            {"name": "POSTGRES_DB", "value": "action_history"},
            {"name": "POSTGRES_PASSWORD", "valueFrom": from_secret},
            # the image trusts 127.0.0.1, which is where a forwarded connection comes from
            {"name": "POSTGRES_INITDB_ARGS", "value": "--auth-host=scram-sha-256 --auth-local=trust"},
        ],
        "ports": [{"name": "postgresql", "containerPort": 5432}],
        "readinessProbe": {"exec": {"command": probe}, "periodSeconds": 1, "failureThreshold": 60},
    }


def deployment(namespace: str, name: str, container: Json, **pod_spec: Any) -> Json:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, **pod_spec},
            },
        },
    }


def service(namespace: str, name: str, *, selector: dict[str, str] | None = None) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": selector or {"app": name},
            "ports": [{"name": "postgresql", "port": 5432, "targetPort": "postgresql"}],
        },
    }
