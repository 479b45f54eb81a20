"""``adopt``: take over a database that another migration tool has migrated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from pgslate.catalog.migration import Migration
from pgslate.errors import LedgerError, UsageError, VerificationError
from pgslate.execution.adoption import Found, claims
from pgslate.execution.connection import connected, read_ledger
from pgslate.execution.slice_run import LOCK_TIMEOUT, run
from pgslate.plain_text import counted
from pgslate.project.project import Project
from pgslate.slices.slice import Slice, whole
from pgslate.targets.target import Target
from pgslate.verbs.verify import verify_objects


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was taken over from another tool.

    ``tool`` is its title, ``table`` where it keeps what it applied; ``migrations`` were verified and are now
    in pgslate's ledger; ``pending`` are the others of the catalog.
    """

    tool: str
    table: str
    migrations: tuple[Migration, ...]
    pending: tuple[Migration, ...]

    def as_json(self) -> dict[str, Any]:
        """``tool``, ``table``, ``adopted: [{version, file}]`` and ``pending: [{version, file}]``."""
        return {
            "tool": self.tool,
            "table": self.table,
            "adopted": [{"version": m.version, "file": m.file} for m in self.migrations],
            "pending": [{"version": m.version, "file": m.file} for m in self.pending],
        }


def adopt(
    project: Project, target: Target, *, tool: str | None = None, lock_timeout: float = LOCK_TIMEOUT
) -> Adopted:
    """Read what another migration tool applied, verify that it is there, and record it in pgslate's ledger.

    Nothing of the catalog is run, and the tool's own table stays as it is.

    Args:
        project: The catalog whose migrations the tool applied.
        target: The database.
        tool: The tool's name, or its table, where the database has the tables of several.
        lock_timeout: Seconds to wait for another run.

    Returns:
        What was recorded, and what is pending.

    Raises:
        UsageError: No tool's table is there, or several are and ``tool`` doesn't say which.
        LedgerError: pgslate's ledger has rows already, or the tool's table names a migration that failed, was
            edited, or isn't in the catalog.
        VerificationError: The database differs from what the applied migrations make.
        ServerNotReadyError: There is no connection.
    """
    catalog = project.catalog
    with connected(target, settings=catalog.settings) as connection:
        ledger, _ = read_ledger(connection)
        if not ledger.is_empty:
            raise LedgerError(
                "pgslate's ledger has rows already: there is nothing to adopt",
                fix="see pgslate status; pgslate apply --assume-applied FILE records single files",
            )
        found = _chosen(claims(connection, catalog), tool)
        _check(found)
        applied = found.claim.migrations
        slice_ = _slice_of(project, applied)
        _verify(slice_, connection, found)
        run(
            slice_,
            target,
            connection,
            lock_timeout=lock_timeout,
            assume_applied=[m.version for m in applied],
            adopted_from=found.claim.tool,
        )
    return Adopted(found.claim.tool, found.table, applied, tuple(m for m in catalog if m not in applied))


def _chosen(found: Sequence[Found], tool: str | None) -> Found:
    if tool is not None:
        named = [each for each in found if tool in (each.tool, each.table)]
    else:
        named = [each for each in found if each.claim.migrations] or list(found)
    if len(named) == 1:
        return named[0]
    tables = ", ".join(f"{each.tool} ({each.table})" for each in named or found)
    if named:
        raise UsageError(f"several tools keep a table here: {tables}", fix="say which: --tool NAME, or TABLE")
    if found:
        raise UsageError(f"there is no table of {tool} here; there are: {tables}", fix="give one of these")
    raise UsageError(
        "no table of a migration tool is here that has rows, and that the role may read",
        fix="connect as a role that may read it; or record files: pgslate apply --assume-applied FILE",
    )


def _check(found: Found) -> None:
    """Raise LedgerError for failed, edited and unknown migrations, or where nothing is applied."""
    troubles = found.claim.troubles
    if troubles:
        said = "".join(f"\n  {trouble}" for trouble in troubles)
        raise LedgerError(
            f"{found.table} can't be adopted: {counted(len(troubles), 'row')}{said}",
            fix=f"put it right with {found.claim.tool}, or in the catalog, then run again",
        )
    if not found.claim.migrations:
        raise LedgerError(
            f"{found.table} says that no migration of the catalog is applied",
            fix="see that --catalog is the catalog of this database",
        )


def _slice_of(project: Project, applied: tuple[Migration, ...]) -> Slice:
    """The slice of just these migrations: what they make is what should be there, whatever comes later."""
    catalog = project.catalog
    if len(applied) < len(catalog):
        bare = replace(project.config, contracts={}, bundles={}, partitions={})
        project = replace(project, catalog=replace(catalog, migrations=applied), config=bare)
    return replace(whole(project.catalog, project.trace), allow=project.config.allow)


def _verify(slice_: Slice, connection: psycopg.Connection[Any], found: Found) -> None:
    result = verify_objects(slice_, connection)
    if not result.ok:
        said = "\n".join(f"  {each}" for each in result.differences[:20])
        raise VerificationError(
            f"{found.table} says that {found.claim.summary} is applied, but"
            f" {counted(len(result.differences), 'object')} of it is not as it should be:\n{said}",
            fix=result.differences[0].fix,
            differences=result.differences,
        )
