"""``partitions``: which partitions a project's policies ask for, and making those that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgslate.errors import UsageError
from pgslate.partitions import ensure as ensuring
from pgslate.partitions.coverage import Survey
from pgslate.partitions.ensure import Ensured
from pgslate.partitions.policy import PartitionPolicy
from pgslate.project.configuration import suggestion
from pgslate.project.project import Project
from pgslate.targets.target import Target


@dataclass(frozen=True, slots=True)
class PartitionsListed:
    """How each table with a policy stands against it."""

    surveys: tuple[Survey, ...]

    @property
    def ok(self) -> bool:
        """Whether no table lacks a partition."""
        return all(each.ok for each in self.surveys)

    def as_json(self) -> dict[str, Any]:
        """``ok`` and ``tables``."""
        return {"ok": self.ok, "tables": [each.as_json() for each in self.surveys]}


@dataclass(frozen=True, slots=True)
class PartitionsEnsured:
    """What was made for each table with a policy."""

    tables: tuple[Ensured, ...]

    def as_json(self) -> dict[str, Any]:
        """``tables``."""
        return {"tables": [each.as_json() for each in self.tables]}


def list_partitions(
    project: Project, target: Target, *, tables: Sequence[str] = (), as_of: datetime | None = None
) -> PartitionsListed:
    """Compare partitions with the project's policies; changes nothing.

    Args:
        project: Whose policies.
        target: The database.
        tables: Tables with a policy, or names of partitions as a policy would name them; none for all.
        as_of: The moment (UTC) that policies count from; by default the server's clock.

    Raises:
        UsageError: No policy is of a table of that name, or a table isn't partitioned by a range of time.
        UnknownTableError: The database has no such table.
    """
    wanted = policies_for(project, tables)
    with target.connect(autocommit=True) as connection:
        surveys = (ensuring.survey(connection, policy, as_of=as_of, also=also) for policy, also in wanted)
        return PartitionsListed(tuple(surveys))


def ensure_partitions(
    project: Project,
    target: Target,
    *,
    tables: Sequence[str] = (),
    as_of: datetime | None = None,
    lock_timeout: float = 30.0,
) -> PartitionsEnsured:
    """Make the partitions that the project's policies ask for, and those in ``tables``.

    Args:
        project: Whose policies.
        target: The database.
        tables: Tables with a policy, or names of partitions as a policy would name them; none for all.
        as_of: The moment (UTC) that policies count from; by default the server's clock.
        lock_timeout: Seconds to wait for locks that others hold.

    Raises:
        PartitionBlockedError: Something is in the way of a partition.
        LockTimeoutError: Others hold a lock.
        UsageError: As ``list_partitions`` does; as UnknownTableError.
    """
    done = []
    with target.connect(autocommit=True) as connection:
        for policy, also in policies_for(project, tables):
            done.append(ensuring.ensure(connection, policy, as_of=as_of, also=also, timeout=lock_timeout))
    return PartitionsEnsured(tuple(done))


def policies_for(project: Project, tables: Sequence[str]) -> list[tuple[PartitionPolicy, tuple[str, ...]]]:
    """The policies of the tables, or all, each with the partitions that were asked for by name.

    Raises UsageError where there is no such policy.
    """
    policies = project.policies
    if not policies:
        raise UsageError("no table has a partition policy", fix="add [partitions.TABLE] to pgslate.toml")
    wanted: dict[str, list[str]] = {} if tables else {table: [] for table in policies}
    for name in tables:
        table = next((t for t in policies if name in (t, t.rpartition(".")[2], f"public.{t}")), None)
        if table is None:
            table = next((t for t, policy in policies.items() if policy.window_of(name) is not None), None)
            if table is None:
                raise UsageError(f"{name!r} has no partition policy", fix=suggestion(name, policies))
            wanted.setdefault(table, []).append(name)
        else:
            wanted.setdefault(table, [])
    return [(policies[table], tuple(also)) for table, also in wanted.items()]
