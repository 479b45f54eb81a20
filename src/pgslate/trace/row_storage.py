"""Where the rows of relations are: in files of their own, in children, in the tables of a view.

Also how far sequences are, which is kept like rows and not in a system catalog.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from pgslate.trace.effects import Unit
from pgslate.trace.system_catalogs import PG_CLASS, Object


class RowStorage:
    """The storage of the relations that are alive."""

    def __init__(self) -> None:
        self._files: dict[Object, int] = {}
        self._parents: dict[Object, set[Object]] = defaultdict(set)  # of partitions and inheritance children
        self._sources: dict[Unit, set[Unit]] = defaultdict(set)  # of views
        self._positions: dict[Object, int | None] = {}

    def set_file(self, relation: Object, number: int) -> bool:
        """Take in the number of a relation's file; whether it had another one."""
        before = self._files.get(relation, number)
        self._files[relation] = number
        return before != number

    def add_parent(self, child: Object, parent: Object) -> None:
        """Rows of ``child`` are rows of ``parent``, too."""
        self._parents[child].add(parent)

    def add_source(self, view: Unit, source: Unit) -> None:
        """A view, or a materialized view, is made of rows of ``source``."""
        self._sources[view].add(source)

    def forget(self, relation: Object, unit: Unit | None) -> None:
        """Let go of a relation that was dropped."""
        self._files.pop(relation, None)
        self._parents.pop(relation, None)
        self._positions.pop(relation, None)
        if unit is not None:
            self._sources.pop(unit, None)

    def read_through(
        self, units: Iterable[Unit], opened: Mapping[Unit, Object], unit_of: Callable[[Object], Unit | None]
    ) -> set[Unit]:
        """The units, and those of ``opened`` that are read with them: children of tables, sources of views.

        A child that was detached may still be among them: of what was opened, that is too much at worst.
        """
        found = set(units)
        if len(found) == len(opened):
            return found
        children: dict[Unit, set[Unit]] = defaultdict(set)
        for child, obj in opened.items():
            for parent in map(unit_of, self._parents.get(obj, ())):
                if parent is not None:
                    children[parent].add(child)
        queue = list(found)
        for unit in queue:
            sources: Collection[Unit] = self._sources.get(unit, ())
            new = (children[unit] | {source for source in sources if source in opened}) - found
            found |= new
            queue += new
        return found

    def position(self, sequence: Object) -> int | None:
        """The last number that a sequence is known to have given out."""
        return self._positions.get(sequence)

    def set_positions(self, positions: Mapping[int, int | None]) -> None:
        """Take in how far sequences are, by OID."""
        self._positions.update(((PG_CLASS, oid), position) for oid, position in positions.items())
