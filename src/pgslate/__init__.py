"""Name the tables your service uses; get exactly the PostgreSQL schema they need, proved, on any server.

    from pgslate import Catalog, apply, embedded

    slice = Catalog.load("migrations").slice("users")
    with embedded() as target:
        apply(slice, target)

Names are imported when they are first used: ``import pgslate`` alone costs a few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.applying.plan import plan
    from pgslate.applying.run import apply
    from pgslate.applying.status import status
    from pgslate.catalog import Catalog, Migration
    from pgslate.checking import verify
    from pgslate.clones.lending import clone
    from pgslate.clones.reaper import reap
    from pgslate.clones.serving import serve
    from pgslate.config import Config, Contract
    from pgslate.errors import (
        ApplyError,
        CatalogError,
        ConfigError,
        PgslateError,
        ProofError,
        TargetError,
        UsageError,
        VerificationError,
    )
    from pgslate.exploring import explore
    from pgslate.linting import lint
    from pgslate.locking import affected, lock
    from pgslate.project import Project, Selection
    from pgslate.proving import prove, snapshot
    from pgslate.provisioning import provision
    from pgslate.reasons import why
    from pgslate.slicing.slice import Slice
    from pgslate.standing import down, up
    from pgslate.targets.dsn import connect
    from pgslate.targets.embedded import embedded
    from pgslate.targets.kubernetes import forward, kubernetes
    from pgslate.targets.target import Target
    from pgslate.verifying import VerifyResult

# Where each name lives; `__all__` is these names, sorted.
_HOMES = {
    "ApplyError": "errors",
    "Catalog": "catalog",
    "CatalogError": "errors",
    "Config": "config",
    "ConfigError": "errors",
    "Contract": "config",
    "Migration": "catalog",
    "PgslateError": "errors",
    "Project": "project",
    "ProofError": "errors",
    "Selection": "project",
    "Slice": "slicing.slice",
    "Target": "targets.target",
    "TargetError": "errors",
    "UsageError": "errors",
    "VerificationError": "errors",
    "VerifyResult": "verifying",
    "affected": "locking",
    "apply": "applying.run",
    "clone": "clones.lending",
    "connect": "targets.dsn",
    "down": "standing",
    "embedded": "targets.embedded",
    "explore": "exploring",
    "forward": "targets.kubernetes",
    "kubernetes": "targets.kubernetes",
    "lint": "linting",
    "lock": "locking",
    "plan": "applying.plan",
    "prove": "proving",
    "provision": "provisioning",
    "reap": "clones.reaper",
    "serve": "clones.serving",
    "snapshot": "proving",
    "status": "applying.status",
    "up": "standing",
    "verify": "checking",
    "why": "reasons",
}

__all__ = [
    "ApplyError",
    "Catalog",
    "CatalogError",
    "Config",
    "ConfigError",
    "Contract",
    "Migration",
    "PgslateError",
    "Project",
    "ProofError",
    "Selection",
    "Slice",
    "Target",
    "TargetError",
    "UsageError",
    "VerificationError",
    "VerifyResult",
    "affected",
    "apply",
    "clone",
    "connect",
    "down",
    "embedded",
    "explore",
    "forward",
    "kubernetes",
    "lint",
    "lock",
    "plan",
    "prove",
    "provision",
    "reap",
    "serve",
    "snapshot",
    "status",
    "up",
    "verify",
    "why",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
