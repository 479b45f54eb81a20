"""Targets: where a database is. An embedded server, a DSN, or a service in a Kubernetes namespace.

``Target`` and ``wait_for`` are imported when they are asked for: they need psycopg, and ``--help`` doesn't.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.targets.dsn import wait_for
    from pgslate.targets.target import Target

__all__ = ["Target", "wait_for"]


def __getattr__(name: str) -> Any:
    if name == "Target":
        from pgslate.targets.target import Target

        return Target
    if name == "wait_for":
        from pgslate.targets.dsn import wait_for

        return wait_for
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
