"""What a loop over names ties together, found by hiding relations from it and running it again. Pure.

A DO block may make a trigger on ``users`` because a table is called ``users_deleted``. No row of any system
catalog leads from the one to the other, and the text names neither. But with ``users_deleted`` hidden the
trigger isn't made, and with ``users`` hidden the block fails: so they belong together. Most loops tie
nothing, and a few runs tell: each hides half of the relations, and any two are on different sides in one of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgslate.trace.effects import Link, Unit

Made = tuple[str, str]
"""The kind and name of something that the statement makes anew on every run, and so has no number yet."""

Thing = Unit | Made
"""What a statement changed, or made."""

Run = Callable[[frozenset[Unit]], frozenset[Thing] | None]
"""Runs the statement with these relations hidden: what it changed and made, or None where it failed."""

_ONE_BY_ONE = 400
"""How many relations at most are hidden one by one, each of them a run, where there is something to find."""


@dataclass(frozen=True, slots=True)
class Ties:
    """``ties``: the statement changes or makes the first only where the second is there. ``calls``: where the
    first is there, it fails without the second. ``always``: without these it fails, whatever else is there.
    """

    ties: frozenset[tuple[Thing, Unit]] = frozenset()
    calls: frozenset[Link] = frozenset()
    always: frozenset[Unit] = frozenset()


NO_TIES = Ties()


def ties(usual: frozenset[Thing], touched: Sequence[Unit], others: Sequence[Unit], run: Run) -> Ties:
    """What a statement ties together that changes and makes ``usual`` where every relation is there.

    It is known to have come upon the relations ``touched``; of ``others`` it may have looked up no more than
    the names.
    """

    def holds(hidden: Iterable[Unit]) -> bool:
        hidden = frozenset(hidden)
        left = run(hidden)
        return left is not None and usual - hidden <= left

    if not holds(()):  # the result differs every time, so nothing follows from it
        return NO_TIES
    relations = [*touched, *_that_matter(others, holds)]
    if (all(map(holds, _halves(touched))) and len(relations) == len(touched)) or len(relations) > _ONE_BY_ONE:
        return NO_TIES
    pairs: set[tuple[Thing, Unit]] = set()
    callers: dict[Unit, set[Unit]] = {}  # by a relation without which the statement fails, what calls for it
    for relation in relations:
        left = run(frozenset({relation}))
        if left is None:
            callers[relation] = set()
        else:
            pairs |= {(thing, relation) for thing in usual - left if thing != relation}
    for thing, relation in pairs:
        if isinstance(thing, int) and thing in callers:
            callers[thing].add(relation)
    always: set[Unit] = set()
    for relation in _unexplained(callers, run):
        elsewhere = [other for other in relations if other not in callers]
        callers[relation] = set()
        if run(frozenset({relation, *elsewhere})) is not None:
            callers[relation] = _caller(relation, elsewhere, run)
        if not callers[relation]:
            always.add(relation)
    calls = ((caller, relation) for relation, found in callers.items() for caller in found)
    return Ties(frozenset(pairs), frozenset(calls), frozenset(always))


def _that_matter(relations: Sequence[Unit], holds: Callable[[Iterable[Unit]], bool]) -> list[Unit]:
    """Those of which one hidden makes a difference, found by halves."""
    if not relations or holds(relations):
        return []
    if len(relations) == 1:
        return list(relations)
    half = len(relations) // 2
    return [r for part in (relations[:half], relations[half:]) for r in _that_matter(part, holds)]


def _unexplained(callers: Mapping[Unit, set[Unit]], run: Run) -> list[Unit]:
    """The relations without which the statement fails even where their callers are hidden, too."""
    called = {relation: found for relation, found in callers.items() if found}
    together = frozenset(called).union(*called.values())
    if not called or run(together) is not None:  # mostly one run says it of all
        return [relation for relation in callers if relation not in called]
    return [r for r, found in callers.items() if not found or run(frozenset({r, *found})) is None]


def _caller(relation: Unit, relations: Sequence[Unit], run: Run) -> set[Unit]:
    """The one that has to be hidden as well for the statement not to miss ``relation``, if it is one."""
    while len(relations) > 1:
        half = len(relations) // 2
        for part in (relations[:half], relations[half:]):
            if run(frozenset({relation, *part})) is not None:
                relations = part
                break
        else:
            return set()
    return set(relations)


def _halves(relations: Sequence[Unit]) -> Iterator[frozenset[Unit]]:
    """Any two relations are on different sides of one of these halves and its other half.

    >>> [sorted(half) for half in _halves([5, 6, 7])]
    [[5, 7], [6], [5, 6], [7]]
    """
    for bit in range(max(1, (len(relations) - 1).bit_length())):
        for side in (0, 1):
            half = frozenset(r for place, r in enumerate(relations) if place >> bit & 1 == side)
            if half:
                yield half
