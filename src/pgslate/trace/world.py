"""What is alive in the scratch database while a catalog is traced: objects, their names, what leans on what.

A row of a system catalog belongs to an object, an object to a unit: an index to its table, a comment to what
it describes, a member to its extension. The world keeps that belonging and the edges between objects, and
tells what the rows that one statement wrote mean for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pgslate.schema.identifiers import parts, qualified
from pgslate.trace import references
from pgslate.trace.dependencies import Edges
from pgslate.trace.effects import Link, Unit, UnitInfo
from pgslate.trace.loops import Thing
from pgslate.trace.names_in_use import KINDS_WITH_TYPE, RELATIONS, Holders
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import (
    PG_CLASS,
    PG_CONSTRAINT,
    PG_DEFAULT_ACL,
    PG_DEPEND,
    PG_DESCRIPTION,
    PG_ENUM,
    PG_EVENT_TRIGGER,
    PG_EXTENSION,
    PG_INHERITS,
    PG_NAMESPACE,
    PG_PROC,
    PG_SHDEPEND,
    PG_TYPE,
    Object,
    Row,
    only_marked,
)


@dataclass(slots=True)
class Told:
    """What one statement did, collected while its rows are read."""

    creates: set[Unit] = field(default_factory=set)
    changes: set[Unit] = field(default_factory=set)
    marks: set[Unit] = field(default_factory=set)
    shapes: set[Unit] = field(default_factory=set)  # changed in more than a mark
    dropped: set[Unit] = field(default_factory=set)
    leans: set[Object] = field(default_factory=set)  # objects that edges were written for
    links: set[Link] = field(default_factory=set)
    unlinks: set[Link] = field(default_factory=set)
    attaches: set[Link] = field(default_factory=set)
    altered: set[Unit] = field(default_factory=set)  # changed so that what reads it may see something else
    rewritten: set[Unit] = field(default_factory=set)  # given new storage: TRUNCATE, REFRESH
    takes: set[str] = field(default_factory=set)
    frees: set[str] = field(default_factory=set)

    def change(self, unit: Unit) -> None:
        self.changes.add(unit)
        self.shapes.add(unit)
        self.altered.add(unit)

    def grow(self, unit: Unit) -> None:
        self.changes.add(unit)
        self.shapes.add(unit)

    def mark(self, unit: Unit) -> None:
        self.changes.add(unit)
        self.marks.add(unit)


class World:
    """The objects alive in one database, by OID, with the units they belong to."""

    def __init__(self, builtin: frozenset[str] = frozenset()) -> None:
        """``builtin`` are the names of PostgreSQL's own functions."""
        self.units: list[UnitInfo] = []
        self._builtin = builtin
        self._members: dict[references.Name, set[Object]] = defaultdict(set)  # the functions of extensions
        self._unit_of: dict[Object, Unit] = {}  # objects that are units of their own
        self._object_of: dict[Unit, Object] = {}
        self._part_of: dict[Object, Object] = {}
        self._digest: dict[Object, int] = {}
        self._edges = Edges()
        self._known: dict[int, set[int]] = defaultdict(set)  # by system catalog, the objects there are
        self._holders = Holders()
        self._functions: dict[str, set[Unit]] = defaultdict(set)
        self._words: dict[Unit, frozenset[str]] = {}
        self._calls: dict[Unit, frozenset[references.Name]] = {}
        self._parts: dict[Unit, list[str]] = {}
        self._event_triggers: set[Unit] = set()
        self._labels: dict[Object, set[str]] = defaultdict(set)  # the values of enums
        self._described: set[tuple[int, int, int]] = set()
        self._default_acl_schema: dict[Object, int] = {}
        self._storage: dict[Object, int] = {}
        self._parents: dict[Object, set[Object]] = defaultdict(set)  # of partitions and inheritance children
        self._sources: dict[Unit, set[Unit]] = defaultdict(set)  # of views
        self._positions: dict[Object, int | None] = {}
        self._values: dict[int, str] = {}  # of enums, by the OID of their row
        self._altered: set[Unit] = set()  # types that were changed after they were made
        self._of_any_type: set[Unit] = set()  # casts and operators between PostgreSQL's own types
        self._without_counts: set[Unit] = set()  # functions that speak of the setting track_counts

    # -- looking up

    def unit(self, obj: Object) -> Unit | None:
        """The unit that an object belongs to, or None for PostgreSQL's own."""
        for _ in range(8):
            found = self._unit_of.get(obj)
            if found is not None:
                return found
            owner = self._part_of.get(obj)
            if owner is None:
                return None
            obj = owner
        return None

    def object(self, unit: Unit) -> Object | None:
        """The catalog and OID of a live unit."""
        return self._object_of.get(unit)

    def function_words(self, unit: Unit) -> frozenset[str]:
        """The words of a function's body."""
        return self._words.get(unit, frozenset())

    def function_calls(self, unit: Unit) -> frozenset[references.Name]:
        """What a function's body could be calling."""
        return self._calls.get(unit, frozenset())

    def relation(self, name: references.Name, path: Iterable[str]) -> Unit | None:
        """The unit that a relation's or type's name means with this search path; an index means its table."""
        for schema in (name[0],) if name[0] else path:
            holder = self._holders.relation(schema, name[1])
            if holder is not None:
                return self.unit(holder)
        return None

    def functions(self, name: references.Name, path: Iterable[str]) -> set[Unit]:
        """Every overload of a function's name with this search path; for an extension's, the extension.

        A bare name that PostgreSQL has a function of is taken for that one before an extension's.
        """
        schemas = (name[0],) if name[0] else tuple(path)
        found = {unit for unit in self._functions.get(name[1], ()) if self._parts[unit][0] in schemas}
        if name[0] or name[1] not in self._builtin:
            members = (obj for schema in schemas for obj in self._members.get((schema, name[1]), ()))
            found |= {unit for obj in members if (unit := self.unit(obj)) is not None}
        return found

    def mentioned(self, words: Iterable[str]) -> set[Unit]:
        """The units that a text with these words could be naming, themselves or an index or constraint."""
        found = (self.unit(obj) for word in words for obj in self._holders.of_word(word))
        return {unit for unit in found if unit is not None}

    def elsewhere(self, said: str) -> list[str]:
        """The relations and types, by their whole names, that a "does not exist" meant by their bare ones."""
        missing = _MISSING.fullmatch(said)
        if missing is None:
            return []
        named = (self.units[unit] for unit in self._object_of)
        return sorted(u.name for u in named if u.kind in _SEARCHED and parts(u.name)[-1] == missing["name"])

    def read_through(self, units: Iterable[Unit], opened: Collection[Unit]) -> set[Unit]:
        """The units, and those of ``opened`` that are read with them: children of tables, sources of
        views."""
        found = set(units)
        queue = list(found)
        if len(found) == len(opened):
            return found
        children: dict[Unit, set[Unit]] = defaultdict(set)
        for child in opened:
            obj = self._object_of.get(child)
            for parent in self._parents.get(obj, ()) if obj is not None else ():
                if (unit := self.unit(parent)) is not None:
                    children[unit].add(child)
        for unit in queue:
            new = (children[unit] | (self._sources.get(unit, set()).intersection(opened))) - found
            found |= new
            queue += new
        return found

    def position(self, sequence: Object) -> int | None:
        """The last number that a sequence is known to have given out."""
        return self._positions.get(sequence)

    def set_positions(self, positions: Mapping[int, int | None]) -> None:
        """Take in how far sequences are, by OID."""
        self._positions.update(((PG_CLASS, oid), position) for oid, position in positions.items())

    def types_used(self, units: Iterable[Unit]) -> set[Unit]:
        """The types of the columns and arguments of ``units`` that were changed since they were made.

        Types of types are among them: a domain's, an array's, those of a composite type. So is a table whose
        row type is one.
        """
        found = set(units)
        queue = list(found)
        types = {unit for unit in found if self.units[unit].kind in TYPES}
        for unit in queue:
            obj = self._object_of.get(unit)
            refs = self._edges.of(obj) if obj is not None else ()
            for used in {self.unit(ref) for ref in refs if ref[0] == PG_TYPE} - types - {None, unit}:
                assert used is not None
                types.add(used)
                if used not in found:
                    found.add(used)
                    queue.append(used)
        return {unit for unit in types if unit in self._altered or self.units[unit].kind in RELATIONS}

    def resolved_silently(self, text: str) -> set[Unit]:
        """The casts and operators between PostgreSQL's own types that a statement may use unnamed."""
        return {
            unit
            for unit in self._of_any_type
            if self.units[unit].kind != "operator" or _symbol(self.units[unit].name) in text
        }

    def may_hide_counts(self) -> bool:
        """Whether a function may switch off the counters that the observer reads."""
        return bool(self._without_counts)

    def alive(self) -> list[Unit]:
        """The units that are there, in the order in which they were made."""
        return sorted(self._object_of)

    def enums_said(self, text: str, relations: Iterable[Unit]) -> set[Unit]:
        """The enums of columns of ``relations`` of which the text says a value."""
        if "'" not in text:
            return set()
        objects = (obj for unit in relations if (obj := self._object_of.get(unit)) is not None)
        refs = {ref for obj in objects for ref in self._edges.of(obj) if ref[0] == PG_TYPE}
        types = {unit for ref in refs if (unit := self.unit(ref)) is not None}
        labels = {unit: self._labels.get(self._object_of[unit], ()) for unit in types}
        return {unit for unit in types if any(f"'{label}'" in text for label in labels[unit])}

    def is_temporary(self, unit: Unit) -> bool:
        """Whether a unit goes with the session."""
        return self._parts[unit][0] == "pg_temp"

    def fired_by(self, functions: Collection[Unit]) -> set[Unit]:
        """The event triggers that call one of these functions."""
        return {
            trigger
            for trigger in self._event_triggers
            if any(self.unit(ref) in functions for ref in self._edges.of(self._object_of[trigger]))
        }

    def before_numbered(self, taken: Iterable[str], words: frozenset[str]) -> set[Unit]:
        """The units that hold the names for whose sake PostgreSQL numbered some of ``taken``.

        A name that is one of ``words`` was given as it is.
        """
        found = map(self.unit, self._holders.before_numbered(taken, words))
        return {unit for unit in found if unit is not None}

    def passed(self, words: Iterable[str], freed: Collection[str]) -> set[str]:
        """The names that code with these words may have taken and freed again, where it ``freed`` others."""
        return self._holders.free_again(words) - set(freed)

    # -- taking in

    def begin(self, rows: Iterable[Row], positions: Mapping[int, int | None] | None = None) -> None:
        """Take in what is there before the first statement, and how far its sequences are, by OID."""
        self._take(list(rows), Told(), at=None)
        self.set_positions(positions or {})
        self._edges.settle()

    def take(
        self,
        rows: list[Row],
        observer: Observer,
        deleted: Collection[str],
        *,
        more_edges: int | None,
        at: int,
    ) -> Told:
        """Take in what statement ``at`` wrote, and let go what it deleted from the catalogs ``deleted``.

        By ``more_edges`` rows pg_depend grew, None if that isn't known.
        """
        told = Told()
        self._edges.expect(more_edges)
        self._take(rows, told, at=at)
        if any(self.units[unit].kind == "schema" for unit in told.changes) and told.takes:
            self._renamed_schemas(observer, told)
        self._let_go(told, observer, deleted, at=at)
        for unit in told.creates:
            told.links |= {(unit, acl) for acl in self._default_acls_for(unit)}
        self._change_types(told)
        return told

    def _change_types(self, told: Told) -> None:
        """A type is another one with a cast or an operator that PostgreSQL finds without being told."""
        of_types = {link for link in told.links | told.unlinks if self.units[link[0]].kind in _SILENT}
        for _, used in of_types:
            if self.units[used].kind in (*TYPES, *RELATIONS) and used not in told.creates | told.dropped:
                told.change(used)
        self._altered |= {unit for unit in told.altered if self.units[unit].kind in TYPES}
        with_type = {link[0] for link in of_types if self.units[link[1]].kind in (*TYPES, *RELATIONS)}
        made = {unit for unit in told.creates if self.units[unit].kind in _SILENT}
        self._of_any_type |= made - with_type
        self._of_any_type -= told.dropped

    def outcome(self, rows: Iterable[Row]) -> frozenset[Thing]:
        """What a statement that wrote these rows changed or made: the rows are not taken in."""
        found: set[Thing] = set()
        for row in rows:
            if row.catalog in (PG_DEPEND, PG_SHDEPEND):
                continue
            obj = (row.catalog, row.oid)
            if row.catalog == PG_CLASS and obj in self._digest and self._digest[obj] == row.digest:
                continue
            unit = self.unit(obj if row.part_oid is None else (row.part_class or 0, row.part_oid))
            if unit is not None:
                found.add(unit)
            elif row.part_oid is None and row.name is not None:
                found.add((row.kind or "", row.name))
        return frozenset(found)

    def end_of_file(self, *, at: int) -> None:
        """Forget temporary objects: they go with the file that made them; ``at`` is its last statement."""
        temporary = [u for u, named in self._parts.items() if named[0] == "pg_temp"]
        for unit in temporary:
            self._forget(self._object_of[unit], Told(), at=at)
        if temporary:
            self._edges.expect(None)

    def requirements(self) -> dict[Unit, dict[Unit, str]]:
        """From each live unit to those it leans on, with the kind of what leans."""
        found: dict[Unit, dict[Unit, str]] = defaultdict(dict)
        for obj, refs in self._edges:
            source = self.unit(obj)
            if source is None or source not in self._object_of:
                continue
            for ref in refs:
                target = self.unit(ref)
                if target is not None and target != source and target in self._object_of:
                    how = _WHY.get(obj[0], "definition")
                    found[source][target] = min(how, found[source].get(target, how))
        return dict(found)

    # -- rows

    def _take(self, rows: list[Row], told: Told, *, at: int | None) -> None:
        edges = [row for row in rows if row.catalog in (PG_DEPEND, PG_SHDEPEND)]
        for row in edges:
            if row.deptype == "e" and row.part_class == PG_EXTENSION:
                assert row.digest is not None
                assert row.part_oid is not None
                self._part_of[(row.digest, row.oid)] = (PG_EXTENSION, row.part_oid)
        # Units first, since the parts among the rows may belong to units that this statement made.
        # In the order of their numbers, since rows may lie anywhere.
        others = sorted(
            (row for row in rows if row.catalog not in (PG_DEPEND, PG_SHDEPEND)),
            key=lambda row: (row.oid, row.catalog),
        )
        for row in others:
            if row.part_oid is None and row.name is not None:
                self._unit_row(row, told, at)
        for row in others:
            if row.part_oid is not None:
                self._part_row(row, told)
        for row in edges:
            self._edge_row(row, told)

    def _unit_row(self, row: Row, told: Told, at: int | None) -> None:
        obj = (row.catalog, row.oid)
        kind, name = row.kind or "", row.name or ""
        if obj in self._part_of:  # a member of an extension
            self._rename(obj, kind, name, told)
            if row.catalog == PG_PROC:
                self._members[qualified(name)].add(obj)
            extension = self.unit(obj)
            if extension is not None and extension not in told.creates:
                told.change(extension)
            return
        unit = self._unit_of.get(obj)
        if unit is None:
            unit = len(self.units)
            self.units.append(UnitInfo(kind, name, made=at))
            self._unit_of[obj] = unit
            self._object_of[unit] = obj
            if row.digest is not None:
                self._digest[obj] = row.digest
            told.creates.add(unit)
        elif row.catalog == PG_DEFAULT_ACL or self._digest.get(obj, _NEVER) != row.digest:
            marked = row.catalog == PG_CLASS and only_marked(self._digest.get(obj), row.digest)
            if row.digest is not None:
                self._digest[obj] = row.digest
            if unit not in told.creates:
                (told.mark if marked else told.change)(unit)
        if row.catalog == PG_DEFAULT_ACL:
            self._default_acl_schema[obj] = row.digest or 0
        self._rename(obj, kind, name, told)
        if row.catalog == PG_CLASS:
            storage = row.number or 0
            if self._storage.get(obj, storage) != storage:
                told.rewritten.add(unit)
            self._storage[obj] = storage
            taken, freed = self._holders.place(obj, row.source)
            told.takes |= taken
            told.frees |= freed
        elif row.source is not None:
            self._words[unit] = references.words(row.source)
            if "track_counts" in self._words[unit]:
                self._without_counts.add(unit)
            self._calls[unit] = references.called(row.source)

    def _part_row(self, row: Row, told: Told) -> None:
        obj, owner = (row.catalog, row.oid), (row.part_class or 0, row.part_oid or 0)
        if row.catalog == PG_DESCRIPTION:
            self._described.add((owner[0], owner[1], row.digest or 0))
        elif owner != (PG_CLASS, row.oid) and obj not in self._part_of:
            self._part_of[obj] = owner
        self._known[obj[0]].add(obj[1])
        is_new_value = False
        if row.catalog == PG_ENUM and row.source is not None:
            self._labels[owner].add(row.source)
            is_new_value = self._values.setdefault(row.number or 0, row.source) == row.source
            self._values[row.number or 0] = row.source
        if row.catalog == PG_INHERITS:
            parent = (PG_CLASS, row.number or 0)
            self._parents[owner].add(parent)
            link = self._link(owner, parent)
            if link is not None:
                told.attaches.add(link)
        if row.name is not None:
            self._rename(obj, row.kind or "", row.name, told)
        if row.catalog == PG_CLASS:  # an index: what changed of it, if it is not new
            if self._digest.get(obj) == row.digest:
                return
            self._digest[obj] = row.digest or 0
        unit = self.unit(owner)
        if unit is not None and unit not in told.creates:
            whole = row.catalog == PG_DESCRIPTION and owner == self._object_of.get(unit)
            if is_new_value:
                told.grow(unit)
            else:
                (told.mark if whole and not row.digest else told.change)(unit)

    def _edge_row(self, row: Row, told: Told) -> None:
        obj, ref = (row.digest or 0, row.oid), (row.part_class or 0, row.part_oid or 0)
        counted = row.catalog == PG_DEPEND
        self._edges.add(obj, ref, counted=counted)
        if counted:
            told.leans.add(obj)
        link = self._link(obj, ref)
        if link is not None:
            told.links.add(link)
            if self.units[link[0]].kind in ("view", "materialized view"):
                self._sources[link[0]].add(link[1])

    def _link(self, obj: Object, ref: Object) -> Link | None:
        source, target = self.unit(obj), self.unit(ref)
        if source is None or target is None or source == target:
            return None
        return (source, target)

    # -- what is gone

    def _let_go(self, told: Told, observer: Observer, deleted: Collection[str], *, at: int) -> None:
        if not deleted:
            return
        gone: list[Object] = []
        for catalog, left in observer.remaining(deleted).items():
            gone += [(catalog, oid) for oid in self._known[catalog] - left]
        # What the dropped objects leaned on is looked up while everything is still known.
        for obj in gone:
            for ref in self._edges.of(obj):
                link = self._link(obj, ref)
                if link is not None:
                    told.unlinks.add(link)
        for obj in gone:
            owner = self.unit(obj)
            if owner is not None and obj not in self._unit_of and owner not in told.creates:
                told.change(owner)
        if "pg_description" in deleted:
            described = observer.described()
            for key in self._described - described:
                owner = self.unit((key[0], key[1]))
                if owner is not None and owner not in told.creates:
                    told.change(owner)
            self._described = described
        if "pg_depend" in deleted:
            lost = self._edges.let_go(
                gone,
                told.leans,
                known=self._known,
                those_of=observer.edges_of,
                all_there_are=observer.edges,
            )
            links = (self._link(edge[:2], edge[2:]) for edge in lost)
            told.unlinks |= {link for link in links if link is not None}
        for obj in gone:
            self._forget(obj, told, at=at)
        told.changes -= told.dropped
        vanished = told.creates & told.dropped
        told.creates -= vanished
        told.dropped -= vanished

    def _forget(self, obj: Object, told: Told, *, at: int | None) -> None:
        self._known[obj[0]].discard(obj[1])
        self._edges.forget(obj)
        self._digest.pop(obj, None)
        self._storage.pop(obj, None)
        self._parents.pop(obj, None)
        self._positions.pop(obj, None)
        self._labels.pop(obj, None)
        self._default_acl_schema.pop(obj, None)
        self._part_of.pop(obj, None)
        told.frees |= self._holders.free(obj)
        unit = self._unit_of.pop(obj, None)
        if unit is not None:
            known = self.units[unit]
            self.units[unit] = UnitInfo(known.kind, known.name, known.made, at)
            self._object_of.pop(unit, None)
            self._sources.pop(unit, None)
            self._event_triggers.discard(unit)
            self._without_counts.discard(unit)
            self._functions[self._parts.pop(unit)[-1]].discard(unit)
            told.dropped.add(unit)

    # -- names

    def _rename(self, obj: Object, kind: str, name: str, told: Told) -> None:
        self._known[obj[0]].add(obj[1])
        taken, freed = self._holders.take(obj, kind, name)
        told.takes |= taken
        told.frees |= freed
        unit = self._unit_of.get(obj)
        if unit is not None:
            known = self.units[unit]
            if (known.kind, known.name) != (kind, name):
                self.units[unit] = UnitInfo(kind, name, known.made, known.dropped)
            if unit in self._parts:
                self._functions[self._parts[unit][-1]].discard(unit)
            self._parts[unit] = parts(name)
            if obj[0] == PG_PROC:
                self._functions[self._parts[unit][-1]].add(unit)
            elif obj[0] == PG_EVENT_TRIGGER:
                self._event_triggers.add(unit)

    def _renamed_schemas(self, observer: Observer, told: Told) -> None:
        """A schema's new name changes those of everything in it: ask for all names again."""
        named = [obj for obj in self._holders if obj[0] != PG_CONSTRAINT]
        for catalog, oid, kind, name in observer.identities(named):
            self._rename((catalog, oid), kind, name, told)

    def _default_acls_for(self, unit: Unit) -> Iterable[Unit]:
        obj = self._object_of.get(unit)
        if obj is None or obj[0] not in (PG_CLASS, PG_PROC, PG_TYPE, PG_NAMESPACE):
            return
        inside = {ref[1] for ref in self._edges.of(obj) if ref[0] == PG_NAMESPACE}
        for acl, schema in self._default_acl_schema.items():
            if schema == 0 or schema in inside:
                yield self._unit_of[acl]


_WHY: Mapping[int, str] = {
    PG_CLASS: "definition",
    2606: "constraint",
    2604: "column default",
    2620: "trigger",
    2618: "query",
    3256: "policy",
    PG_PROC: "signature",
    PG_TYPE: "type",
}


TYPES = ("type", "composite type")

_SILENT = ("cast", "operator", "operator class", "operator family", "transform")
"""The kinds of what PostgreSQL uses where a statement doesn't name it, by the types at hand."""


def _symbol(operator: str) -> str:
    """An operator's own sign.

    >>> _symbol('public.=(public.key2,public.key2)'), _symbol('public.||(integer,text)')
    ('=', '||')
    """
    return operator.partition("(")[0].rpartition(".")[2]


_SEARCHED = (*KINDS_WITH_TYPE, "sequence", "type")
_MISSING = re.compile(rf'(?:relation|{"|".join(_SEARCHED)}) "(?P<name>[^".]+)" does not exist')

_NEVER = object()
