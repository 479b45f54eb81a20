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
    from pgslate.clones.reaper import ReapResult
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
        Place,
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
    from pgslate.execution.executor import AppliedMigration
    from pgslate.execution.ledger import LedgerRow, LedgerRun
    from pgslate.execution.progress import Progress
    from pgslate.execution.slice_run import prepare
    from pgslate.lint_rules.finding import Finding, Findings
    from pgslate.partitions.coverage import Survey
    from pgslate.partitions.ensure import Ensured
    from pgslate.partitions.policy import PartitionPolicy
    from pgslate.project.configuration import Config, Contract
    from pgslate.project.project import Project
    from pgslate.schema.difference import Difference
    from pgslate.slices.lockfile import Lock
    from pgslate.slices.proof import Proof
    from pgslate.slices.reasons import StatementReason
    from pgslate.slices.slice import Slice
    from pgslate.targets.dsn import wait_for
    from pgslate.targets.embedded import embedded
    from pgslate.targets.kubernetes import kubernetes
    from pgslate.targets.kubernetes.forwarder import Forwarder
    from pgslate.targets.target import Target
    from pgslate.verbs.adopt import Adopted, adopt
    from pgslate.verbs.affected import AffectedContract, AffectedResult, affected
    from pgslate.verbs.apply import ApplyResult, apply
    from pgslate.verbs.clone import CloneResult, clone
    from pgslate.verbs.down import DownResult, down, servers_up
    from pgslate.verbs.explore import ExploreResult, explore
    from pgslate.verbs.forward import forward
    from pgslate.verbs.lint import lint
    from pgslate.verbs.lock import LockCheck, LockResult, check_lock, lock
    from pgslate.verbs.partitions import (
        PartitionsEnsured,
        PartitionsListed,
        ensure_partitions,
        list_partitions,
    )
    from pgslate.verbs.plan import ExcludedMigration, PlannedMigration, PlanResult, plan
    from pgslate.verbs.prove import ProveResult, prove
    from pgslate.verbs.reap import reap
    from pgslate.verbs.serve import serve
    from pgslate.verbs.snapshot import SnapshotResult, snapshot
    from pgslate.verbs.status import StatusResult, status
    from pgslate.verbs.up import UpResult, up
    from pgslate.verbs.verify import VerifyResult, verify
    from pgslate.verbs.why import (
        MigrationReason,
        ObjectReason,
        RelationSize,
        TableUse,
        WhyMigration,
        WhyRelations,
        WhyTable,
        why,
    )

# Where each name lives; `__all__` is these names, sorted.
_HOMES = {
    "Adopted": "verbs.adopt",
    "AffectedContract": "verbs.affected",
    "AffectedResult": "verbs.affected",
    "AppliedMigration": "execution.executor",
    "ApplyError": "errors",
    "ApplyResult": "verbs.apply",
    "Catalog": "catalog.catalog",
    "CatalogError": "errors",
    "CloneResult": "verbs.clone",
    "ClusterAuthError": "errors",
    "ClusterError": "errors",
    "CodeMigrationError": "errors",
    "Config": "project.configuration",
    "ConfigError": "errors",
    "ConnectionLostError": "errors",
    "Contract": "project.configuration",
    "Difference": "schema.difference",
    "DownResult": "verbs.down",
    "DuplicateVersionError": "errors",
    "EditedMigrationError": "errors",
    "Ensured": "partitions.ensure",
    "ExcludedMigration": "verbs.plan",
    "ExploreResult": "verbs.explore",
    "Finding": "lint_rules.finding",
    "Findings": "lint_rules.finding",
    "FormUnavailableError": "errors",
    "Forwarder": "targets.kubernetes.forwarder",
    "InterruptedRunError": "errors",
    "KubeconfigError": "errors",
    "LedgerError": "errors",
    "LedgerRow": "execution.ledger",
    "LedgerRun": "execution.ledger",
    "Lock": "slices.lockfile",
    "LockCheck": "verbs.lock",
    "LockLostError": "errors",
    "LockResult": "verbs.lock",
    "LockTimeoutError": "errors",
    "LockVersionError": "errors",
    "Migration": "catalog.migration",
    "MigrationFailedError": "errors",
    "MigrationReason": "verbs.why",
    "MissingExtensionError": "errors",
    "MissingMigrationError": "errors",
    "MissingTablesError": "errors",
    "ObjectReason": "verbs.why",
    "OutOfOrderError": "errors",
    "PartitionBlockedError": "errors",
    "PartitionPolicy": "partitions.policy",
    "PartitionsEnsured": "verbs.partitions",
    "PartitionsListed": "verbs.partitions",
    "PartlyAppliedError": "errors",
    "PgslateError": "errors",
    "Place": "errors",
    "PlanResult": "verbs.plan",
    "PlannedMigration": "verbs.plan",
    "PodNotReadyError": "errors",
    "PrivilegeError": "errors",
    "Progress": "execution.progress",
    "Project": "project.project",
    "Proof": "slices.proof",
    "ProofError": "errors",
    "ProveResult": "verbs.prove",
    "ReapResult": "clones.reaper",
    "RelationSize": "verbs.why",
    "ServerNotReadyError": "errors",
    "ServiceNotFoundError": "errors",
    "Slice": "slices.slice",
    "SnapshotResult": "verbs.snapshot",
    "SqlSyntaxError": "errors",
    "StatementReason": "slices.reasons",
    "StatusResult": "verbs.status",
    "Survey": "partitions.coverage",
    "TableUse": "verbs.why",
    "Target": "targets.target",
    "TargetError": "errors",
    "UnfinishedMigrationError": "errors",
    "UnknownTableError": "errors",
    "UnseenError": "errors",
    "UpResult": "verbs.up",
    "UsageError": "errors",
    "VerificationError": "errors",
    "VerifyResult": "verbs.verify",
    "WhyMigration": "verbs.why",
    "WhyRelations": "verbs.why",
    "WhyTable": "verbs.why",
    "adopt": "verbs.adopt",
    "affected": "verbs.affected",
    "apply": "verbs.apply",
    "check_lock": "verbs.lock",
    "clone": "verbs.clone",
    "down": "verbs.down",
    "embedded": "targets.embedded",
    "ensure_partitions": "verbs.partitions",
    "explore": "verbs.explore",
    "forward": "verbs.forward",
    "kubernetes": "targets.kubernetes",
    "lint": "verbs.lint",
    "list_partitions": "verbs.partitions",
    "lock": "verbs.lock",
    "plan": "verbs.plan",
    "prepare": "execution.slice_run",
    "prove": "verbs.prove",
    "reap": "verbs.reap",
    "serve": "verbs.serve",
    "servers_up": "verbs.down",
    "snapshot": "verbs.snapshot",
    "status": "verbs.status",
    "up": "verbs.up",
    "verify": "verbs.verify",
    "wait_for": "targets.dsn",
    "why": "verbs.why",
}

__all__ = [
    "Adopted",
    "AffectedContract",
    "AffectedResult",
    "AppliedMigration",
    "ApplyError",
    "ApplyResult",
    "Catalog",
    "CatalogError",
    "CloneResult",
    "ClusterAuthError",
    "ClusterError",
    "CodeMigrationError",
    "Config",
    "ConfigError",
    "ConnectionLostError",
    "Contract",
    "Difference",
    "DownResult",
    "DuplicateVersionError",
    "EditedMigrationError",
    "Ensured",
    "ExcludedMigration",
    "ExploreResult",
    "Finding",
    "Findings",
    "FormUnavailableError",
    "Forwarder",
    "InterruptedRunError",
    "KubeconfigError",
    "LedgerError",
    "LedgerRow",
    "LedgerRun",
    "Lock",
    "LockCheck",
    "LockLostError",
    "LockResult",
    "LockTimeoutError",
    "LockVersionError",
    "Migration",
    "MigrationFailedError",
    "MigrationReason",
    "MissingExtensionError",
    "MissingMigrationError",
    "MissingTablesError",
    "ObjectReason",
    "OutOfOrderError",
    "PartitionBlockedError",
    "PartitionPolicy",
    "PartitionsEnsured",
    "PartitionsListed",
    "PartlyAppliedError",
    "PgslateError",
    "Place",
    "PlanResult",
    "PlannedMigration",
    "PodNotReadyError",
    "PrivilegeError",
    "Progress",
    "Project",
    "Proof",
    "ProofError",
    "ProveResult",
    "ReapResult",
    "RelationSize",
    "ServerNotReadyError",
    "ServiceNotFoundError",
    "Slice",
    "SnapshotResult",
    "SqlSyntaxError",
    "StatementReason",
    "StatusResult",
    "Survey",
    "TableUse",
    "Target",
    "TargetError",
    "UnfinishedMigrationError",
    "UnknownTableError",
    "UnseenError",
    "UpResult",
    "UsageError",
    "VerificationError",
    "VerifyResult",
    "WhyMigration",
    "WhyRelations",
    "WhyTable",
    "adopt",
    "affected",
    "apply",
    "check_lock",
    "clone",
    "down",
    "embedded",
    "ensure_partitions",
    "explore",
    "forward",
    "kubernetes",
    "lint",
    "list_partitions",
    "lock",
    "plan",
    "prepare",
    "prove",
    "reap",
    "serve",
    "servers_up",
    "snapshot",
    "status",
    "up",
    "verify",
    "wait_for",
    "why",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
