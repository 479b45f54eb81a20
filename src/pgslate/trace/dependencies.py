"""What leans on what in the scratch database: the rows of pg_depend and pg_shdepend, kept in step.

The observer sees rows that a statement wrote, but not rows that it deleted. Rows of a dropped object
disappear with it. To notice any other deletion, the number of rows is compared; only where it differs are all
read again.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from pgslate.trace.system_catalogs import Edge, Object


class Dependencies:
    """The edges between the objects of one database; those of pg_depend with how many rows each has."""

    def __init__(self) -> None:
        self._refs: dict[Object, set[Object]] = defaultdict(set)
        self._rows: Counter[Edge] = Counter()  # pg_depend's
        self._leaning: dict[Object, set[Object]] = defaultdict(set)  # the same edges, the other way round
        self._number: int | None = None  # of rows that there should be

    def __iter__(self) -> Iterator[tuple[Object, Iterable[Object]]]:
        """Each object with those that it leans on."""
        return iter(self._refs.items())

    def of(self, obj: Object) -> Collection[Object]:
        """The objects that ``obj`` leans on."""
        return self._refs.get(obj, ())

    def add(self, obj: Object, ref: Object, *, counted: bool) -> None:
        """Take in a row: ``obj`` leans on ``ref``; ``counted`` where it is one of pg_depend."""
        self._refs[obj].add(ref)
        if counted:
            self._rows[*obj, *ref] += 1
            self._leaning[ref].add(obj)

    def settle(self) -> None:
        """What is known now is all that there is."""
        self._number = self._rows.total()

    def expect(self, more: int | None) -> None:
        """There are ``more`` rows of pg_depend than before; None: nobody knows how many there are."""
        self._number = None if more is None or self._number is None else self._number + more

    def forget(self, obj: Object) -> None:
        """Let go of what ``obj`` leans on."""
        for ref in self._refs.pop(obj, ()):
            self._uncount((*obj, *ref))

    def let_go(
        self,
        gone: Collection[Object],
        rewritten: Collection[Object],
        *,
        known: Mapping[int, Collection[int]],
        those_of: Callable[[Collection[Object]], Counter[Edge]],
        all_there_are: Callable[[], Counter[Edge]],
    ) -> list[Edge]:
        """Let go of the rows of pg_depend that were deleted; gives the edges lost of what is still there.

        ``gone`` are the objects that are not there any more, ``rewritten`` those that rows were written for:
        they may have been given all of theirs anew. ``known`` are the objects that are looked at, by catalog:
        with a table goes its TOAST table, with a key its internal triggers, which are not. The other two ask
        the database.
        """
        fallen = self._with_what_is_not_looked_at(gone, known)
        for obj in fallen:
            self.forget(obj)
        lost: list[Edge] = []
        if again := set(rewritten) - fallen:
            edges = [(*obj, *ref) for obj in again for ref in self._refs[obj]]
            lost += self._replace([edge for edge in edges if edge in self._rows], those_of(again))
        if self._rows.total() != self._number:
            lost += self._replace(list(self._rows), all_there_are())
            self.settle()
        return lost

    def _replace(self, before: Iterable[Edge], now: Counter[Edge]) -> list[Edge]:
        lost = [edge for edge in before if edge not in now]
        for edge in lost:
            self._refs[edge[:2]].discard(edge[2:])
            self._uncount(edge)
        for edge, rows in now.items():
            self._refs[edge[:2]].add(edge[2:])
            self._leaning[edge[2:]].add(edge[:2])
            self._rows[edge] = rows
        return lost

    def _uncount(self, edge: Edge) -> None:
        if self._rows.pop(edge, 0):
            self._leaning[edge[2:]].discard(edge[:2])

    def _with_what_is_not_looked_at(
        self, gone: Collection[Object], known: Mapping[int, Collection[int]]
    ) -> set[Object]:
        found = set(gone)
        queue = list(gone)
        for ref in queue:
            new = {obj for obj in self._leaning[ref] - found if obj[1] not in known.get(obj[0], ())}
            found |= new
            queue += new
        return found
