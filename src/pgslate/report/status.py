"""`status` for people: what is applied, pending, left out, edited, lost, cut off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgslate.plain_text import aligned, counted

if TYPE_CHECKING:
    from pgslate.execution.ledger import LedgerRow
    from pgslate.verbs.status import StatusResult


def text(status: StatusResult, label: str) -> str:
    """The status; troubles first."""
    return "\n".join(_lines(status, label))


def _lines(status: StatusResult, label: str) -> Iterable[str]:
    counts = [
        counted(len(status.applied), "migration") + " applied",
        f"{len(status.pending)} pending",
        f"{len(status.left_out)} left out",
    ]
    yield f"{label}: {', '.join(counts)}"
    if status.migrated_by:
        yield f"migrated by {status.migrated_by}: pgslate adopt"
    if status.unfinished:
        yield "cut off in the middle (pgslate apply goes on from there)"
        yield aligned(
            [(status.shown[row.version], f"{row.next} of {row.of} statements") for row in status.unfinished]
        )
    if status.edited:
        yield "edited after they were applied (undo the edit, or pgslate apply --accept-edited FILE)"
        yield aligned([(migration.shown,) for migration in status.edited])
    if status.missing:
        yield "applied, but no longer in the catalog (bring the files back)"
        yield aligned([(status.shown[row.version],) for row in status.missing])
    if status.applied:
        yield "applied"
        yield aligned([_row(row, status.shown[row.version]) for row in status.applied])
    if status.pending:
        yield "pending"
        yield aligned([(migration.shown,) for migration in status.pending])
    if status.left_out:
        yield "left out: not needed by the tables that were asked for"
        yield aligned([(migration.shown,) for migration in status.left_out])


def _row(row: LedgerRow, shown: str) -> tuple[str, str, str]:
    part = "" if row.statements is None else f"{len(row.statements)} of {counted(row.of, 'statement')}"
    if row.form == "adopted":
        return shown, f"applied by {row.applied_by}", f"adopted {row.applied_at[:19].replace('T', ' ')}"
    how = part or ("" if row.form == "files" else row.form)
    return shown, f"{row.applied_at[:19].replace('T', ' ')} by {row.applied_by}", how
