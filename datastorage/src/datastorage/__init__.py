"""The Data Storage service, which keeps the audit events of seven services.

And the client that records them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datastorage.client import AsyncAuditClient, AuditClient
    from datastorage.events import AuditEvent

__all__ = ["AsyncAuditClient", "AuditClient", "AuditEvent"]

_HOMES = {"AsyncAuditClient": "client", "AuditClient": "client", "AuditEvent": "events"}


def __getattr__(name: str) -> Any:
    # Imported when first used: the migrations and contracts are read without the client's dependencies.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
