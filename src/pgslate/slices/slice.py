"""A slice: what a set of tables needs of a catalog, in one of three forms.

A table needs every statement that touched it. A statement needs what it changed, read or leaned on, as that
was before it; so those units need every statement that touched them before. (Where a statement only gives
rights, row security or a comment to a relation, that relation has to be there, and no more: what made and
renamed it.) In the *files* form a statement brings its whole file along, in the *statements* form the session
settings above it; the *objects* form makes the required objects from their final definitions.

``needs`` has the rules as the edges of a graph, ``walk`` goes over it. This module is the data that comes
out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import ProofError
from pgslate.schema.model import Name, Schema
from pgslate.slices.walk import Cause, causes, walk_of
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening

if TYPE_CHECKING:
    from pgslate.partitions.policy import PartitionPolicy

_LIKE = re.compile(r"\blike\b", re.IGNORECASE)
Form = Literal["files", "statements", "objects"]
FORMS: tuple[Form, ...] = ("files", "statements", "objects")


@dataclass(frozen=True)
class Slice:
    """What a set of tables needs of a catalog.

    ``catalog`` and ``trace`` are what it was cut from. ``tables`` is what was asked for, by name (empty:
    everything), ``asked`` the same as units. ``required`` are the units that these need at the end,
    ``effects`` the indexes into the trace's effects that are replayed in this form, ``needed`` those of them
    that are needed for themselves and not just for their file. ``migrations`` are indexes into the catalog.
    ``widening`` is what failed proofs added.

    The rest is what its project adds. ``prelude`` is run on an empty database before the first migration.
    ``policies`` are the partition policies of the required tables, and ``partitions`` the names of the
    partitions that were asked for, by the policy's table. ``allow`` are names, or patterns of names, of
    objects that a database may hold though no migration makes them. ``project_path`` is the file or folder
    that the project is known by.
    """

    catalog: Catalog = field(repr=False)
    trace: Trace = field(repr=False)
    tables: tuple[str, ...]
    form: Form
    asked: tuple[Unit, ...]
    required: frozenset[Unit]
    effects: frozenset[int]
    needed: frozenset[int]
    migrations: tuple[int, ...]
    widening: Widening = NOTHING
    prelude: tuple[PreludeFile, ...] = field(default=(), repr=False)
    policies: tuple[PartitionPolicy, ...] = ()
    partitions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    project_path: Path | None = None

    @cached_property
    def files(self) -> tuple[Migration, ...]:
        """The migrations to run, in order."""
        return tuple(self.catalog.migrations[index] for index in self.migrations)

    @cached_property
    def required_names(self) -> tuple[Name, ...]:
        """The kind and name of each required object, in the order in which the catalog made them."""
        units = self.trace.units
        return tuple((units[unit].kind, units[unit].name) for unit in sorted(self.required))

    @cached_property
    def expected(self) -> Schema:
        """The definitions of the required objects, as the whole catalog leaves them."""
        return self.trace.schema.within(self.required_names)

    @cached_property
    def statement_digests(self) -> tuple[str, ...]:
        """What stands for the text of each statement that is replayed, in order."""
        found = []
        for index in sorted(self.effects):
            effect = self.trace.effects[index]
            file = self.catalog.migrations[effect.migration]
            found.append(effect.digest or f"{file.checksum} {effect.statement}")
        return tuple(found)

    @cached_property
    def key(self) -> str:
        """64 hexadecimal digits over all that a database holds to which the prelude and the slice are
        applied: equal keys, equal databases."""
        document = {
            "form": self.form,
            "prelude": [file.text for file in self.prelude],
            "session": sorted(self.catalog.settings.items()),
            "migrations": [(file.version, file.checksum) for file in self.files],
            "statements": self.statement_digests if self.form == "statements" else (),
            "objects": self.required_names if self.form == "objects" else (),
        }
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()

    @cached_property
    def copies(self) -> frozenset[Name]:
        """Of the required tables, those that were made LIKE others."""
        units, effects = self.trace.units, self.trace.effects
        found = set()
        for unit in self.required:
            info = units[unit]
            if info.kind == "table" and info.made is not None:
                made = effects[info.made]
                text = self.catalog.migrations[made.migration].statements[made.statement].text
                if _LIKE.search(text):
                    found.add((info.kind, info.name))
        return frozenset(found)

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

    @cached_property
    def extensions(self) -> tuple[str, ...]:
        """The extensions that a server must have for the slice to be applied."""
        made = {unit for index in self.effects for unit in self.trace.effects[index].creates}
        units = (self.trace.units[unit] for unit in made | self.required)
        names = {unit.name.strip('"') for unit in units if unit.kind == "extension"}
        return tuple(sorted(names - {"plpgsql"}))

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

    @property
    def widened(self) -> tuple[str, ...]:
        """What failed proofs added, in words."""
        return self.widening.why

    @property
    def changing(self) -> tuple[str, ...]:
        """What hangs on time or chance of the required rows: ``public.users.created_at``, or a whole table's
        name. Proofs leave it out."""
        found: list[str] = []
        for _, name in self.required_names:
            columns = self.trace.changing.get(name, ())
            found += [name] if "*" in columns else [f"{name}.{column}" for column in columns]
        return tuple(sorted(found))

    @property
    def causes(self) -> Mapping[int, Cause]:
        """Why each statement is in the slice."""
        return self._causes[0]

    @property
    def unit_causes(self) -> Mapping[Unit, Cause]:
        """Why each unit is in the slice."""
        return self._causes[1]

    @cached_property
    def _causes(self) -> tuple[Mapping[int, Cause], Mapping[Unit, Cause]]:
        if self.is_whole:
            cause = Cause("everything was asked for")
            return dict.fromkeys(self.effects, cause), dict.fromkeys(self.required, cause)
        required = required_units(self.trace, self.asked, self.widening)
        statements = dict.fromkeys(sorted(self.widening.effects), Cause("a failed proof asked for it"))
        precise = walk_of(self.trace, whole_files=False)
        of_statements, of_units = causes(precise, precise.walk(required, statements), required, statements)
        if self.form == "files":
            walk = walk_of(self.trace, whole_files=True)
            more, more_units = causes(walk, walk.walk(required, statements), required, statements)
            of_statements, of_units = {**more, **of_statements}, {**more_units, **of_units}
        return of_statements, of_units


def required_units(trace: Trace, asked: Iterable[Unit], widening: Widening = NOTHING) -> dict[Unit, Cause]:
    """The units that ``asked``, and those of a widening, need at the end to exist and to work.

    Each has its cause.
    """
    found: dict[Unit, Cause] = {unit: Cause("asked for") for unit in asked}
    for unit in sorted(widening.units):
        found.setdefault(unit, Cause("a failed proof asked for it"))
    queue = list(found)
    for unit in queue:
        for target, how in trace.requires.get(unit, {}).items():
            if target not in found:
                found[target] = Cause(how, unit=unit)
                queue.append(target)
    return found


def is_touched(catalog: Catalog, trace: Trace, unit: Unit) -> bool:
    """Whether migrations have a part in what a unit needs. One that a prelude makes may need none."""
    if trace.units[unit].made is not None:
        return True
    return bool(slice_of(catalog, trace, [unit], form="statements", widening=NOTHING).effects)


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
    required = required_units(trace, asked, widening)
    precise = walked = walk_of(trace, whole_files=False).walk(required, widening.effects)
    if form == "files":
        walked = walk_of(trace, whole_files=True).walk(required, widening.effects)
    return Slice(
        catalog=catalog,
        trace=trace,
        tables=tables,
        form=form,
        asked=tuple(asked),
        required=frozenset(required),
        effects=walked.effects,
        needed=precise.effects & walked.effects,
        migrations=walked.migrations,
        widening=widening,
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
        asked=tuple(sorted(alive)),
        required=alive,
        effects=everything,
        needed=everything,
        migrations=tuple(range(len(trace.migrations))),
    )
