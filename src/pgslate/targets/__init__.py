"""Targets: where a database is. An embedded server, a DSN, or a service in a Kubernetes namespace.

``Target`` and ``connect`` are imported when they are asked for: they need psycopg, which ``--help`` does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.targets.dsn import connect
    from pgslate.targets.target import Target

__all__ = ["Target", "connect"]


def __getattr__(name: str) -> Any:
    if name == "Target":
        from pgslate.targets.target import Target

        return Target
    if name == "connect":
        from pgslate.targets.dsn import connect

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
