"""Slicing: from the tables asked for, backward over the effects, to what must run. Pure.

A table needs every statement that touched it. A statement needs what it changed, read or leaned on, as that
was before it; so those units need every statement that touched them before. (Where it only gives rights, row
security or a comment to a relation, that has to be there, and no more: what made and renamed it.) In the
*files* form a statement brings its whole file along, in the *statements* form the session settings above it.
Two things more, found by running the slice in mind:

- a name it takes may still be held by something that an excluded statement freed: bring that statement;
- something alive in the slice may lean on a unit that the slice goes on to change, where an excluded
  statement had loosened it: bring that statement. (An included file made a foreign key, an excluded one
  dropped it.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from typing import Literal

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.errors import ProofError
from pgslate.schema.model import Name, Schema
from pgslate.trace.effects import NOTHING, Effect, Link, Trace, Unit, Widening

Form = Literal["files", "statements", "objects"]
FORMS: tuple[Form, ...] = ("files", "statements", "objects")

_END = 1 << 60


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
class Slice:
    """What a set of tables needs of a catalog.

    ``catalog`` and ``trace`` are what it was cut from. ``tables`` is what was asked for (empty: everything),
    ``required`` the units they need at the end, ``effects`` the indexes into the trace's effects that are
    replayed in this form, ``needed`` those of them that are needed for themselves and not just for their
    file. ``migrations`` are indexes into the catalog. ``causes`` and ``unit_causes`` say why. ``widened``
    says what a failed proof added, in words.
    """

    catalog: Catalog = field(repr=False)
    trace: Trace = field(repr=False)
    tables: tuple[str, ...]
    form: Form
    required: frozenset[Unit]
    effects: frozenset[int]
    needed: frozenset[int]
    migrations: tuple[int, ...]
    causes: Mapping[int, Cause]
    unit_causes: Mapping[Unit, Cause]
    widened: tuple[str, ...] = ()

    @cached_property
    def files(self) -> tuple[Migration, ...]:
        """The migrations to run, in order."""
        return tuple(self.catalog.migrations[index] for index in self.migrations)

    @cached_property
    def expected(self) -> Schema:
        """The definitions of the required objects, as the whole catalog leaves them."""
        return self.trace.schema.within(
            [(u.kind, u.name) for u in map(self.trace.units.__getitem__, self.required)]
        )

    @cached_property
    def as_found(self) -> frozenset[Name]:
        """Of the required objects, those that stood before and that no migration changes.

        What a database's owner did to them is not the catalog's business: they only have to be there.
        """
        return frozenset(
            (info.kind, info.name)
            for unit, info in ((unit, self.trace.units[unit]) for unit in self.required)
            if info.made is None and not self.trace.touching.get(unit)
        )

    def statements(self, migration: int, *, needed: bool = False) -> tuple[int, ...]:
        """The indexes, in its file, of the migration's statements that are replayed (or only those
        needed)."""
        chosen = self.needed if needed else self.effects
        there = self.trace.by_migration[migration]
        return tuple(sorted(self.trace.effects[index].statement for index in there if index in chosen))

    @property
    def is_whole(self) -> bool:
        """Whether everything was asked for."""
        return not self.tables


def required_units(trace: Trace, asked: Iterable[Unit]) -> dict[Unit, Cause]:
    """The units that ``asked`` need at the end to exist and to work, each with its cause."""
    found: dict[Unit, Cause] = {unit: Cause("asked for") for unit in asked}
    queue = list(found)
    for unit in queue:
        for target, how in trace.requires.get(unit, {}).items():
            if target not in found:
                found[target] = Cause(how, unit=unit)
                queue.append(target)
    return found


def known_widening(trace: Trace, asked: Iterable[Unit], form: Form) -> Widening:
    """What the proofs of these units have added to their slices."""
    return reduce(or_, filter(None, (trace.widenings.get((form, unit)) for unit in asked)), NOTHING)


def slice_of(
    catalog: Catalog,
    trace: Trace,
    asked: Collection[Unit],
    *,
    tables: tuple[str, ...] = (),
    form: Form = "files",
    widening: Widening | None = None,
) -> Slice:
    """The slice of ``trace`` for the units ``asked``; ``tables`` are their names, as they were asked for.

    ``widening`` is by default what the proofs of these units have added. Raises ProofError where the lock
    says that the slice could not be proved.
    """
    if widening is None:
        for unit in asked:
            if (form, unit) in trace.unproved:
                raise ProofError(
                    f"the {form} form of {trace.units[unit]} could not be proved:"
                    f" {trace.unproved[form, unit]}",
                    fix="use another --form; or make the migrations independent of time and chance",
                )
        widening = known_widening(trace, asked, form)
    required = required_units(trace, asked)
    for unit, cause in required_units(trace, widening.units).items():
        required.setdefault(unit, Cause("a failed proof asked for it") if cause.unit is None else cause)
    precise = _Walk(trace, required, widening, whole_files=False)
    if form == "files":
        walk = _Walk(trace, required, widening, whole_files=True)
        needed = frozenset(precise.included) & frozenset(walk.included)
    else:
        walk, needed = precise, frozenset(precise.included)
    return Slice(
        catalog=catalog,
        trace=trace,
        tables=tables,
        form=form,
        required=frozenset(required),
        effects=frozenset(walk.included),
        needed=needed,
        migrations=tuple(sorted({trace.effects[e].migration for e in walk.included})),
        causes={**walk.included, **precise.included},
        unit_causes={**walk.units, **precise.units},
        widened=widening.why,
    )


def whole(catalog: Catalog, trace: Trace, *, form: Form = "files") -> Slice:
    """The slice that is the whole catalog: everything alive at the end, and every statement."""
    alive = frozenset(u for u, info in enumerate(trace.units) if info.dropped is None)
    everything = frozenset(range(len(trace.effects)))
    return Slice(
        catalog=catalog,
        trace=trace,
        tables=(),
        form=form,
        required=alive,
        effects=everything,
        needed=everything,
        migrations=tuple(range(len(trace.migrations))),
        causes={index: Cause("everything was asked for") for index in everything},
        unit_causes={unit: Cause("everything was asked for") for unit in alive},
    )


class _Walk:
    """The backward walk, and the two checks that run the slice in mind, until nothing is added."""

    def __init__(
        self, trace: Trace, required: Mapping[Unit, Cause], widening: Widening, *, whole_files: bool
    ) -> None:
        self.trace = trace
        self.included: dict[int, Cause] = {}
        self.units: dict[Unit, Cause] = dict(required)
        self._whole_files = whole_files
        self._opened: set[int] = set()  # migrations that were brought along as a whole
        self._reached: dict[Unit, int] = {}  # how far a unit's history has been included
        self._alive: set[Unit] = set()
        self._waiting: dict[Unit, list[tuple[Unit, int]]] = defaultdict(list)
        self._queue: list[tuple[Unit, int]] = []
        for unit in required:
            self._need(unit, _END, required[unit])
        for effect in sorted(widening.effects):
            self._include(effect, Cause("a failed proof asked for it"))
        self._drain()
        while self._take_names() or self._loosen():
            self._drain()

    def _need(self, unit: Unit, before: int, cause: Cause) -> None:
        self.units.setdefault(unit, cause)
        self._revive(unit)
        if before > self._reached.get(unit, 0):
            self._queue.append((unit, before))

    def _need_there(self, unit: Unit, before: int, cause: Cause) -> None:
        """Bring what made the unit, and what renamed it: all that it takes for its name to be known."""
        self.units.setdefault(unit, cause)
        names: set[str] = set()
        for index in self.trace.touching.get(unit, ()):
            if index >= before:
                break
            effect = self.trace.effects[index]
            if unit in effect.creates or effect.frees & names:
                names |= effect.takes
                self._include(index, Cause(_verb(effect, unit), unit=unit))

    def _drain(self) -> None:
        while self._queue:
            unit, before = self._queue.pop()
            start = self._reached.get(unit, 0)
            if before <= start:
                continue
            self._reached[unit] = before
            for index in self.trace.touching.get(unit, ()):
                if start <= index < before:
                    effect = self.trace.effects[index]
                    if index not in self.included:
                        self._include(index, Cause(_verb(effect, unit), unit=unit))
                    for source, target in effect.ties:
                        if source == unit:
                            self._need(target, index, Cause("called for by", effect=index))

    def _include(self, index: int, cause: Cause) -> None:
        if index in self.included:
            return
        self.included[index] = cause
        effect = self.trace.effects[index]
        used = Cause("used by", effect=index)
        for unit in (effect.changes - effect.marks) | effect.drops | effect.writes | effect.reads:
            self._need(unit, index, used)
        for unit in effect.marks:
            self._need_there(unit, index, used)
        for unit in effect.writes:  # a row is held to its table's types, keys and functions of then
            for target in self._leant_on(unit, index):
                self._need(target, index, used)
        for source, target in effect.links | effect.calls:
            if target in effect.creates:
                continue
            if source in effect.creates or source in effect.changes or source in self._alive:
                self._need(target, index, Cause("leaned on by", unit=source))
            else:
                self._waiting[source].append((target, index))
        for unit in effect.creates:
            self._revive(unit)
        if self._whole_files:
            if effect.migration not in self._opened:
                self._opened.add(effect.migration)
                for other in self.trace.by_migration[effect.migration]:
                    self._include(other, Cause("same file", effect=index))
        else:
            for other in self.trace.by_migration[effect.migration]:
                if other < index and self.trace.effects[other].session:
                    self._include(other, Cause("session setting for", effect=index))

    def _leant_on(self, unit: Unit, before: int) -> set[Unit]:
        found: set[Unit] = set()
        for index, target, begins in self.trace.leaning.get(unit, ()):
            if index >= before:
                break
            (found.add if begins else found.discard)(target)
        return found

    def _revive(self, unit: Unit) -> None:
        """What statements in the slice hung on this unit in passing matters once the unit is there."""
        if unit in self._alive:
            return
        self._alive.add(unit)
        for target, index in self._waiting.pop(unit, ()):
            self._need(target, index, Cause("leaned on by", unit=unit))

    def _take_names(self) -> bool:
        """Bring the statements that freed names which the slice takes while it still holds them."""
        taken: dict[str, int] = {}  # in the whole catalog: the statement that took each name in use
        held: dict[str, int] = {}  # the same, in the slice
        freed: dict[tuple[str, int], int] = {}  # what an excluded statement freed, and who had taken it
        missing: list[tuple[int, str]] = []
        for index in self.trace.naming:
            effect = self.trace.effects[index]
            included = index in self.included
            for name in effect.frees:
                taker = taken.pop(name, -1)
                if not included:
                    freed[name, taker] = index
                elif held.get(name) == taker:
                    del held[name]
            if included:
                for name in effect.takes | effect.passes:
                    if name in held and (name, held[name]) in freed:
                        missing.append((freed[name, held[name]], name))
                held |= dict.fromkeys(effect.takes, index)
            taken |= dict.fromkeys(effect.takes, index)
        for index, name in missing:
            kind, _, told = name.partition(":")
            self._include(index, Cause(f"frees the {'place' if kind == 'partition' else 'name'} {told}"))
        return bool(missing)

    def _loosen(self) -> bool:
        """Bring the statements that took away what leans on units which the slice changes afterwards."""
        last_change: dict[Unit, int] = {}
        for index in self.included:
            effect = self.trace.effects[index]
            for units in (effect.changes, effect.sweeps, effect.drops, effect.cascades):
                for unit in units:
                    if index > last_change.get(unit, -1):
                        last_change[unit] = index
        alive: set[Unit] = set()
        leaning: set[Link] = set()
        missing: list[tuple[int, Link]] = []
        for index, effect in enumerate(self.trace.effects):
            if index in self.included:
                alive |= effect.creates
                alive -= effect.drops | effect.cascades
                leaning -= effect.unlinks  # first: a foreign key may be made anew over other columns
                leaning |= effect.links
                continue
            for link in effect.unlinks:
                if link in leaning and link[0] in alive and last_change.get(link[1], -1) > index:
                    missing.append((index, link))
        for index, (source, target) in missing:
            self._include(index, Cause(f"loosens {self.trace.units[source].name} from", unit=target))
        return bool(missing)


def _verb(effect: Effect, unit: Unit) -> str:
    if unit in effect.creates:
        return "creates"
    if unit in effect.writes and unit not in effect.changes:
        return "writes rows into"
    return "changes"
