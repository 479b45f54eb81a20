"""Environments for end-to-end tests: a database with a service's contract, and Data Storage over it.

with LocalEnvironment("gateway") as environment:
    with AuditClient(environment.url) as client:
        ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datastorage.e2e.environment import Environment, environment_for

if TYPE_CHECKING:
    from datastorage.e2e.kubernetes import KubernetesEnvironment
    from datastorage.e2e.local import LocalEnvironment

__all__ = ["Environment", "KubernetesEnvironment", "LocalEnvironment", "environment_for"]

_HOMES = {"KubernetesEnvironment": "kubernetes", "LocalEnvironment": "local"}


def __getattr__(name: str) -> Any:
    # Each has dependencies of its own: an embedded server, a client of Kubernetes.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
