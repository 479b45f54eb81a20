"""The objects of the stand-in, with versions and a history to watch."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

#: plural -> (group and version, kind, namespaced)
KINDS: dict[str, tuple[str, str, bool]] = {
    "namespaces": ("v1", "Namespace", False),
    "pods": ("v1", "Pod", True),
    "services": ("v1", "Service", True),
    "secrets": ("v1", "Secret", True),
    "configmaps": ("v1", "ConfigMap", True),
    "events": ("v1", "Event", True),
    "serviceaccounts": ("v1", "ServiceAccount", True),
    "deployments": ("apps/v1", "Deployment", True),
    "jobs": ("batch/v1", "Job", True),
    "endpointslices": ("discovery.k8s.io/v1", "EndpointSlice", True),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", True),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy", True),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One step of the history."""

    version: int
    kind: str  # ADDED, MODIFIED, DELETED
    plural: str
    object: Json


class Store:
    """Objects by plural, namespace and name. Every change wakes those who watch."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._objects: dict[tuple[str, str, str], Json] = {}
        self._versions = itertools.count(100)
        self._version = 99
        self.history: list[Change] = []
        self.oldest = 0  # versions before this one are gone: 410

    @property
    def version(self) -> int:
        """Of the last change."""
        return self._version

    def get(self, plural: str, namespace: str, name: str) -> Json | None:
        """A copy of one object."""
        with self.changed:
            return copy.deepcopy(self._objects.get((plural, namespace, name)))

    def list(self, plural: str, namespace: str = "") -> list[Json]:
        """Copies of the objects of a namespace, or of all."""
        with self.changed:
            return [
                copy.deepcopy(value)
                for (kind, where, _), value in sorted(self._objects.items(), key=lambda item: item[0])
                if kind == plural and (not namespace or where == namespace)
            ]

    def put(self, plural: str, value: Json) -> Json:
        """Make or replace an object."""
        with self.changed:
            metadata = value.setdefault("metadata", {})
            namespace = metadata.get("namespace", "") if KINDS[plural][2] else ""
            key = (plural, namespace, metadata["name"])
            old = self._objects.get(key)
            metadata["uid"] = (old or value)["metadata"].get(
                "uid"
            ) or f"00000000-0000-4000-8000-{self._version:012}"
            metadata.setdefault(
                "creationTimestamp", f"2026-01-01T00:{self._version // 60 % 60:02}:{self._version % 60:02}Z"
            )
            group_version, kind, _ = KINDS[plural]
            value.setdefault("apiVersion", group_version)
            value.setdefault("kind", kind)
            self._note("MODIFIED" if old else "ADDED", plural, value)
            self._objects[key] = value
            return copy.deepcopy(value)

    def delete(self, plural: str, namespace: str, name: str) -> Json | None:
        """Take an object away; with a namespace goes all that is in it."""
        with self.changed:
            value = self._objects.pop((plural, namespace, name), None)
            if value is None:
                return None
            self._note("DELETED", plural, value)
            return copy.deepcopy(value)

    def _note(self, kind: str, plural: str, value: Json) -> None:
        self._version = next(self._versions)
        value["metadata"]["resourceVersion"] = str(self._version)
        self.history.append(Change(self._version, kind, plural, copy.deepcopy(value)))
        self.changed.notify_all()

    def since(self, version: int) -> tuple[Change, ...]:
        """What came after a version."""
        with self.changed:
            return tuple(change for change in self.history if change.version > version)

    def forget_history(self) -> None:
        """From now on, a watch from any version until now is answered with 410."""
        with self.changed:
            self._version = next(self._versions)
            self.oldest = self._version


def selected(value: Json, labels: str, fields: str) -> bool:
    """Whether an object fits a label selector and a field selector; equality is all they know."""
    have = value["metadata"].get("labels") or {}
    for key, equal, wanted in _terms(labels):
        if (have.get(key) == wanted) is not equal:
            return False
    for key, equal, wanted in _terms(fields):
        found: Any = value
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if (str(found or "") == wanted) is not equal:
            return False
    return True


def _terms(selector: str) -> Iterator[tuple[str, bool, str]]:
    for term in filter(None, selector.split(",")):
        if "!=" in term:
            key, _, value = term.partition("!=")
            yield key, False, value
        else:
            key, _, value = term.replace("==", "=").partition("=")
            yield key, True, value
