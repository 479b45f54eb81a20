"""``verify``: compare what a database holds with what a slice says should be there."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg

from pgslate.catalog.catalog import Catalog
from pgslate.execution import drift, ledger_state
from pgslate.execution.connection import connected, read_ledger
from pgslate.execution.ledger import Ledger
from pgslate.execution.verification import compare_database, raise_for, tables_missing_in
from pgslate.partitions.coverage import Survey
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.schema.difference import MISSING, NOTHING, Difference
from pgslate.schema.read import read
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.trace.effects import RELATIONS

_SETTINGS = """SELECT quote_ident(current_database()), split_part(config, '=', 1), config
FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) config
WHERE s.setrole = 0 AND s.setdatabase =
    (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())"""


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """How a database differs from a slice.

    ``differences`` begin with missing tables. ``surveys`` say which windows the partitions of each table with
    a policy cover.
    """

    differences: tuple[Difference, ...]
    surveys: tuple[Survey, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything is as it should be."""
        return not self.differences

    @property
    def missing_tables(self) -> tuple[str, ...]:
        """The names of the required tables that are not there."""
        return tables_missing_in(self.differences)

    def raise_for_differences(self) -> None:
        """Raise MissingTablesError or VerificationError, unless everything is as it should be."""
        raise_for(self.differences)

    def as_json(self) -> dict[str, Any]:
        """``ok`` and ``differences: [{object, kind, expected, found, fix}]``."""
        return {"ok": self.ok, "differences": [each.as_json() for each in self.differences]}


def verify(
    slice_: Slice,
    target: Target,
    *,
    as_of: datetime | None = None,
    nothing_else: bool = False,
    allow: Collection[str] = (),
) -> VerifyResult:
    """Compare the required objects, the partitions by policy, and the ledger; changes nothing.

    Args:
        slice_: What should be there: its required objects, the windows of its project's partition policies,
            and the partitions that it names.
        target: The database.
        as_of: The moment (UTC) that partition policies count from; by default the server's clock.
        nothing_else: Also report every object and setting of the database that no migration makes.
        allow: Names, or patterns such as ``dba_*``, of objects that may be there though no migration makes
            them; besides the slice's own, from ``[verify] allow`` of the configuration.

    Returns:
        The differences, each with its fix. Call ``raise_for_differences()`` to have them as an error.

    Raises:
        ServerNotReadyError: There is no connection.
        PrivilegeError: The role may not read the ledger.
    """
    windows = {policy.table: _named(policy, slice_) for policy in slice_.policies}
    with connected(target) as connection:
        compared = compare_database(
            slice_.expected,
            connection,
            slice_.required_names,
            slice_.policies,
            as_of,
            windows=windows,
            as_found=slice_.as_found,
            copies=slice_.copies,
        )
        ledger, _ = read_ledger(connection)
        differences = _with_renamed(slice_, compared.differences, connection)
        if nothing_else:
            differences += _everything_else(slice_, connection)
    differences = drift.without_allowed(differences, (*slice_.allow, *allow))
    differences = drift.with_untaken_branches(slice_, differences)
    return VerifyResult(_with_ledger(slice_, differences, ledger), compared.surveys)


def verify_objects(
    slice_: Slice, connection: psycopg.Connection[Any], ledger: Ledger | None = None
) -> VerifyResult:
    """Compare the required objects alone, and a ledger that was read; ``apply`` makes the partitions."""
    compared = compare_database(
        slice_.expected, connection, slice_.required_names, as_found=slice_.as_found, copies=slice_.copies
    )
    differences = _with_renamed(slice_, compared.differences, connection)
    differences = drift.without_allowed(differences, slice_.allow)
    differences = drift.with_untaken_branches(slice_, differences)
    if ledger is None:
        return VerifyResult(differences)
    return VerifyResult(_with_ledger(slice_, differences, ledger))


def _with_renamed(
    slice_: Slice, differences: tuple[Difference, ...], connection: psycopg.Connection[Any]
) -> tuple[Difference, ...]:
    if not drift.has_missing_partitions(differences, slice_.expected):
        return differences
    return drift.with_renamed_partitions(differences, slice_.expected, read(connection))


def _everything_else(slice_: Slice, connection: psycopg.Connection[Any]) -> tuple[Difference, ...]:
    """The objects and the settings of the whole database that no migration makes."""
    strays = drift.stray_objects(slice_, read(connection, exclude_schemas=("pgslate",)))
    catalog = "".join(migration.source for migration in slice_.catalog)
    settings = [
        Difference(name, "database setting", NOTHING, value, f"ALTER DATABASE {database} RESET {name};")
        for database, name, value in connection.execute(_SETTINGS)
        if name not in catalog
    ]
    return (*strays, *settings)


def _with_ledger(
    slice_: Slice, differences: tuple[Difference, ...], ledger: Ledger
) -> tuple[Difference, ...]:
    differences = drift.with_pending(slice_, differences, ledger)
    finished = {row.version for row in ledger.by_version.values() if row.finished}
    if finished.issuperset(migration.version for migration in slice_.files):
        differences = tuple(map(_dropped_since, differences))
    return (*differences, *_ledger_differences(slice_.catalog, ledger))


def _named(policy: PartitionPolicy, slice_: Slice) -> tuple[Window, ...]:
    """The windows of the partitions that were asked for by name."""
    found = (policy.window_of(name) for name in slice_.partitions.get(policy.table, ()))
    return tuple(window for window in found if window is not None)


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


def _ledger_differences(catalog: Catalog, ledger: Ledger) -> Iterator[Difference]:
    rows = ledger.by_version
    called = ledger_state.shown_rows(catalog, ledger)
    for row in ledger_state.missing(catalog, ledger):
        fix = "bring the file back from version control"
        yield Difference(
            called[row.version], "migration", f"the file, applied at {row.applied_at}", "missing", fix
        )
    for migration in ledger_state.edited(catalog, ledger):
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
