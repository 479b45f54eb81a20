"""What a difference comes from: a pending migration, an untaken branch, a renamed partition, a stray object.

The comparison itself only says that a database differs. Pure functions here say why, so that no fix undoes
what a migration will do, or what somebody has a right to.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from pgslate.execution.ledger import Ledger
from pgslate.formats.bookkeeping import table_of
from pgslate.plain_text import shortened
from pgslate.schema import fixes
from pgslate.schema.difference import MISSING, NOTHING, Difference
from pgslate.schema.identifiers import qualified
from pgslate.schema.model import Name, Schema, SchemaObject
from pgslate.schema.wording import describes
from pgslate.slices.slice import Slice
from pgslate.trace.unseen import unseen

_EVERYTHING_OF_A_KIND = re.compile(
    r"\ball\s+(tables|sequences|functions|routines|procedures)\b|\bexecute\b", re.I
)


def without_allowed(differences: Iterable[Difference], allow: Collection[str]) -> tuple[Difference, ...]:
    """The differences without the stray objects that are allowed by name.

    ``allow`` are names as a difference has them, without their schema, or with ``*``.
    """
    return tuple(d for d in differences if not (d.expected == NOTHING and is_allowed(d.object, allow)))


def is_allowed(name: str, allow: Collection[str]) -> bool:
    """Whether one of the patterns names the object.

    >>> [is_allowed(n, ["dba_*"]) for n in ("public.dba_idx", "dba_check on public.t", "public.dba_t.i")]
    [True, True, False]
    """
    part = name.partition(" on ")[0]
    bare = part if part != name else qualified(name)[1]
    return any(fnmatchcase(each, pattern) for pattern in allow for each in (name, part, bare))


def with_pending(slice_: Slice, differences: Sequence[Difference], ledger: Ledger) -> tuple[Difference, ...]:
    """The differences, with those that a pending migration explains named as such, after the migrations.

    A migration explains a difference if it touches the object. It is pending if the ledger has others, but
    not this one; where nothing was ever applied, nothing is called pending.
    """
    if ledger.is_empty or not differences:
        return tuple(differences)
    rows = ledger.by_version
    pending = [
        index
        for index, each in zip(slice_.migrations, slice_.files, strict=True)
        if each.version not in rows or not rows[each.version].finished
    ]
    explained: list[Difference] = []
    explaining: dict[int, None] = {}
    for difference in differences:
        causes = [index for index in pending if difference.of in _touched(slice_, index)]
        if not causes:
            explained.append(difference)
            continue
        explaining |= dict.fromkeys(causes)
        names = shortened([slice_.catalog.migrations[index].shown for index in causes])
        explained.append(replace(difference, fix=f"pending: {names}; pgslate apply"))
    shown = [slice_.catalog.migrations[index].shown for index in sorted(explaining)]
    first = [Difference(name, "migration", "applied", "pending", "pgslate apply") for name in shown]
    return (*first, *explained)


def _touched(slice_: Slice, migration: int) -> frozenset[Name]:
    """The objects that a migration makes, changes or drops, by their names at the end of the catalog."""
    trace = slice_.trace
    units = {unit for i in trace.by_migration[migration] for unit in trace.effects[i].touches}
    return frozenset((trace.units[unit].kind, trace.units[unit].name) for unit in units)


def with_untaken_branches(slice_: Slice, differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """The differences, with the branch that may have made one as its fix.

    A DO block that asks for a role, say, takes another way on an empty scratch server than on the target.
    """
    if not differences:
        return ()
    catalog = slice_.catalog
    wanted = frozenset(slice_.migrations)
    untaken = [each for each in unseen(catalog, slice_.trace) if each.migration in wanted]
    explained = []
    for difference in differences:
        name = qualified((difference.of or ("", difference.object))[1])[1].lower()
        for each in untaken:
            migration = catalog.migrations[each.migration]
            text = migration.statements[each.statement].text
            if name in text.lower() or _EVERYTHING_OF_A_KIND.search(text):
                place = f"{migration.file}:{each.line}"
                difference = replace(
                    difference,
                    fix=f"{place} may have made it ({each.what}): the trace, on an empty server, did not take"
                    " this branch; make what it asks for, such as a role, in a [prelude] file, then run"
                    " `pgslate lock`",
                )
                break
        explained.append(difference)
    return tuple(explained)


def has_missing_partitions(differences: Iterable[Difference], expected: Schema) -> bool:
    """Whether a partition that should be there is missing: somebody may have renamed it."""
    return any(_missing_partition(each, expected) is not None for each in differences)


def with_renamed_partitions(
    differences: Iterable[Difference], expected: Schema, database: Schema
) -> tuple[Difference, ...]:
    """The differences, where a missing partition is one that somebody renamed, known by parent and bounds."""
    found: list[Difference] = []
    there = {
        (each.get("partition_of"), each.get("bound")): each
        for each in database
        if each.get("partition_of") and each.key not in expected and not each.is_part
    }
    for difference in differences:
        partition = _missing_partition(difference, expected)
        other = partition and there.get((partition.get("partition_of"), partition.get("bound")))
        if partition is None or not other:
            found.append(difference)
            continue
        parent = partition.get("partition_of")
        found.append(
            Difference(
                other.name,
                other.kind,
                f"called {partition.name}",
                f"a partition of {parent} {other.get('bound')} that no migration and no policy makes",
                fixes.rename(partition, other),
                partition.key,
            )
        )
    return tuple(found)


def _missing_partition(difference: Difference, expected: Schema) -> SchemaObject | None:
    if difference.found != MISSING:
        return None
    each = expected.get(difference.kind, difference.object)
    return each if each is not None and each.get("partition_of") and not each.is_part else None


def stray_objects(slice_: Slice, database: Schema) -> Iterator[Difference]:
    """The top-level objects of the whole database that no migration of the catalog makes.

    Partitions of a table with a policy, what a prelude makes, and the table in which the catalog's own tool
    keeps its history are nobody's stray objects.
    """
    known = {(unit.kind, unit.name) for unit in slice_.trace.units if unit.dropped is None}
    own = slice_.catalog.bookkeeping
    history = table_of(own) if own else None
    for each in database:
        parent = each.get("partition_of")
        if each.is_part or each.key in known or each.key in slice_.trace.schema:
            continue
        if parent and any(policy.is_of(*qualified(str(parent))) for policy in slice_.policies):
            continue
        if each.kind in ("comment", "default acl") or qualified(each.name)[1] == history:
            continue
        yield Difference(each.name, each.kind, NOTHING, describes(each), fixes.drop(each), each.key)
