"""What a statement needs: the edges of the graph that a slice is walked on.

The graph has three kinds of nodes, all numbered:

- a *statement* of the catalog (an effect of the trace);
- a unit's *history* up to a moment: the first ``k`` statements that touch the unit;
- a *file*, where whole files are replayed.

A statement needs the history of every unit that it changed, read or leaned on, up to itself. A history needs
its last statement and the history before that. So everything a table needs can be reached from the table's
history up to the end of the catalog.

Most edges hold always. Some hold only under a condition: a statement that the slice has for another reason
may, in passing, have made an object lean on a second one. The second is needed only if the slice has the
first. These are ``Needs.conditions``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from pgslate.trace.effects import Effect, Trace, Unit

Node = int

DATABASE_WIDE = frozenset(("event trigger", "default acl", "publication"))
"""The kinds of units that act on the whole database, also on what is made later.

A slice that makes one must also change and drop it where the catalog does: else it would go on to act on
tables that the catalog made, or that a test makes, after it was dropped.
"""


class Edge(NamedTuple):
    """Where an edge leads, and why: a phrase for ``Cause.how``, and the unit that it speaks of, if any."""

    node: Node
    how: str
    unit: Unit | None = None


class Condition(NamedTuple):
    """The slice needs ``node`` if it has the unit ``source``, which leans on it."""

    source: Unit
    node: Node


class Needs:
    """The edges of one trace's graph; each node's are found when they are first asked for.

    With ``whole_files`` a statement brings all of its file along; without, the session settings above it.
    """

    def __init__(self, trace: Trace, *, whole_files: bool) -> None:
        self.trace = trace
        self.whole_files = whole_files
        self.statements = len(trace.effects)
        self.conditions: dict[int, tuple[Condition, ...]] = {}
        """By statement; complete for statements whose edges were asked for."""
        self._first_file = self.statements
        self._first_history: list[Node] = []
        following = self.statements + len(trace.migrations)
        for unit in range(len(trace.units)):
            self._first_history.append(following)
            following += len(trace.touching.get(unit, ())) + 1
        self._setting_before = _setting_before(trace)
        self._leant_on: dict[tuple[Unit, int], frozenset[Unit]] = {}

    def history(self, unit: Unit, before: int | None = None) -> Node:
        """The node for all that touches the unit before a statement; by default, to the end."""
        touching = self.trace.touching.get(unit, ())
        count = len(touching) if before is None else bisect_left(touching, before)
        return self._first_history[unit] + count

    def unit_of(self, node: Node) -> Unit | None:
        """The unit whose history the node is; None for other nodes."""
        unit = bisect_right(self._first_history, node) - 1
        return unit if unit >= 0 else None

    def edges(self, node: Node) -> list[Edge]:
        """What the node needs, whatever else is in the slice."""
        if node < self.statements:
            return self._of_statement(node)
        if node < self.statements + len(self.trace.migrations):
            return [Edge(each, "same file") for each in self.trace.by_migration[node - self._first_file]]
        return self._of_history(node)

    def _of_statement(self, index: int) -> list[Edge]:
        trace, effect = self.trace, self.trace.effects[index]
        needed = (effect.changes - effect.marks) | effect.drops | effect.writes | effect.reads
        edges = [Edge(self.history(unit, index), "used by", unit) for unit in sorted(needed)]
        for unit in sorted(effect.writes):
            # PostgreSQL checks a row against its table's types, keys and functions of that moment.
            leant_on = self._leant_on_at(unit, index) - needed
            edges += [Edge(self.history(target, index), "used by", target) for target in sorted(leant_on)]
        for unit in sorted(effect.marks):
            edges.append(Edge(self._first_history[unit], "used by", unit))
            edges += self._naming(unit, index)
        conditions: list[Condition] = []
        for source, target in sorted(effect.links | effect.calls):
            if target in effect.creates:
                continue
            node = self.history(target, index)
            if source in effect.creates or source in effect.changes:
                edges.append(Edge(node, "leaned on by", source))
            else:
                conditions.append(Condition(source, node))
        if conditions:
            self.conditions[index] = tuple(conditions)
        for unit in sorted(effect.creates | effect.changes):
            if trace.units[unit].kind in DATABASE_WIDE:
                edges += self.taken_back(unit)
        if effect.together:  # each brings the next, and the last one the first
            first, last = effect.together
            edges.append(Edge(index + 1 if index < last else first, "together with"))
        if self.whole_files:
            edges.append(Edge(self._first_file + effect.migration, "same file"))
        elif (setting := self._setting_before[index]) >= 0:
            edges.append(Edge(setting, "session setting for"))
        return edges

    def taken_back(self, unit: Unit) -> list[Edge]:
        """All that the catalog does to a database-wide unit, to its DROP."""
        edges = [Edge(self.history(unit), "made by", unit)]
        dropped = self.trace.units[unit].dropped
        if dropped is not None:
            edges.append(Edge(dropped, "drops", unit))
        return edges

    def _naming(self, unit: Unit, before: int) -> list[Edge]:
        """What made the unit, and what renamed it: all that it takes for its name to be known."""
        edges: list[Edge] = []
        names: set[str] = set()
        for index in self.trace.touching.get(unit, ()):
            if index >= before:
                break
            effect = self.trace.effects[index]
            if unit in effect.creates or effect.frees & names:
                names |= effect.takes
                edges.append(Edge(index, _verb(effect, unit), unit))
        return edges

    def _of_history(self, node: Node) -> list[Edge]:
        unit = self.unit_of(node)
        assert unit is not None
        count = node - self._first_history[unit]
        if not count:
            return []
        index = self.trace.touching[unit][count - 1]
        effect = self.trace.effects[index]
        edges = [Edge(index, _verb(effect, unit), unit), Edge(node - 1, "", unit)]
        for source, target in sorted(effect.ties):
            if source == unit:
                edges.append(Edge(self.history(target, index), "called for by", target))
        return edges

    def tie_of(self, node: Node) -> int:
        """The statement that a history ends with: the one that ties it to others."""
        unit = self.unit_of(node)
        assert unit is not None
        return self.trace.touching[unit][node - self._first_history[unit] - 1]

    def _leant_on_at(self, unit: Unit, index: int) -> frozenset[Unit]:
        """The units that a unit leans on just before a statement."""
        events = self.trace.leaning.get(unit, ())
        count = bisect_left(events, (index,))
        key = (unit, count)
        if key not in self._leant_on:
            found: set[Unit] = set()
            for _, target, begins in events[:count]:
                (found.add if begins else found.discard)(target)
            self._leant_on[key] = frozenset(found)
        return self._leant_on[key]


def _setting_before(trace: Trace) -> list[int]:
    """For each statement the last one above it in its file that changed the session's settings, or -1."""
    found = []
    last: dict[int, int] = {}
    for index, effect in enumerate(trace.effects):
        found.append(last.get(effect.migration, -1))
        if effect.session:
            last[effect.migration] = index
    return found


def _verb(effect: Effect, unit: Unit) -> str:
    if unit in effect.creates:
        return "creates"
    if unit in effect.writes and unit not in effect.changes:
        return "writes rows into"
    return "changes"
