"""Compares what should be with what is there, object by object and attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterator

from . import fixes
from .difference import MISSING, Difference
from .model import Schema, SchemaObject
from .spelling import same
from .wording import describes, says

ANYBODY = "*"
"""For ``owners``: who owns what the migrations leave to the role that applies them doesn't matter."""


def compare(
    expected: Schema,
    found: Schema,
    *,
    owners: str | None = None,
) -> tuple[Difference, ...]:
    """How ``found`` differs from ``expected``; empty where everything expected is there, and just so.

    Top-level objects that nobody expects are passed over; parts that nobody expects, of objects that are
    expected (a stray index, a column added by hand), are differences. Missing tables come first, then what
    else is missing, then what is there but different, by name.

    Definitions are compared by what they say, so the servers' majors may differ. An object that ``expected``
    leaves to whoever applied the migrations must be owned by ``owners``: by default the role that read
    ``found``; ANYBODY asks for no role in particular.
    """
    majors = (expected.major, found.major)
    differences: list[tuple[tuple[int, str, str], Difference]] = []
    for each in expected:
        there = found.objects.get(each.key)
        if there is None:
            if not _is_implied(each, expected, found):
                differences.append((_rank(each, missing=True), _missing(each)))
            continue
        rank = _rank(each, missing=False)
        differences += [(rank, d) for d in _changed(each, there, majors, owners, found.role)]
    for stray in _strays(expected, found):
        differences.append((_rank(stray, missing=False), _stray(stray)))
    return tuple(difference for _, difference in sorted(differences, key=lambda pair: pair[0]))


def _rank(each: SchemaObject, *, missing: bool) -> tuple[int, str, str]:
    first = 0 if missing and each.kind == "table" else 1 if missing else 2
    return (first, each.owner[1], "" if not each.is_part else f"{each.kind} {each.name}")


def _is_implied(each: SchemaObject, expected: Schema, found: Schema) -> bool:
    """Whether another missing object says it already: its table, or the constraint whose index it is."""
    if each.is_part and each.owner in expected and each.owner not in found:
        return True
    constraint = ("table constraint", f"{each.get('constraint')} on {each.owner[1]}")
    return bool(each.get("constraint")) and constraint in expected and constraint not in found


def _missing(each: SchemaObject) -> Difference:
    return Difference(each.name, each.kind, describes(each), MISSING, fixes.make(each))


def _stray(each: SchemaObject) -> Difference:
    return Difference(each.name, each.kind, "nothing", describes(each), fixes.drop(each))


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
) -> Iterator[Difference]:
    kind, name = expected.key
    for attribute in dict.fromkeys((*expected.attributes, *found.attributes)):
        want, have = expected.get(attribute), found.get(attribute)
        if attribute == "owner":
            if _owner_is_right(want, have, owners, reader):
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
            fixes.change(expected, attribute, have),
        )


def _owner_is_right(want: object, have: object, owners: str | None, reader: str) -> bool:
    if want is None and owners == ANYBODY:
        return True
    applied_by = reader if owners in (None, ANYBODY) else owners
    return (want or applied_by) == (have or reader)


def _other_names(want: object, have: object) -> bool:
    """Whether columns are missing or stray, which is said of each of them, and not of their order."""
    return isinstance(want, tuple) and isinstance(have, tuple) and set(want) != set(have)
