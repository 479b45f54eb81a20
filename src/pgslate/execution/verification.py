"""Compares a database with what it should hold: the required objects, and the partitions of the policies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.errors import MissingTablesError, UnknownTableError, VerificationError
from pgslate.partitions.coverage import Coverage, Survey
from pgslate.partitions.ensure import survey
from pgslate.partitions.existing import identity
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.plain_text import counted
from pgslate.schema.compare import ANYBODY, compare
from pgslate.schema.difference import MISSING, Difference
from pgslate.schema.identifiers import qualified
from pgslate.schema.model import Name, Schema
from pgslate.schema.read import read

_ENSURE = "pgslate partitions ensure"
_MANY = 500

_NO_WINDOWS: Mapping[str, Collection[Window]] = {}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences, missing tables first; ``surveys`` are how the policies' tables stand."""

    differences: tuple[Difference, ...]
    surveys: tuple[Survey, ...] = ()


def compare_database(
    expected: Schema,
    connection: psycopg.Connection[Any],
    required: Collection[Name],
    policies: Collection[PartitionPolicy] = (),
    as_of: datetime | None = None,
    *,
    windows: Mapping[str, Collection[Window]] = _NO_WINDOWS,
    owners: str | None = ANYBODY,
    as_found: Collection[Name] = (),
    copies: Collection[Name] = (),
) -> Comparison:
    """How the required objects that the database holds differ from ``expected``.

    ``required`` names top-level objects of ``expected``; each counts with all its parts. One round trip, and
    one more for each of the ``policies`` whose table is required: the windows that the policy wants at
    ``as_of`` (or by the server's clock) must be covered, and those in ``windows``, by the policy's table.
    Partitions that stand on the policy's grid are never stray, whoever made them. ``owners`` is as for
    ``compare``: by default nobody in particular has to own what no migration gives to a role. Objects named
    in ``as_found`` only have to be there. ``copies`` is as for ``compare``.

    Changes nothing. Raises psycopg.Error where the connection fails, and UsageError where a policy's table is
    not partitioned by a range of time.
    """
    wanted = expected.within(required)
    names = {*required, *wanted.objects}
    # a long list of names costs more to look for than everything else to read
    found = read(connection, within=list(names) if len(names) < _MANY else None).within(names)
    there = [name for name in as_found if name in found.objects]
    differences = list(compare(wanted.without(there), found.without(there), owners=owners, copies=copies))
    surveys: list[Survey] = []
    for policy in policies:
        if not _is_required(policy, required):
            continue
        try:
            surveyed = survey(connection, policy, as_of=as_of, also=windows.get(policy.table, ()))
        except UnknownTableError:  # the comparison says so
            continue
        surveys.append(surveyed)
        differences += _partition_differences(surveyed, wanted)
    differences.sort(key=lambda d: not (d.kind == "table" and d.found == MISSING))
    return Comparison(tuple(differences), tuple(surveys))


def tables_missing_in(differences: Iterable[Difference]) -> tuple[str, ...]:
    """The names of the required tables that are not there."""
    return tuple(d.object for d in differences if d.kind == "table" and d.found == MISSING)


def raise_for(differences: Sequence[Difference]) -> None:
    """Raise MissingTablesError, or VerificationError, where there are differences."""
    if not differences:
        return
    listed = "\n".join(f"  {difference}" for difference in differences[:20])
    missing = tables_missing_in(differences)
    if missing:
        raise MissingTablesError(
            f"{counted(len(missing), 'table')} missing: {', '.join(missing)}\n{listed}",
            fix=differences[0].fix,
            tables=missing,
            differences=tuple(differences),
        )
    raise VerificationError(
        f"{counted(len(differences), 'difference')} from what should be there\n{listed}",
        fix=differences[0].fix,
        differences=tuple(differences),
    )


def _is_required(policy: PartitionPolicy, required: Collection[Name]) -> bool:
    return any(kind == "table" and policy.is_of(*qualified(name)) for kind, name in required)


def _partition_differences(surveyed: Survey, expected: Schema) -> Iterator[Difference]:
    table = surveyed.table
    known = {qualified(name) for kind, name in expected.objects if kind == "table"}
    for each in surveyed.windows:
        name = (table.schema, each.planned.name)
        if each.state != "covered" and name not in known:
            yield _uncovered(surveyed, each)
    if surveyed.policy.default and table.default is None:
        default = identity(table.schema, surveyed.policy.default_name)
        yield Difference(default, "table", f"DEFAULT partition of {table.qualified}", MISSING, _ENSURE)
    for partition in table.detaching:
        yield Difference(
            partition.qualified,
            "table",
            f"partition of {table.qualified}, or a table of its own",
            "half detached: a DETACH CONCURRENTLY was interrupted",
            _ENSURE,
        )
    for partition in surveyed.off_grid:
        if (partition.schema, partition.name) not in known:
            yield Difference(
                partition.qualified,
                "table",
                f"partitions of {table.qualified} from {surveyed.policy.every} to {surveyed.policy.every}",
                partition.bound,
                f"ALTER TABLE {table.qualified} DETACH PARTITION {partition.qualified};"
                f" and move its rows into {table.qualified}",
            )


def _uncovered(surveyed: Survey, each: Coverage) -> Difference:
    window, table = each.planned.window, surveyed.table.qualified
    return Difference(
        identity(surveyed.table.schema, each.planned.name),
        "table",
        f"partition of {table} from {window.start} to {window.end}",
        MISSING if each.state == "missing" else f"covered in part, by {', '.join(each.by)}",
        f"{_ENSURE} --as-of {window.start}" if each.state == "missing" else _ENSURE,
    )
