"""As whom to log in to PostgreSQL: from what was given, the environment, and the pod's own settings."""

from __future__ import annotations

import base64
import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgslate.errors import PrivilegeError
from pgslate.targets.kubernetes.api import Api, NotFoundError, path_of

Json = dict[str, Any]

# the names that images give these settings: Docker's, Bitnami's, Red Hat's
_NAMES = {
    "user": ("POSTGRES_USER", "POSTGRESQL_USERNAME", "POSTGRESQL_USER", "PGUSER"),
    "password": ("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD", "PGPASSWORD"),
    "database": ("POSTGRES_DB", "POSTGRESQL_DATABASE", "PGDATABASE"),
}
# CloudNativePG keeps them in a Secret named after its cluster
_OPERATOR_LABEL = "cnpg.io/cluster"
_OPERATOR_KEYS = {"user": "username", "password": "password", "database": "dbname"}


@dataclass(frozen=True, slots=True, repr=False)
class Setting:
    """A value, and where it came from: ``source`` may be shown, ``value`` not."""

    value: str
    source: str

    def __repr__(self) -> str:
        return f"Setting(from {self.source})"


@dataclass(frozen=True, slots=True)
class Login:
    """User, password (None: none was found) and database."""

    user: Setting
    password: Setting | None
    database: Setting
    hindrances: tuple[str, ...] = ()

    def provenance(self) -> tuple[str, ...]:
        """One line each on where a setting came from; never the password itself."""
        password = f"password from {self.password.source}" if self.password else "no password found"
        return (
            f"user {self.user.value!r} from {self.user.source}",
            password,
            f"database {self.database.value!r} from {self.database.source}",
            *self.hindrances,
        )


def find_login(
    api: Api,
    pod: Json,
    *,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Login:
    """Each setting from the first that has it: the arguments, ``PGUSER`` and its like, the pod's env.

    A source that may not be read (for example a Secret) is left out and listed in ``hindrances``. Raises
    ClusterError where the API server fails.
    """
    hindrances: list[str] = []
    given = {"user": user, "password": password, "database": database}
    found: dict[str, Setting] = {}
    for what, variable in (("user", "PGUSER"), ("password", "PGPASSWORD"), ("database", "PGDATABASE")):
        value = given[what]
        if value is not None:
            found[what] = Setting(value, "what was given")
        elif environ.get(variable):
            found[what] = Setting(environ[variable], f"the environment's {variable}")
    if len(found) < 3:
        read = _Reader(api, pod["metadata"]["namespace"], hindrances)
        for what, setting in _of_pod(read, pod, frozenset(_NAMES) - found.keys()):
            found.setdefault(what, setting)
    login_user = found.get("user") or Setting("postgres", "PostgreSQL's default")
    return Login(
        user=login_user,
        password=found.get("password"),
        database=found.get("database") or Setting(login_user.value, "PostgreSQL's default, the user's name"),
        hindrances=tuple(hindrances),
    )


class _Reader:
    """Reads Secrets and ConfigMaps, each once; what may not be read becomes a hindrance."""

    def __init__(self, api: Api, namespace: str, hindrances: list[str]) -> None:
        self._api, self._namespace, self._hindrances = api, namespace, hindrances
        self._known: dict[tuple[str, str], dict[str, str]] = {}

    def values(self, kind: str, name: str) -> dict[str, str]:
        """All of a ``secrets`` or ``configmaps`` object, decoded; nothing where it can't be had."""
        if (kind, name) not in self._known:
            self._known[kind, name] = self._read(kind, name)
        return self._known[kind, name]

    def _read(self, kind: str, name: str) -> dict[str, str]:
        try:
            data = self._api.get(path_of(kind, self._namespace, name)).get("data") or {}
        except PrivilegeError as error:
            self._hindrances.append(error.message)
            return {}
        except NotFoundError:
            self._hindrances.append(f"the pod refers to {kind[:-1]} {name!r}, which doesn't exist")
            return {}
        if kind == "configmaps":
            return dict(data)
        return {key: base64.b64decode(value).decode(errors="replace") for key, value in data.items()}


def _of_pod(read: _Reader, pod: Json, wanted: frozenset[str]) -> Iterator[tuple[str, Setting]]:
    name = pod["metadata"]["name"]
    for container in (pod.get("spec") or {}).get("containers") or ():
        where = f"container {container['name']} of pod {name}"
        for what in sorted(wanted):
            for variable in _NAMES[what]:
                if setting := _variable(read, pod, container, variable, where):
                    yield what, setting
                    break
    if cluster := (pod["metadata"].get("labels") or {}).get(_OPERATOR_LABEL):
        secret = f"{cluster}-app"
        values = read.values("secrets", secret)
        for what, key in _OPERATOR_KEYS.items():
            if what in wanted and key in values:
                yield what, Setting(values[key], f"{key} in secret {secret!r}")


def _variable(read: _Reader, pod: Json, container: Json, variable: str, where: str) -> Setting | None:
    """One variable of a container: its value, the reference it has, or the file that ``_FILE`` names."""
    for entry in container.get("env") or ():
        if entry["name"] == variable and (setting := _value(read, entry, variable, where)):
            return setting
        file = entry.get("value") if entry["name"] == f"{variable}_FILE" else None
        if file and (setting := _mounted(read, pod, container, file, f"{variable}_FILE")):
            return setting
    for source in container.get("envFrom") or ():
        for kind, ref in (("secrets", "secretRef"), ("configmaps", "configMapRef")):
            if reference := source.get(ref):
                key = variable.removeprefix(source.get("prefix") or "")
                values = read.values(kind, reference["name"])
                if key in values and (source.get("prefix") or "") + key == variable:
                    return Setting(
                        values[key], f"{key} in {kind[:-1]} {reference['name']!r}, envFrom of {where}"
                    )
    return None


def _value(read: _Reader, entry: Json, variable: str, where: str) -> Setting | None:
    if entry.get("value"):
        return Setting(entry["value"], f"{variable} of {where}")
    reference = entry.get("valueFrom") or {}
    for kind, ref in (("secrets", "secretKeyRef"), ("configmaps", "configMapKeyRef")):
        if source := reference.get(ref):
            values = read.values(kind, source["name"])
            if source["key"] in values:
                return Setting(
                    values[source["key"]],
                    f"{source['key']} in {kind[:-1]} {source['name']!r}, {variable} of {where}",
                )
    return None


def _mounted(read: _Reader, pod: Json, container: Json, file: str, variable: str) -> Setting | None:
    """A file of the container, where a Secret or ConfigMap is mounted there."""
    volumes = {volume["name"]: volume for volume in (pod.get("spec") or {}).get("volumes") or ()}
    for mount in container.get("volumeMounts") or ():
        volume = volumes.get(mount["name"]) or {}
        for kind, field, name_field in (
            ("secrets", "secret", "secretName"),
            ("configmaps", "configMap", "name"),
        ):
            if field not in volume:
                continue
            keys = {item["path"]: item["key"] for item in volume[field].get("items") or ()}
            if mount.get("subPath"):
                path = mount["subPath"] if posixpath.normpath(mount["mountPath"]) == file else None
            else:
                path = posixpath.relpath(file, mount["mountPath"])
            if path is None or path.startswith(".."):
                continue
            values = read.values(kind, volume[field][name_field])
            key = keys.get(path, path)
            if key in values:
                source = f"{key} in {kind[:-1]} {volume[field][name_field]!r}, mounted for {variable}"
                return Setting(values[key].rstrip("\n"), source)
    return None
