"""Name the tables your service uses; get exactly the PostgreSQL schema they need, proved, on any server.

    from pgslate import Project, apply, embedded

    users = Project.open("migrations").slice("users")
    with embedded() as target:
        apply(users, target)

Names are imported when they are first used: ``import pgslate`` alone costs a few milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pgslate.catalog.catalog import Catalog
    from pgslate.catalog.migration import Migration
    from pgslate.clones.reaper import reap
    from pgslate.errors import (
        ApplyError,
        CatalogError,
        ClusterAuthError,
        ClusterError,
        CodeMigrationError,
        ConfigError,
        ConnectionLostError,
        DuplicateVersionError,
        EditedMigrationError,
        FormUnavailableError,
        InterruptedRunError,
        KubeconfigError,
        LedgerError,
        LockLostError,
        LockTimeoutError,
        LockVersionError,
        MigrationFailedError,
        MissingExtensionError,
        MissingMigrationError,
        MissingTablesError,
        OutOfOrderError,
        PartitionBlockedError,
        PartlyAppliedError,
        PgslateError,
        PodNotReadyError,
        PrivilegeError,
        ProofError,
        ServerNotReadyError,
        ServiceNotFoundError,
        SqlSyntaxError,
        TargetError,
        UnfinishedMigrationError,
        UnknownTableError,
        UnseenError,
        UsageError,
        VerificationError,
    )
    from pgslate.project.configuration import Config, Contract
    from pgslate.project.project import Project
    from pgslate.slices.slice import Slice
    from pgslate.targets.dsn import connect
    from pgslate.targets.embedded import embedded
    from pgslate.targets.kubernetes import forward, kubernetes
    from pgslate.targets.target import Target
    from pgslate.testing.http_service import serve
    from pgslate.verbs.affected import affected
    from pgslate.verbs.apply import apply
    from pgslate.verbs.clone import clone
    from pgslate.verbs.down import down
    from pgslate.verbs.explore import explore
    from pgslate.verbs.lint import lint
    from pgslate.verbs.lock import lock
    from pgslate.verbs.plan import plan
    from pgslate.verbs.prove import prove
    from pgslate.verbs.snapshot import snapshot
    from pgslate.verbs.status import status
    from pgslate.verbs.up import up
    from pgslate.verbs.verify import VerifyResult, verify
    from pgslate.verbs.why import why

# Where each name lives; `__all__` is these names, sorted.
_HOMES = {
    "ApplyError": "errors",
    "Catalog": "catalog.catalog",
    "CatalogError": "errors",
    "ClusterAuthError": "errors",
    "ClusterError": "errors",
    "CodeMigrationError": "errors",
    "Config": "project.configuration",
    "ConfigError": "errors",
    "ConnectionLostError": "errors",
    "Contract": "project.configuration",
    "DuplicateVersionError": "errors",
    "EditedMigrationError": "errors",
    "FormUnavailableError": "errors",
    "InterruptedRunError": "errors",
    "KubeconfigError": "errors",
    "LedgerError": "errors",
    "LockLostError": "errors",
    "LockTimeoutError": "errors",
    "LockVersionError": "errors",
    "Migration": "catalog.migration",
    "MigrationFailedError": "errors",
    "MissingExtensionError": "errors",
    "MissingMigrationError": "errors",
    "MissingTablesError": "errors",
    "OutOfOrderError": "errors",
    "PartitionBlockedError": "errors",
    "PartlyAppliedError": "errors",
    "PgslateError": "errors",
    "PodNotReadyError": "errors",
    "PrivilegeError": "errors",
    "Project": "project.project",
    "ProofError": "errors",
    "ServerNotReadyError": "errors",
    "ServiceNotFoundError": "errors",
    "Slice": "slices.slice",
    "SqlSyntaxError": "errors",
    "Target": "targets.target",
    "TargetError": "errors",
    "UnfinishedMigrationError": "errors",
    "UnknownTableError": "errors",
    "UnseenError": "errors",
    "UsageError": "errors",
    "VerificationError": "errors",
    "VerifyResult": "verbs.verify",
    "affected": "verbs.affected",
    "apply": "verbs.apply",
    "clone": "verbs.clone",
    "connect": "targets.dsn",
    "down": "verbs.down",
    "embedded": "targets.embedded",
    "explore": "verbs.explore",
    "forward": "targets.kubernetes",
    "kubernetes": "targets.kubernetes",
    "lint": "verbs.lint",
    "lock": "verbs.lock",
    "plan": "verbs.plan",
    "prove": "verbs.prove",
    "reap": "clones.reaper",
    "serve": "testing.http_service",
    "snapshot": "verbs.snapshot",
    "status": "verbs.status",
    "up": "verbs.up",
    "verify": "verbs.verify",
    "why": "verbs.why",
}

__all__ = [
    "ApplyError",
    "Catalog",
    "CatalogError",
    "ClusterAuthError",
    "ClusterError",
    "CodeMigrationError",
    "Config",
    "ConfigError",
    "ConnectionLostError",
    "Contract",
    "DuplicateVersionError",
    "EditedMigrationError",
    "FormUnavailableError",
    "InterruptedRunError",
    "KubeconfigError",
    "LedgerError",
    "LockLostError",
    "LockTimeoutError",
    "LockVersionError",
    "Migration",
    "MigrationFailedError",
    "MissingExtensionError",
    "MissingMigrationError",
    "MissingTablesError",
    "OutOfOrderError",
    "PartitionBlockedError",
    "PartlyAppliedError",
    "PgslateError",
    "PodNotReadyError",
    "PrivilegeError",
    "Project",
    "ProofError",
    "ServerNotReadyError",
    "ServiceNotFoundError",
    "Slice",
    "SqlSyntaxError",
    "Target",
    "TargetError",
    "UnfinishedMigrationError",
    "UnknownTableError",
    "UnseenError",
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
