"""The manifests that run pgslate inside a cluster: the Job that applies and verifies a contract.

The Job needs no rights in the cluster: it speaks only to PostgreSQL. The ledger lies in the database, so two
Jobs that run at once, or one that is restarted, have the same result as a single run. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from pgslate.errors import UsageError

Json = dict[str, Any]

IMAGE = "pgslate:latest"
_USER_ID = 65532
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Database:
    """Where the Job finds PostgreSQL, and its login.

    ``service`` is in the Job's own namespace: its address comes from the variables that Kubernetes gives
    each container, so that no cluster DNS is needed. ``host`` is another host, and wins. The password is in
    the Secret ``secret`` under ``password_key``; ``user`` and ``name`` are given, or are in it too, under
    the keys. Without a name, libpq takes the user's.
    """

    service: str = "postgresql"
    host: str = ""
    port: int = 5432
    user: str = ""
    name: str = ""
    secret: str = "postgresql-secret"  # noqa: S105  # the name of one
    password_key: str = "POSTGRES_PASSWORD"  # noqa: S105  # the name of one
    user_key: str = ""
    name_key: str = ""


def job_manifest(
    contract: str,
    *,
    namespace: str = "",
    image: str = IMAGE,
    database: Database,
    catalog: str = "",
    config_map: str = "",
    form: str = "",
    timeout: int = 600,
    hook: str = "",
    extra_args: Sequence[str] = (),
) -> Json:
    """A Job (batch/v1) that applies a contract and verifies it, and is tried again where it fails.

    ``catalog`` is a folder in the image; ``config_map`` names a ConfigMap whose keys are the catalog's files
    instead. ``form`` is files, statements or objects. ``timeout`` in seconds bounds all tries together.
    ``hook`` makes it a Helm hook: ``post-install,post-upgrade`` where the chart brings the database along,
    ``pre-install,pre-upgrade`` where it is there already. Raises UsageError for a name that Kubernetes
    refuses, and for a database without a user.
    """
    container, volumes = _container(contract, image, database, catalog, config_map, form, extra_args)
    name = _name(f"pgslate-{contract}")
    labels = _labels(contract)
    metadata: Json = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels}
    if hook:
        metadata["annotations"] = {
            "helm.sh/hook": hook,
            "helm.sh/hook-weight": "0",
            "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded",
        }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 6,
            "activeDeadlineSeconds": timeout,
            "ttlSecondsAfterFinished": 3600,
            "template": {
                "metadata": {"labels": labels},
                "spec": {**_pod(volumes), "restartPolicy": "Never", "containers": [container]},
            },
        },
    }


def init_container_manifest(
    contract: str,
    *,
    image: str = IMAGE,
    database: Database,
    catalog: str = "",
    config_map: str = "",
    form: str = "",
    extra_args: Sequence[str] = (),
) -> Json:
    """The part of a pod's spec that applies a contract before the service starts: init container and volumes.

    Every replica runs it; all but the first find nothing to do. Arguments and errors as for ``job_manifest``.
    """
    container, volumes = _container(contract, image, database, catalog, config_map, form, extra_args)
    return {"initContainers": [{**container, "name": "pgslate"}], "volumes": volumes}


def to_yaml(*manifests: Json) -> str:
    """Manifests as one YAML stream, as ``kubectl apply -f -`` takes it."""
    return "---\n".join(
        yaml.dump(manifest, Dumper=_Plain, sort_keys=False, width=110) for manifest in manifests
    )


class _Plain(yaml.SafeDumper):
    """Writes what occurs twice twice, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _container(
    contract: str,
    image: str,
    database: Database,
    catalog: str,
    config_map: str,
    form: str,
    extra_args: Sequence[str],
) -> tuple[Json, list[Json]]:
    args = ["apply", "--contract", contract]
    volumes: list[Json] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[Json] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108  # the container's own
    if config_map:
        volumes.append({"name": "catalog", "configMap": {"name": config_map}})
        mounts.append({"name": "catalog", "mountPath": "/catalog", "readOnly": True})
        catalog = catalog or "/catalog"
    if catalog:
        args += ["--catalog", catalog]
    if form:
        args += ["--form", form]
    container = {
        "name": "pgslate",
        "image": image,
        # the default for a tag `latest` is Always, which an image loaded onto the node doesn't survive
        "imagePullPolicy": "IfNotPresent",
        "args": [*args, *extra_args],
        "env": _environment(database),
        "volumeMounts": mounts,
        "resources": {
            "requests": {"cpu": "50m", "memory": "96Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return container, volumes


def _environment(database: Database) -> list[Json]:
    """libpq's own variables, which is all that pgslate needs. Raises UsageError where no user is given."""
    if not (database.user or database.user_key):
        raise UsageError(
            "the Job has no role to log in as",
            fix="give --user ROLE, or --user-key KEY where the Secret has it",
        )
    prefix = re.sub(r"[^A-Z0-9]", "_", database.service.upper())
    host = database.host or f"$({prefix}_SERVICE_HOST)"
    port = str(database.port) if database.host else f"$({prefix}_SERVICE_PORT)"
    found: list[Json] = [{"name": "PGHOST", "value": host}, {"name": "PGPORT", "value": port}]
    for variable, value, key in (
        ("PGUSER", database.user, database.user_key),
        ("PGDATABASE", database.name, database.name_key),
        ("PGPASSWORD", "", database.password_key),
    ):
        reference = {"valueFrom": {"secretKeyRef": {"name": database.secret, "key": key}}}
        if key or value:
            found.append({"name": variable, **(reference if key else {"value": value})})
    return found


def _pod(volumes: list[Json]) -> Json:
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER_ID,
            "runAsGroup": _USER_ID,
            "fsGroup": _USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
    }


def _labels(contract: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/name": "pgslate",
        "app.kubernetes.io/component": "apply",
        "pgslate.dev/contract": contract,
    }


def _name(name: str) -> str:
    """A name as Kubernetes wants them: lower case, at most 63 characters."""
    wanted = name.lower().replace("_", "-").replace(".", "-")
    if not _NAME.fullmatch(wanted) or len(wanted) > 63:
        raise UsageError(
            f"{name!r} can't be the name of a Job",
            fix="a contract that runs as a Job has a name of letters, digits and dashes, up to 55 of them",
        )
    return wanted
