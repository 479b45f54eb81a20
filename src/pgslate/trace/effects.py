"""What a trace holds: the units of a schema and the effects of every statement on them.

A unit is what a slice takes or leaves as one: a table with its columns, constraints, indexes, triggers,
policies, comments and grants; a view, sequence, type, function, schema, extension, role. Units are numbered
in the order in which the catalog makes them, and keep their number through renames; a table dropped and made
again is two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from pgslate.schema.identifiers import parts
from pgslate.schema.model import Schema

#: The kinds of units that a user can ask for by name.
RELATIONS = ("table", "view", "materialized view", "foreign table", "sequence")

Unit = int
"""The number of a unit: an index into ``Trace.units``."""

Link = tuple[Unit, Unit]
"""The first unit leans on the second: a row of pg_depend (or pg_shdepend), from unit to unit."""


@dataclass(frozen=True, slots=True)
class UnitInfo:
    """A unit's kind and name as pg_identify_object says them, when it was last read.

    ``made`` and ``dropped`` are indexes into ``Trace.effects``: the statement that made it (None: it was
    there before the first) and the one that dropped it (None: it is there at the end).
    """

    kind: str
    name: str
    made: int | None = None
    dropped: int | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Effect(NamedTuple):  # a lock has thousands: a frozen dataclass takes five times as long to make
    """What one statement did.

    ``migration`` and ``statement`` are its indexes in the catalog and in the file, ``line`` its place,
    ``digest`` stands for its text.
    ``changes`` were named by the statement and so must be there for it to work; ``sweeps`` were changed
    without being named, as by GRANT ON ALL TABLES or a loop over pg_class: without them it works, too.
    ``marks`` are those of ``changes`` that had no more than rights, owner, row security or a comment given
    to them: of these the statement needs only that they are there.
    ``drops`` and ``cascades`` divide the dropped in the same way. ``writes`` had rows changed, ``reads`` were
    looked at or called. ``unlinks`` ceased, or ceased in part, before ``links`` came to be; ``attaches`` are
    those of ``links`` by which the rows of the first are rows of the second, too. ``ties`` and
    ``calls`` are what running it several times showed: it changes or makes the first only where the second is
    there; where the first is there, it fails without the second. ``takes`` and ``frees`` are names, with
    their namespace; ``passes`` are names that were free before and after it, and that code which it ran may
    have taken in between. ``session`` marks a change of session state (SET, set_config), which a later
    statement may rely on, ``clock`` that names or bounds were made from the current time. ``together`` are
    the first and the last of some effects that run together or not at all: up to a ROLLBACK TO SAVEPOINT that
    left something behind, or statements that were looked at once.
    """

    migration: int
    statement: int
    line: int
    digest: str = ""
    creates: frozenset[Unit] = frozenset()
    changes: frozenset[Unit] = frozenset()
    sweeps: frozenset[Unit] = frozenset()
    marks: frozenset[Unit] = frozenset()
    drops: frozenset[Unit] = frozenset()
    cascades: frozenset[Unit] = frozenset()
    writes: frozenset[Unit] = frozenset()
    reads: frozenset[Unit] = frozenset()
    links: frozenset[Link] = frozenset()
    unlinks: frozenset[Link] = frozenset()
    attaches: frozenset[Link] = frozenset()
    ties: frozenset[Link] = frozenset()
    calls: frozenset[Link] = frozenset()
    takes: frozenset[str] = frozenset()
    frees: frozenset[str] = frozenset()
    passes: frozenset[str] = frozenset()
    session: bool = False
    clock: bool = False
    together: tuple[int, ...] = ()

    @property
    def touches(self) -> frozenset[Unit]:
        """The units that come out of this statement other than they went in."""
        return self.creates | self.changes | self.sweeps | self.writes

    @property
    def is_empty(self) -> bool:
        """Whether the statement left everything as it was."""
        return not (self.touches or self.drops or self.cascades or self.session or self.frees or self.takes)


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """Something observation can't see, with its place: SQL built at run time, a branch not taken."""

    migration: int
    statement: int
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Widening:
    """What failed proofs have added to a slice: effects and units to take in, and why, in words."""

    effects: frozenset[int] = frozenset()
    units: frozenset[Unit] = frozenset()
    why: tuple[str, ...] = ()

    def __or__(self, other: Widening) -> Widening:
        why = (*self.why, *(each for each in other.why if each not in self.why))
        return Widening(self.effects | other.effects, self.units | other.units, why)


NOTHING = Widening()


@dataclass(frozen=True)
class Trace:
    """The effects of every statement of a catalog, and what the database holds at the end.

    ``migrations`` are the (version, checksum) of each migration traced, in order; ``server`` the major
    version it was traced on. ``requires`` are the links at the end, from each unit to those it needs to exist
    and to work, with a word for why ("constraint", "partition"). ``definitions`` is the JSON form of
    ``schema``. ``widenings`` are what proofs have added, by form and unit asked for.
    """

    migrations: tuple[tuple[str, str], ...]
    server: int
    units: tuple[UnitInfo, ...]
    effects: tuple[Effect, ...]
    requires: Mapping[Unit, Mapping[Unit, str]]
    definitions: Mapping[str, Any] = field(repr=False)
    uncertain: tuple[Uncertainty, ...] = ()
    widenings: Mapping[tuple[str, Unit], Widening] = field(default_factory=dict)
    unproved: Mapping[tuple[str, Unit], str] = field(default_factory=dict)
    """Why there is no proof, by form and unit asked for, where a lock says so."""
    proved: frozenset[tuple[str, Unit]] = frozenset()
    """The forms and units whose slices a lock has proved."""
    changing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By table, the columns whose values hang on time or chance (``*``: all), where a lock says so."""
    expires: str = ""
    """When what was made from the current time would come out otherwise: ISO 8601, UTC; empty for never."""

    @cached_property
    def touching(self) -> Mapping[Unit, tuple[int, ...]]:
        """By unit, the effects that touch it, in order."""
        found: dict[Unit, list[int]] = {}
        for index, effect in enumerate(self.effects):
            for unit in effect.touches:
                found.setdefault(unit, []).append(index)
        return {unit: tuple(indexes) for unit, indexes in found.items()}

    @cached_property
    def naming(self) -> tuple[int, ...]:
        """The effects that take or free names, in order."""
        return tuple(
            index
            for index, effect in enumerate(self.effects)
            if effect.takes or effect.frees or effect.passes
        )

    @cached_property
    def leaning(self) -> Mapping[Unit, tuple[tuple[int, Unit, bool], ...]]:
        """By unit, when (effect) it came to lean on which unit, or (False) ceased to, in order."""
        found: dict[Unit, list[tuple[int, Unit, bool]]] = {}
        for index, effect in enumerate(self.effects):
            for source, target in sorted(effect.unlinks):
                found.setdefault(source, []).append((index, target, False))
            for source, target in sorted(effect.links):
                found.setdefault(source, []).append((index, target, True))
        return {unit: tuple(events) for unit, events in found.items()}

    @cached_property
    def by_migration(self) -> Mapping[int, tuple[int, ...]]:
        """By migration, its effects, in order."""
        found: dict[int, list[int]] = {migration: [] for migration in range(len(self.migrations))}
        for index, effect in enumerate(self.effects):
            found.setdefault(effect.migration, []).append(index)
        return {migration: tuple(indexes) for migration, indexes in found.items()}

    @cached_property
    def schema(self) -> Schema:
        """The definitions of everything at the end; made when first asked for, since a plan needs none."""
        return Schema.from_json(self.definitions)


def relations(trace: Trace) -> tuple[Unit, ...]:
    """Every relation there is at the end, in the order in which they were made."""
    return tuple(
        unit
        for unit, info in enumerate(trace.units)
        if info.dropped is None and info.kind in RELATIONS and parts(info.name)[0] != "pg_temp"
    )
