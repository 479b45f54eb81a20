"""Types that a statement uses without naming them, and what PostgreSQL resolves by them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from pgslate.trace.effects import Link, Unit, UnitInfo
from pgslate.trace.names_in_use import RELATIONS
from pgslate.trace.system_catalogs import Object

TYPES = ("type", "composite type")

RESOLVED = ("cast", "operator", "operator class", "operator family", "transform")
"""The kinds of what PostgreSQL uses where a statement doesn't name it, by the types at hand."""


class Types:
    """The values of enums, and which types are other ones than when they were made."""

    def __init__(self) -> None:
        self._labels: dict[Object, set[str]] = defaultdict(set)
        self._values: dict[int, str] = {}  # by the OID of their row
        self._altered: set[Unit] = set()
        self._for_builtin: set[Unit] = set()  # casts and operators between PostgreSQL's own types

    def add_value(self, enum: Object, oid: int, label: str) -> bool:
        """Take in a value of an enum; whether it is another name for an old one."""
        self._labels[enum].add(label)
        renamed = self._values.get(oid, label) != label
        self._values[oid] = label
        return renamed

    def values(self, enum: Object) -> Collection[str]:
        """All names that the values of an enum have had."""
        return self._labels.get(enum, ())

    def forget(self, obj: Object) -> None:
        """Let go of a type that was dropped."""
        self._labels.pop(obj, None)

    def alter(self, types: Iterable[Unit]) -> None:
        """These types are other ones now."""
        self._altered.update(types)

    def is_altered(self, unit: Unit) -> bool:
        return unit in self._altered

    def resolving(
        self,
        links: Iterable[Link],
        made: Iterable[Unit],
        dropped: Collection[Unit],
        units: Sequence[UnitInfo],
    ) -> set[Unit]:
        """The types for which a statement made or dropped a cast, an operator and the like.

        Args:
            links: The dependencies that came to be, and those that ceased.
            made: The units that the statement made.
            dropped: The units that it dropped.
            units: All units.
        """
        of_types = [
            (source, target)
            for source, target in links
            if units[source].kind in RESOLVED and units[target].kind in (*TYPES, *RELATIONS)
        ]
        with_type = {source for source, _ in of_types}
        self._for_builtin |= {u for u in made if units[u].kind in RESOLVED and u not in with_type}
        self._for_builtin -= set(dropped)
        return {target for _, target in of_types}

    def resolved_in(self, text: str, units: Sequence[UnitInfo]) -> set[Unit]:
        """The casts and operators between PostgreSQL's own types that a statement may use."""
        return {
            unit
            for unit in self._for_builtin
            if units[unit].kind != "operator" or _symbol(units[unit].name) in text
        }


def _symbol(operator: str) -> str:
    """An operator's own sign.

    >>> _symbol('public.=(public.key2,public.key2)'), _symbol('public.||(integer,text)')
    ('=', '||')
    """
    return operator.partition("(")[0].rpartition(".")[2]


def labels_in(text: str, labels: Mapping[Unit, Collection[str]]) -> set[Unit]:
    """The enums of which a statement's text has a value."""
    return {unit for unit, values in labels.items() if any(f"'{label}'" in text for label in values)}
