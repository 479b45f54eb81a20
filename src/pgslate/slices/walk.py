"""The walk: from required objects backward over the graph of needs, to the statements of a slice. Pure.

What a node needs is the same for every slice, so it is found once for a trace: nodes that need each other
form a component, and each component keeps a bit set of all statements and units that can be reached from it.
The walk for one table is then a union of a few bit sets. (Where functions tie a hundred tables together,
those tables share a component.)

Three things depend on what else the slice holds, and are looked at until nothing is added:

- *conditions*: the slice has a unit, and a statement that makes the unit lean on another one;
- *names*: a statement takes a name that the slice still holds, because the statement that freed the name was
  left out. Example: 1 makes ``users``, 2 renames it, 3 makes a new ``users``;
- *loose ends*: the slice changes a unit on which something in the slice still leans, because the statement
  that took the dependency away was left out. Example: 1 makes a foreign key, 2 drops it, 3 drops the column
  that it referred to.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from pgslate.slices.needs import DATABASE_WIDE, Edge, Needs, Node
from pgslate.trace.effects import Link, Trace, Unit


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a unit or a statement is in a slice.

    ``how`` is a phrase ("asked for", "used by", "creates", "same file", "frees the name ..."); ``unit`` and
    ``effect`` are what it refers to, where it refers to one.
    """

    how: str
    unit: Unit | None = None
    effect: int | None = None


@dataclass(frozen=True)
class Walked:
    """The outcome of a walk: the statements, their migrations in order, and what was ``added`` to them.

    What was added depends on several of the others.
    """

    effects: frozenset[int]
    migrations: tuple[int, ...]
    added: tuple[tuple[Node, Cause], ...]


class Walk:
    """Walks over one trace; they share what they find out about it.

    ``whole_files`` is for the files form: a statement then brings all of its file along.
    """

    def __init__(self, trace: Trace, *, whole_files: bool) -> None:
        self.trace = trace
        self.needs = Needs(trace, whole_files=whole_files)
        self._statements = (1 << len(trace.effects)) - 1
        self._component: dict[Node, int] = {}
        self._reached: list[int] = []
        self._with_conditions = 0
        self._walked: dict[tuple[int, frozenset[Unit]], Walked] = {}
        self._names = tuple(_contested_names(trace))
        self._links = tuple(_loosened_links(trace))
        attached: frozenset[Link] = frozenset().union(*(effect.attaches for effect in trace.effects))
        self._attached = attached.intersection(link for link, _, _ in self._links)
        self._parents = frozenset(parent for _, parent in self._attached)
        self._lock = threading.Lock()  # proofs run side by side

    def walk(self, units: Iterable[Unit], statements: Iterable[int] = ()) -> Walked:
        """What must run for ``units`` to come out as after the whole catalog, ``statements`` included."""
        units = tuple(units)
        nodes = [*map(self.needs.history, units), *statements, *(node for node, _ in self.beginnings)]
        parents = self._parents.intersection(units)
        with self._lock:
            bits = 0
            for node in nodes:
                bits |= self._reach(node)
            if (bits, parents) not in self._walked:
                finished, added = self._finish(bits, parents)
                effects = frozenset(_ones(finished & self._statements))
                migrations = {self.trace.effects[index].migration for index in effects}
                self._walked[bits, parents] = Walked(effects, tuple(sorted(migrations)), added)
            return self._walked[bits, parents]

    @cached_property
    def beginnings(self) -> tuple[tuple[Node, Cause], ...]:
        """What every slice needs: a prelude's database-wide units act on it until the catalog drops them."""
        return tuple(
            (edge.node, Cause("acts on the whole database" if edge.how == "made by" else edge.how, unit=unit))
            for unit, info in enumerate(self.trace.units)
            if info.made is None and info.kind in DATABASE_WIDE
            for edge in self.needs.taken_back(unit)
        )

    # -- what doesn't depend on the rest of the slice

    def _reach(self, root: Node) -> int:
        """All that can be reached from a node: statements as the lower bits, units as the upper.

        Components are found by Tarjan's algorithm ("Depth-first search and linear graph algorithms", 1972),
        without recursion.
        """
        if root in self._component:
            return self._reached[self._component[root]]
        component, needs = self._component, self.needs
        order: dict[Node, int] = {}
        lowest: dict[Node, int] = {}
        stack: list[Node] = []
        targets: dict[Node, list[Node]] = {}
        path: list[tuple[Node, Iterator[Node]]] = []

        def enter(node: Node) -> None:
            order[node] = lowest[node] = len(order)
            stack.append(node)
            targets[node] = [edge.node for edge in needs.edges(node)]
            path.append((node, iter(targets[node])))

        enter(root)
        while path:
            node, following = path[-1]
            for other in following:
                if other in component:
                    continue
                if other not in order:
                    enter(other)
                    break
                lowest[node] = min(lowest[node], order[other])
            else:
                path.pop()
                if path:
                    above = path[-1][0]
                    lowest[above] = min(lowest[above], lowest[node])
                if lowest[node] == order[node]:
                    members = _from(node, stack)
                    self._close(members, targets)
                    del stack[-len(members) :]
        return self._reached[component[root]]

    def _close(self, members: Sequence[Node], targets: dict[Node, list[Node]]) -> None:
        """These nodes are a component: keep what can be reached from it."""
        number = len(self._reached)
        self._component.update(dict.fromkeys(members, number))
        others = {self._component[target] for member in members for target in targets.pop(member)}
        bits = 0
        for member in members:
            bits |= self._own(member)
        for other in others - {number}:
            bits |= self._reached[other]
        self._reached.append(bits)

    def _own(self, node: Node) -> int:
        if node < self.needs.statements:
            if node in self.needs.conditions:
                self._with_conditions |= 1 << node
            return sum((self._bit(unit) for unit in self.trace.effects[node].creates), 1 << node)
        unit = self.needs.unit_of(node)
        return 0 if unit is None else self._bit(unit)

    def _bit(self, unit: Unit) -> int:
        return 1 << (self.needs.statements + unit)

    # -- what does

    def _finish(self, bits: int, parents: frozenset[Unit]) -> tuple[int, tuple[tuple[Node, Cause], ...]]:
        added: list[tuple[Node, Cause]] = []
        waiting: list[tuple[Unit, Node]] = []
        looked_at = 0
        while True:
            before = bits
            fresh = bits & self._with_conditions & ~looked_at
            looked_at |= fresh
            waiting += [c for index in _ones(fresh) for c in self.needs.conditions[index]]
            units = bits >> self.needs.statements
            still: list[tuple[Unit, Node]] = []
            for source, node in waiting:
                if not units >> source & 1:
                    still.append((source, node))
                elif (more := self._reach(node)) & ~bits:
                    bits |= more
                    added.append((node, Cause("leaned on by", unit=source)))
            waiting = still
            if bits != before:
                continue
            missing = [*self._names_held(bits), *self._loose_ends(bits, parents)]
            if not missing:
                return bits, tuple(added)
            for index, cause in missing:
                bits |= self._reach(index)
                added.append((index, cause))

    def _names_held(self, bits: int) -> Iterator[tuple[int, Cause]]:
        """The statements that freed names which the slice takes while it still holds them."""
        for contested in self._names:
            if not bits & contested.taking:
                continue
            taken = held = contested.first_holder
            freed: dict[int | None, int] = {}  # by who had taken the name: what freed it, and was left out
            for index, frees, takes in contested.events:
                included = bits >> index & 1
                if frees:
                    if not included:
                        freed[taken] = index
                    elif held == taken:
                        held = None
                    taken = None
                    continue
                if included:
                    if held is not None and held in freed:
                        kind, _, name = contested.name.partition(":")
                        what = "place" if kind == "partition" else "name"
                        yield freed[held], Cause(f"frees the {what} {name}")
                    if takes:
                        held = index
                if takes:
                    taken = index

    def _loose_ends(self, bits: int, parents: frozenset[Unit]) -> Iterator[tuple[int, Cause]]:
        """The statements that took away what leans on units which the slice changes afterwards.

        Or, where the rows of a partition or an inheritance child are rows of its parent, too, what took it
        away from a parent that the slice reads afterwards. ``parents`` are asked for, and so read at the end.
        """
        for (source, target), begins, events in self._links:
            info = self.trace.units[source]
            if info.made is not None and not bits >> info.made & 1:
                continue
            leans = begins
            for index, is_link in events:
                if bits >> index & 1:
                    leans = is_link
                elif leans and not is_link and self._last_use((source, target), bits, parents) > index:
                    dropped = info.dropped
                    if dropped is None or dropped > index or not bits >> dropped & 1:
                        yield index, Cause(f"loosens {info.name} from", unit=target)

    def _last_use(self, link: Link, bits: int, parents: frozenset[Unit]) -> int:
        """The last statement of the slice that minds what leans on the link's second unit."""
        unit = link[1]
        minding = self._changing.get(unit, 0)
        if link in self._attached:
            if unit in parents:
                return self.needs.statements
            minding |= self._reading.get(unit, 0)
        return (minding & bits).bit_length() - 1

    @cached_property
    def _reading(self) -> Mapping[Unit, int]:
        """The statements that read or write rows through a parent that something was taken away from."""
        found: dict[Unit, int] = dict.fromkeys(self._parents, 0)
        for index, effect in enumerate(self.trace.effects):
            for unit in (effect.reads | effect.writes) & self._parents if self._parents else ():
                found[unit] |= 1 << index
        return found

    @cached_property
    def _changing(self) -> Mapping[Unit, int]:
        """The statements that change or drop a unit which something leant on for a time, as bits."""
        targets = {target for (_, target), _, _ in self._links}
        found: dict[Unit, int] = dict.fromkeys(targets, 0)
        for index, effect in enumerate(self.trace.effects):
            for units in (effect.changes, effect.sweeps, effect.drops, effect.cascades):
                for unit in units & targets if units else ():
                    found[unit] |= 1 << index
        return found


@dataclass(frozen=True, slots=True)
class _ContestedName:
    """A name that was freed, and taken at another time.

    ``events`` are (statement, whether it frees the name, whether it takes it and keeps it), in order;
    ``taking`` are the statements that take it, as bits. ``first_holder`` is -1 where the name was taken
    before the first statement, by a prelude or by PostgreSQL itself, else None.
    """

    name: str
    events: tuple[tuple[int, bool, bool], ...]
    taking: int
    first_holder: int | None


def _contested_names(trace: Trace) -> Iterator[_ContestedName]:
    events: dict[str, list[tuple[int, bool, bool]]] = defaultdict(list)
    freed: set[str] = set()
    for index in trace.naming:
        effect = trace.effects[index]
        freed |= effect.frees
        for name in effect.frees:
            events[name].append((index, True, False))
        for name in effect.takes:
            events[name].append((index, False, True))
        for name in effect.passes - effect.takes:
            events[name].append((index, False, False))
    for name in sorted(freed):
        taking = sum(1 << index for index, frees, _ in events[name] if not frees)
        if taking:
            yield _ContestedName(name, tuple(events[name]), taking, -1 if events[name][0][1] else None)


def _loosened_links(trace: Trace) -> Iterator[tuple[Link, bool, tuple[tuple[int, bool], ...]]]:
    """Each dependency that was taken away: whether it was there first, and (statement, whether it is made).

    A statement that takes a dependency away and makes it anew, as where a foreign key gets other columns,
    leaves it made.
    """
    loosened: frozenset[Link] = frozenset().union(*(effect.unlinks for effect in trace.effects))
    events: dict[Link, list[tuple[int, bool]]] = defaultdict(list)
    for index, effect in enumerate(trace.effects):
        for link in effect.unlinks:
            events[link].append((index, False))
        for link in effect.links & loosened:
            events[link].append((index, True))
    for link in sorted(loosened):
        yield link, not events[link][0][1], tuple(events[link])


def _from(node: Node, stack: list[Node]) -> list[Node]:
    at = len(stack) - 1
    while stack[at] != node:
        at -= 1
    return stack[at:]


def _ones(bits: int) -> list[int]:
    """The numbers of the bits that are set, in order.

    >>> _ones(0b10110)
    [1, 2, 4]
    """
    text = bin(bits)[:1:-1]
    found = []
    at = text.find("1")
    while at >= 0:
        found.append(at)
        at = text.find("1", at + 1)
    return found


def walk_of(trace: Trace, *, whole_files: bool) -> Walk:
    """The walk over a trace; the last few are kept, since what they found out serves the next slice."""
    return _kept(_SameEffects(trace), whole_files)


class _SameEffects:
    """A trace, equal to those that share its effects and units: what proofs added to it doesn't matter."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _SameEffects):
            return NotImplemented
        return self.trace.effects is other.trace.effects and self.trace.units is other.trace.units

    def __hash__(self) -> int:
        return id(self.trace.effects)


@lru_cache(maxsize=4)
def _kept(same: _SameEffects, whole_files: bool) -> Walk:
    return Walk(same.trace, whole_files=whole_files)


# -- why


def causes(
    walk: Walk, walked: Walked, required: Mapping[Unit, Cause], statements: Mapping[int, Cause]
) -> tuple[dict[int, Cause], dict[Unit, Cause]]:
    """Why each statement and each unit is in a slice: the shortest chain that leads to it.

    ``required`` and ``statements`` are what the walk began with, each with its own cause.
    """
    needs = walk.needs
    of_statements: dict[int, Cause] = {}
    of_units: dict[Unit, Cause] = dict(required)
    queue: list[tuple[Node, Cause]] = []
    queue += [(needs.history(unit), cause) for unit, cause in required.items()]
    queue += statements.items()
    queue += walk.beginnings
    queue += walked.added
    reached = {node for node, _ in queue}
    for node, cause in queue:
        unit = needs.unit_of(node)
        if unit is not None:
            of_units.setdefault(unit, cause)
        elif node < needs.statements:
            of_statements.setdefault(node, cause)
        for edge in needs.edges(node):
            if edge.node not in reached:
                reached.add(edge.node)
                queue.append((edge.node, _cause(needs, node, edge, cause)))
    return of_statements, of_units


def _cause(needs: Needs, node: Node, edge: Edge, of_node: Cause) -> Cause:
    if node < needs.statements:
        if edge.how in ("used by", "made by", "same file", "session setting for"):
            return Cause(edge.how, effect=node)
        return Cause(edge.how, unit=edge.unit)
    if edge.how == "same file":
        return of_node
    if edge.how == "called for by":
        return Cause(edge.how, effect=needs.tie_of(node))
    return Cause(edge.how, unit=edge.unit) if edge.how else of_node
