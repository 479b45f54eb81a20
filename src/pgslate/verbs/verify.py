"""``verify``: is there what a slice says, and did the ledger apply what the files say?"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from pgslate.catalog.catalog import Catalog
from pgslate.execution import ledger, ledger_state, verification
from pgslate.execution.connection import connected, read_ledger
from pgslate.execution.verification import VerifyResult
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.schema.difference import MISSING, Difference
from pgslate.slices.selection import RELATIONS
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target

_NO_WINDOWS: Mapping[str, Collection[Window]] = {}


def verify(
    slice_: Slice,
    target: Target,
    *,
    policies: Collection[PartitionPolicy] = (),
    windows: Mapping[str, Collection[Window]] = _NO_WINDOWS,
    as_of: datetime | None = None,
) -> VerifyResult:
    """How the database differs from what ``slice_`` requires, and the ledger from the slice's files.

    The windows of the ``policies`` at ``as_of`` (UTC; by default the server's clock) must have partitions,
    and those in ``windows``, by the policy's table. Changes nothing. Raises ServerNotReadyError where there
    is no connection, PrivilegeError where the role may not read the ledger.
    """
    required = slice_.required_names
    with connected(target) as connection:
        found = verification.verify(
            slice_.expected,
            connection,
            required,
            policies,
            as_of,
            windows=windows,
            as_found=slice_.as_found,
        )
        applied, _ = read_ledger(connection)
    finished = {row.version for row in applied.by_version.values() if row.finished}
    if finished.issuperset(migration.version for migration in slice_.files):
        found = replace(found, differences=tuple(map(_dropped_since, found.differences)))
    return found.and_also(_ledger_differences(slice_.catalog, applied))


def _dropped_since(difference: Difference) -> Difference:
    """What is missing though every migration is recorded as applied: ``apply`` wouldn't make it again."""
    if difference.found != MISSING or not difference.fix.startswith("pgslate apply"):
        return difference
    again = "make it again"
    if difference.kind in RELATIONS:
        again += f", from what `pgslate snapshot {shlex.quote(difference.object)}` prints of it"
    return replace(
        difference,
        fix=f"its migrations are recorded as applied, so somebody dropped it since: {again}, or use an empty"
        " database",
    )


def _ledger_differences(catalog: Catalog, applied: ledger.Ledger) -> Iterator[Difference]:
    rows = applied.by_version
    called = ledger_state.shown_rows(catalog, applied)
    for row in ledger_state.missing(catalog, applied):
        fix = "bring the file back from version control"
        yield Difference(
            called[row.version], "migration", f"the file, applied at {row.applied_at}", "missing", fix
        )
    for migration in ledger_state.edited(catalog, applied):
        was = rows[migration.version].checksum
        fix = f"undo the edit, or pgslate apply --accept-edited {shlex.quote(migration.shown)}"
        yield Difference(
            migration.shown, "migration", f"checksum {was}", f"checksum {migration.checksum}", fix
        )
    for row in rows.values():
        if not row.finished and row.version in catalog.by_version:
            yield Difference(
                called[row.version], "migration", "applied", "cut off in the middle", "pgslate apply"
            )
