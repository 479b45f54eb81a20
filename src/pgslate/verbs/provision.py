"""Provisioning: what a slice asks of a database beside its migrations: a prelude, extensions, partitions.

These are the library's functions with what the project's configuration says filled in.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg

from pgslate.catalog.prelude import run_prelude
from pgslate.errors import PrivilegeError
from pgslate.execution.progress import Progress
from pgslate.execution.verification import VerifyResult, require
from pgslate.partitions.ensure import ensure
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.project.project import Project, Selection
from pgslate.schema.identifiers import qualified
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.trace.tracer import create_scratch, drop_scratch
from pgslate.verbs.apply import LOCK_TIMEOUT, Applied, apply
from pgslate.verbs.verify import verify

_EVERYTHING = Selection()


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was done to a database: the run of migrations, and the ``partitions`` that were made, by name."""

    applied: Applied
    partitions: tuple[str, ...] = ()

    @property
    def nothing_to_do(self) -> bool:
        return self.applied.nothing_to_do and not self.partitions


def provision(
    project: Project,
    chosen: Slice,
    target: Target,
    *,
    selection: Selection = _EVERYTHING,
    as_of: datetime | None = None,
    timeout: float | None = None,
    allow_out_of_order: bool = False,
    accept_edited: Sequence[str] = (),
    assume_applied: Sequence[str] = (),
    progress: Progress | None = None,
) -> Provisioned:
    """Apply the slice, verify what is there, and make the partitions that the policies and the selection ask
    for.

    Where nothing is pending, that is verified, too, since somebody may have changed it. ``timeout`` is
    in seconds, for locks that others hold. Raises what ``apply`` and ``partitions.ensure`` raise, and
    VerificationError.
    """
    limit = timeout or LOCK_TIMEOUT
    applied = apply(
        chosen,
        target,
        lock_timeout=limit,
        allow_out_of_order=allow_out_of_order,
        accept_edited=accept_edited,
        assume_applied=assume_applied,
        progress=progress,
        definitions=lambda: _definitions(project, chosen, target),
    )
    if not applied.verified:
        require(verify(chosen, target))
    made: list[str] = []
    policies = policies_within(project, chosen)
    if policies:
        with target.connect(autocommit=True) as connection:
            for policy in policies:
                also = selection.partitions.get(policy.table, ())
                made += ensure(connection, policy, as_of=as_of, also=also, timeout=limit).made
    return Provisioned(applied, tuple(made))


def check(
    project: Project,
    chosen: Slice,
    target: Target,
    *,
    selection: Selection = _EVERYTHING,
    as_of: datetime | None = None,
) -> VerifyResult:
    """How the database differs from what the slice and the partition policies ask for; only reads."""
    policies = policies_within(project, chosen)
    windows = {policy.table: _windows(policy, selection) for policy in policies}
    return verify(chosen, target, policies=policies, windows=windows, as_of=as_of)


def prepare(project: Project, target: Target) -> None:
    """Run the prelude, in an empty database that nobody else prepares."""
    if project.prelude:
        with target.connect(settings=project.catalog.settings, autocommit=True) as connection:
            run_prelude(connection, project.prelude)


@contextmanager
def scratch_database(target: Target) -> Iterator[Target]:
    """An empty database on the target's server, dropped at the end: to trace in where nothing is embedded.

    Raises PrivilegeError where the role may not make one.
    """
    name = f"pgslate_scratch_{uuid.uuid4().hex[:12]}"
    with target.connect(autocommit=True) as connection:
        try:
            create_scratch(connection, name)
        except psycopg.errors.InsufficientPrivilege as error:
            raise PrivilegeError(
                f"no scratch database can be made on {target.label}: {error.diag.message_primary}",
                fix="pip install 'pgslate[embedded]', commit a pgslate.lock, or give the role CREATEDB",
                right="CREATEDB",
                on=target.label,
            ) from None
        try:
            yield target.with_dbname(name)
        finally:
            drop_scratch(connection, name)


def policies_within(project: Project, chosen: Slice) -> tuple[PartitionPolicy, ...]:
    """The partition policies of tables that the slice has."""
    units = (chosen.trace.units[unit] for unit in chosen.required)
    tables = [qualified(unit.name) for unit in units if unit.kind == "table"]
    return tuple(p for p in project.policies.values() if any(p.is_of(*table) for table in tables))


def _windows(policy: PartitionPolicy, selection: Selection) -> tuple[Window, ...]:
    named = (policy.window_of(name) for name in selection.partitions.get(policy.table, ()))
    return tuple(window for window in named if window is not None)


def _definitions(project: Project, chosen: Slice, target: Target) -> list[str]:
    """The final DDL of a slice in the objects form, for a server of the target's version."""
    from pgslate.dump.kept_snapshot import definitions_of

    with target.connect() as connection:
        major = connection.info.server_version // 10000
    return [definitions_of(chosen, prelude=project.prelude, major=major)]
