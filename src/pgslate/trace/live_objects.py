"""Keeps the objects that are alive in the scratch database, and their units, in step with the database.

A row of a system catalog belongs to an object, an object to a unit: an index to its table, a comment to what
it describes, a member to its extension. ``LiveObjects`` takes in the rows that each statement wrote, and
returns how they change the units.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pgslate.schema.identifiers import parts
from pgslate.trace.altered_types import TYPES
from pgslate.trace.catalog_rows import (
    CommentRow,
    DefaultPrivilegesRow,
    DependencyRow,
    EnumValueRow,
    FunctionRow,
    InheritanceRow,
    NamedRow,
    ObjectRow,
    PartRow,
    RelationRow,
    Row,
    RowCount,
)
from pgslate.trace.changes import Changes
from pgslate.trace.effects import Link, Unit, UnitInfo
from pgslate.trace.loops import Thing
from pgslate.trace.object_lookup import ObjectLookup
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import (
    PG_CLASS,
    PG_CONSTRAINT,
    PG_DEPEND,
    PG_EVENT_TRIGGER,
    PG_EXTENSION,
    PG_NAMESPACE,
    PG_PROC,
    PG_TYPE,
    Object,
    only_marked,
)


class LiveObjects(ObjectLookup):
    """The objects alive in one database, kept in step with the rows that statements write and delete."""

    # -- keeping step

    def begin(self, rows: Iterable[Row], positions: Mapping[int, int | None] | None = None) -> None:
        """Take in what is there before the first statement, and how far its sequences are, by OID."""
        self._take_rows(list(rows), Changes(), at=None)
        self.storage.set_positions(positions or {})
        self._dependencies.settle()

    def take(
        self,
        rows: list[Row],
        observer: Observer,
        deleted: Collection[str],
        *,
        more_dependencies: int | None,
        at: int,
    ) -> Changes:
        """Take in what a statement wrote, and let go of what it deleted.

        Args:
            rows: The rows that it wrote.
            observer: Is asked for what is left.
            deleted: The names of the catalogs from which it deleted rows.
            more_dependencies: By how many rows pg_depend grew; None if that isn't known.
            at: The statement's number in the trace.
        """
        changes = Changes()
        self._dependencies.expect(more_dependencies)
        self._take_rows(rows, changes, at=at)
        if any(self.units[unit].kind == "schema" for unit in changes.changes) and changes.takes:
            self._rename_what_schemas_hold(observer, changes)
        self._let_go(changes, observer, deleted, at=at)
        for unit in changes.creates:
            changes.links |= {(unit, acl) for acl in self._default_privileges_for(unit)}
        self._change_types(changes)
        return changes

    def outcome(self, rows: Iterable[Row]) -> frozenset[Thing]:
        """What a statement that wrote these rows changed or made: the rows are not taken in."""
        found: set[Thing] = set()
        for row in rows:
            thing = self._thing(row)
            if thing is not None:
                found.add(thing)
        return frozenset(found)

    def end_of_file(self, *, at: int) -> None:
        """Forget temporary objects: they go with the file that made them; ``at`` is its last statement."""
        temporary = [unit for unit, name in self._qualified.items() if name[0] == "pg_temp"]
        for unit in temporary:
            self._forget(self._object_of[unit], Changes(), at=at)
        if temporary:
            self._dependencies.expect(None)

    # -- rows

    def _thing(self, row: Row) -> Thing | None:
        match row:
            case DependencyRow() | RowCount():
                return None
            case RelationRow() if self._definition.get(row.object) == row.definition:
                return None
            case RelationRow():
                obj = row.object if row.table is None else row.table
            case ObjectRow() | PartRow():
                obj = row.part_of or row.object
            case FunctionRow() | DefaultPrivilegesRow():
                obj = row.object
            case EnumValueRow():
                obj = row.type
            case InheritanceRow():
                obj = row.child
            case CommentRow():
                obj = row.described
        unit = self.unit(obj)
        if unit is not None:
            return unit
        if isinstance(row, NamedRow) and obj == row.object:
            return (row.kind, row.name)
        return None

    def _take_rows(self, rows: list[Row], changes: Changes, *, at: int | None) -> None:
        dependencies = [row for row in rows if isinstance(row, DependencyRow)]
        for row in dependencies:
            if row.deptype == "e" and row.referenced[0] == PG_EXTENSION:
                self._part_of[row.object] = row.referenced
        # Units first, since the parts among the rows may belong to units that this statement made.
        # In the order of their numbers, since rows may lie anywhere.
        units: list[NamedRow] = []
        others: list[Row] = []
        for each in rows:
            if isinstance(each, NamedRow) and _owner(each) is None:
                units.append(each)
            elif not isinstance(each, DependencyRow | RowCount):
                others.append(each)
        for unit_row in sorted(units, key=lambda row: (row.object[1], row.object[0])):
            self._unit_row(unit_row, changes, at)
        for other in others:
            self._part_row(other, changes)
        for row in dependencies:
            self._dependency_row(row, changes)

    def _unit_row(self, row: NamedRow, changes: Changes, at: int | None) -> None:
        obj = row.object
        if obj in self._part_of:  # a member of an extension
            self._name(obj, row.kind, row.name, changes)
            if obj[0] == PG_PROC:
                self.functions.add_member(row.name, obj)
            extension = self.unit(obj)
            if extension is not None and extension not in changes.creates:
                changes.change(extension)
            return
        unit = self._unit_of.get(obj)
        if unit is None:
            unit = len(self.units)
            self.units.append(UnitInfo(row.kind, row.name, made=at))
            self._unit_of[obj] = unit
            self._object_of[unit] = obj
            changes.creates.add(unit)
        elif unit not in changes.creates:
            before = self._definition.get(obj)
            if not isinstance(row, RelationRow):
                changes.change(unit)
            elif only_marked(before, row.definition):
                changes.mark(unit)
            elif before != row.definition:
                changes.change(unit)
        self._name(obj, row.kind, row.name, changes)
        if isinstance(row, RelationRow):
            self._definition[obj] = row.definition
            if self.storage.set_file(obj, row.storage):
                changes.rewritten.add(unit)
            taken, freed = self._names.set_place(obj, row.place)
            changes.takes |= taken
            changes.frees |= freed
        elif isinstance(row, FunctionRow):
            self.functions.set_body(unit, row.body)
        elif isinstance(row, DefaultPrivilegesRow):
            self._default_privileges[obj] = row.schema

    def _part_row(self, row: Row, changes: Changes) -> None:
        """Take in what is a part of another object: it changes that one's unit."""
        match row:
            case CommentRow():
                self._comment_row(row, changes)
            case EnumValueRow():
                renamed = self.types.add_value(row.type, row.oid, row.label)
                unit = self.unit(row.type)
                if unit is not None and unit not in changes.creates:
                    (changes.change if renamed else changes.extend)(unit)
            case InheritanceRow():
                self.storage.add_parent(row.child, row.parent)
                link = self._link(row.child, row.parent)
                if link is not None:
                    changes.attaches.add(link)
                self._change_owner(row.child, changes)
            case RelationRow(table=owner) | ObjectRow(part_of=owner) | PartRow(part_of=owner):
                assert owner is not None
                obj = row.object
                if owner != (PG_CLASS, obj[1]) and obj not in self._part_of:
                    self._part_of[obj] = owner
                self._alive[obj[0]].add(obj[1])
                if row.name is not None:
                    kind = "" if isinstance(row, PartRow) else row.kind
                    self._name(obj, kind, row.name, changes)
                if isinstance(row, RelationRow):  # an index, which may be just as it was
                    if self._definition.get(obj) == row.definition:
                        return
                    self._definition[obj] = row.definition
                self._change_owner(owner, changes)

    def _comment_row(self, row: CommentRow, changes: Changes) -> None:
        self._described.add((*row.described, row.column))
        unit = self.unit(row.described)
        if unit is not None and unit not in changes.creates:
            whole = row.described == self._object_of.get(unit) and not row.column
            (changes.mark if whole else changes.change)(unit)

    def _change_owner(self, owner: Object, changes: Changes) -> None:
        unit = self.unit(owner)
        if unit is not None and unit not in changes.creates:
            changes.change(unit)

    def _dependency_row(self, row: DependencyRow, changes: Changes) -> None:
        counted = row.catalog == PG_DEPEND
        self._dependencies.add(row.object, row.referenced, counted=counted)
        if counted:
            changes.with_dependencies.add(row.object)
        link = self._link(row.object, row.referenced)
        if link is not None:
            changes.links.add(link)
            if self.units[link[0]].kind in ("view", "materialized view"):
                self.storage.add_source(*link)

    def _link(self, obj: Object, ref: Object) -> Link | None:
        source, target = self.unit(obj), self.unit(ref)
        if source is None or target is None or source == target:
            return None
        return (source, target)

    def _change_types(self, changes: Changes) -> None:
        """A type is another one with a cast or an operator that PostgreSQL uses unnamed."""
        types = self.types.resolving(
            changes.links | changes.unlinks, changes.creates, changes.dropped, self.units
        )
        for unit in types - changes.creates - changes.dropped:
            changes.change(unit)
        self.types.alter(unit for unit in changes.altered if self.units[unit].kind in TYPES)

    # -- what is gone

    def _let_go(self, changes: Changes, observer: Observer, deleted: Collection[str], *, at: int) -> None:
        if not deleted:
            return
        gone: list[Object] = []
        for catalog, left in observer.remaining(deleted).items():
            gone += [(catalog, oid) for oid in self._alive[catalog] - left]
        # What the dropped objects leaned on is looked up while everything is still known.
        for obj in gone:
            for ref in self._dependencies.of(obj):
                link = self._link(obj, ref)
                if link is not None:
                    changes.unlinks.add(link)
        for obj in gone:
            owner = self.unit(obj)
            if owner is not None and obj not in self._unit_of and owner not in changes.creates:
                changes.change(owner)
        if "pg_description" in deleted:
            self._let_go_comments(observer, changes)
        if "pg_depend" in deleted:
            lost = self._dependencies.let_go(
                gone,
                changes.with_dependencies,
                known=self._alive,
                those_of=observer.edges_of,
                all_there_are=observer.edges,
            )
            links = (self._link(edge[:2], edge[2:]) for edge in lost)
            changes.unlinks |= {link for link in links if link is not None}
        for obj in gone:
            self._forget(obj, changes, at=at)
        changes.changes -= changes.dropped
        vanished = changes.creates & changes.dropped
        changes.creates -= vanished
        changes.dropped -= vanished

    def _let_go_comments(self, observer: Observer, changes: Changes) -> None:
        described = observer.described()
        for catalog, oid, _ in self._described - described:
            self._change_owner((catalog, oid), changes)
        self._described = described

    def _forget(self, obj: Object, changes: Changes, *, at: int | None) -> None:
        self._alive[obj[0]].discard(obj[1])
        self._dependencies.forget(obj)
        self._definition.pop(obj, None)
        self.types.forget(obj)
        self._default_privileges.pop(obj, None)
        self._part_of.pop(obj, None)
        changes.frees |= self._names.free(obj)
        unit = self._unit_of.pop(obj, None)
        self.storage.forget(obj, unit)
        if unit is not None:
            known = self.units[unit]
            self.units[unit] = UnitInfo(known.kind, known.name, known.made, at)
            self._object_of.pop(unit, None)
            self._event_triggers.discard(unit)
            self.functions.name(unit, self._qualified.pop(unit), None)
            changes.dropped.add(unit)

    # -- names

    def _name(self, obj: Object, kind: str, name: str, changes: Changes) -> None:
        self._alive[obj[0]].add(obj[1])
        taken, freed = self._names.take(obj, kind, name)
        changes.takes |= taken
        changes.frees |= freed
        unit = self._unit_of.get(obj)
        if unit is None:
            return
        known = self.units[unit]
        if (known.kind, known.name) != (kind, name):
            self.units[unit] = UnitInfo(kind, name, known.made, known.dropped)
        before, self._qualified[unit] = self._qualified.get(unit), parts(name)
        if obj[0] == PG_PROC:
            self.functions.name(unit, before, self._qualified[unit])
        elif obj[0] == PG_EVENT_TRIGGER:
            self._event_triggers.add(unit)

    def _rename_what_schemas_hold(self, observer: Observer, changes: Changes) -> None:
        """A schema's new name changes those of everything in it: ask for all names again."""
        named = [obj for obj in self._names if obj[0] != PG_CONSTRAINT]
        for catalog, oid, kind, name in observer.identities(named):
            self._name((catalog, oid), kind, name, changes)

    def _default_privileges_for(self, unit: Unit) -> Iterable[Unit]:
        obj = self._object_of.get(unit)
        if obj is None or obj[0] not in (PG_CLASS, PG_PROC, PG_TYPE, PG_NAMESPACE):
            return
        inside = {ref[1] for ref in self._dependencies.of(obj) if ref[0] == PG_NAMESPACE}
        for privileges, schema in self._default_privileges.items():
            if schema == 0 or schema in inside:
                yield self._unit_of[privileges]


def _owner(row: NamedRow) -> Object | None:
    if isinstance(row, RelationRow):
        return row.table
    return row.part_of if isinstance(row, ObjectRow) else None
