"""Compares what should be with what is there, object by object and attribute by attribute."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from . import fixes
from .difference import MISSING, NOTHING, Difference
from .model import Name, Schema, SchemaObject
from .spelling import same
from .wording import describes, says

ANYBODY = "*"
"""For ``owners``: who owns what the migrations leave to the role that applies them doesn't matter."""


def compare(
    expected: Schema,
    found: Schema,
    *,
    owners: str | None = None,
    copies: Collection[Name] = (),
) -> tuple[Difference, ...]:
    """How ``found`` differs from ``expected``; empty where everything expected is there, and just so.

    Top-level objects that nobody expects are passed over; parts that nobody expects, of objects that are
    expected (a stray index, a column added by hand), are differences. Missing tables come first, then what
    else is missing, then what is there but different, by name.

    Definitions are compared by what they say, so the servers' majors may differ. An object that ``expected``
    leaves to whoever applied the migrations must be owned by ``owners``: by default the role that read
    ``found``; ANYBODY asks for no role in particular. ``copies`` are tables made LIKE others.

    Before 17 partitions have no identity of their own, and tables made LIKE them have none either: where one
    of the servers is older, identity is not compared there.
    """
    majors = (expected.major, found.major)
    plain = _without_identity(expected, found, copies) if min(majors) < 17 <= max(majors) else frozenset()
    differences: list[tuple[tuple[int, str, str], Difference]] = []
    renamed = _renamed(expected, found)
    for each in expected:
        if each.key in renamed:
            differences.append((_rank(each, missing=True), _called_otherwise(each, renamed[each.key])))
            continue
        there = found.objects.get(each.key)
        if there is not None and there.owner != each.owner and _is_lost_with_its_owner(each, expected, found):
            continue
        if there is None:
            if each.kind == "sequence" and each.get("identity") and each.owner in plain:
                continue
            if not _is_implied(each, expected, found):
                whole = expected.objects.get(each.owner)
                differences.append((_rank(each, missing=True), _missing(each, whole)))
            continue
        rank = _rank(each, missing=False)
        differences += [(rank, d) for d in _changed(each, there, majors, owners, found.role, plain)]
    new_names = {stray.key for stray in renamed.values()}
    for stray in _strays(expected, found):
        if stray.key in new_names:
            continue
        if stray.kind == "sequence" and stray.get("identity") and stray.owner in plain:
            continue
        differences.append((_rank(stray, missing=False), _stray(stray)))
    return tuple(difference for _, difference in sorted(differences, key=lambda pair: pair[0]))


def _rank(each: SchemaObject, *, missing: bool) -> tuple[int, str, str]:
    first = 0 if missing and each.kind == "table" else 1 if missing else 2
    return (first, each.owner[1], "" if not each.is_part else f"{each.kind} {each.name}")


def _is_lost_with_its_owner(each: SchemaObject, expected: Schema, found: Schema) -> bool:
    return each.is_part and each.owner in expected and each.owner not in found


def _is_implied(each: SchemaObject, expected: Schema, found: Schema) -> bool:
    """Whether another missing object says it already: its table, or the constraint whose index it is."""
    if _is_lost_with_its_owner(each, expected, found):
        return True
    constraint = ("table constraint", f"{each.get('constraint')} on {each.owner[1]}")
    return bool(each.get("constraint")) and constraint in expected and constraint not in found


_RENAMED = ("table constraint", "index", "sequence")


def _renamed(expected: Schema, found: Schema) -> dict[Name, SchemaObject]:
    """The missing constraints, indexes and sequences that are there, but for the name, under another one."""
    strays: dict[tuple[object, ...], list[SchemaObject]] = {}
    for each in _strays(expected, found):
        if each.kind in _RENAMED:
            strays.setdefault(_but_for_the_name(each), []).append(each)
    if not strays:
        return {}
    renamed: dict[Name, SchemaObject] = {}
    for each in expected:
        if each.kind not in _RENAMED or each.key in found or _is_implied(each, expected, found):
            continue
        if alike := strays.get(_but_for_the_name(each)):
            renamed[each.key] = alike.pop(0)
    return renamed


def _but_for_the_name(each: SchemaObject) -> tuple[object, ...]:
    """What is the same of two parts that only their names tell apart."""
    definition = str(each.get("definition") or "")
    if each.kind == "index":
        definition = definition.replace(f"INDEX {fixes.bare_name(each)} ON", "INDEX ON", 1)
    others = {k: v for k, v in each.attributes.items() if k not in ("definition", "constraint", "comment")}
    return (each.kind, each.owner, definition, *sorted((k, str(v)) for k, v in others.items()))


def _called_otherwise(each: SchemaObject, stray: SchemaObject) -> Difference:
    return Difference(
        each.name, each.kind, describes(each), f"called {stray.name}", fixes.rename(each, stray), each.owner
    )


def _missing(each: SchemaObject, whole: SchemaObject | None) -> Difference:
    return Difference(each.name, each.kind, describes(each), MISSING, fixes.make(each, whole), each.owner)


def _stray(each: SchemaObject) -> Difference:
    return Difference(each.name, each.kind, NOTHING, describes(each), fixes.drop(each), each.owner)


def _strays(expected: Schema, found: Schema) -> Iterator[SchemaObject]:
    for each in found:
        if not each.is_part or each.key in expected or each.owner not in expected:
            continue
        constraint = ("table constraint", f"{each.get('constraint')} on {each.owner[1]}")
        if each.get("constraint") and constraint in found and constraint not in expected:
            continue
        yield each


def _changed(
    expected: SchemaObject,
    found: SchemaObject,
    majors: tuple[int, int],
    owners: str | None,
    reader: str,
    plain: Collection[Name],
) -> Iterator[Difference]:
    kind, name = expected.key
    is_owned = _owner_is_right(expected.get("owner"), found.get("owner"), owners, reader)
    for attribute in dict.fromkeys((*expected.attributes, *found.attributes)):
        if attribute == "identity" and kind == "table column" and expected.owner in plain:
            continue
        if attribute == "acl" and not is_owned:  # a new owner takes the old one's rights over
            continue
        want, have = expected.get(attribute), found.get(attribute)
        if attribute == "owner":
            if is_owned:
                continue
        elif same(kind, attribute, want, have, majors=majors):
            continue
        if attribute == "columns" and kind in ("table", "foreign table"):
            if _other_names(want, have):
                continue
            if expected.get("inherits"):  # where an inherited column stands is the parent's history, not ours
                continue
        if attribute == "not_ready" and bool(expected.get("invalid")) != bool(found.get("invalid")):
            continue
        yield Difference(
            name,
            kind,
            says(kind, attribute, want),
            says(kind, attribute, have),
            fixes.change(expected, found, attribute, major=majors[1]),
            expected.owner,
        )


def _without_identity(expected: Schema, found: Schema, copies: Collection[Name]) -> frozenset[Name]:
    """The tables that have no identity on the older of two servers, since that is before 17."""
    both = (*expected, *found)
    return frozenset({*copies, *(each.key for each in both if each.get("partition_of"))})


def _owner_is_right(want: object, have: object, owners: str | None, reader: str) -> bool:
    if want is None and owners == ANYBODY:
        return True
    applied_by = reader if owners in (None, ANYBODY) else owners
    return (want or applied_by) == (have or reader)


def _other_names(want: object, have: object) -> bool:
    """True where columns are missing or stray: each is reported by itself, and their order is not."""
    return isinstance(want, tuple) and isinstance(have, tuple) and set(want) != set(have)
