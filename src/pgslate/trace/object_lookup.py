"""Answers questions about the objects that are alive in the scratch database, and the units they belong to.

Names, dependencies, functions, types and the storage of rows have a class each; ``LiveObjects`` keeps all of
them in step with the database.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from pgslate.schema.identifiers import parts
from pgslate.trace import references
from pgslate.trace.altered_types import RESOLVED, TYPES, Types, labels_in
from pgslate.trace.dependencies import Dependencies
from pgslate.trace.effects import Unit, UnitInfo
from pgslate.trace.functions import Functions
from pgslate.trace.names_in_use import KINDS_WITH_TYPE, RELATIONS, NamesInUse
from pgslate.trace.row_storage import RowStorage
from pgslate.trace.system_catalogs import (
    PG_CLASS,
    PG_PROC,
    PG_TYPE,
    Object,
)


class ObjectLookup:
    """The objects alive in one database, by OID, with the units they belong to; answers questions only."""

    def __init__(self, builtin: frozenset[str] = frozenset()) -> None:
        """``builtin`` are the names of PostgreSQL's own functions."""
        self.units: list[UnitInfo] = []
        self.functions = Functions(builtin)
        self.types = Types()
        self.storage = RowStorage()
        self._names = NamesInUse()
        self._dependencies = Dependencies()
        self._unit_of: dict[Object, Unit] = {}  # objects that are units of their own
        self._object_of: dict[Unit, Object] = {}
        self._part_of: dict[Object, Object] = {}
        self._definition: dict[Object, int] = {}  # of relations and indexes, a hash
        self._alive: dict[int, set[int]] = defaultdict(set)  # by system catalog, the OIDs there are
        self._qualified: dict[Unit, list[str]] = {}
        self._event_triggers: set[Unit] = set()
        self._described: set[tuple[int, int, int]] = set()
        self._default_privileges: dict[Object, int] = {}  # with their schema

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

    def alive(self) -> list[Unit]:
        """The units that are there, in the order in which they were made."""
        return sorted(self._object_of)

    def is_temporary(self, unit: Unit) -> bool:
        """Whether a unit goes with the session."""
        return self._qualified[unit][0] == "pg_temp"

    def relation(self, name: references.Name, path: Iterable[str]) -> Unit | None:
        """The unit that a relation's or type's name means with this search path; an index means its table."""
        for schema in (name[0],) if name[0] else path:
            holder = self._names.relation(schema, name[1])
            if holder is not None:
                return self.unit(holder)
        return None

    def functions_named(self, name: references.Name, path: Iterable[str]) -> set[Unit]:
        """Every overload of a function's name with this search path; for an extension's, the extension.

        A bare name that PostgreSQL has a function of is taken for that one before an extension's.
        """
        path = tuple(path)
        members = map(self.unit, self.functions.members_named(name, path))
        return self.functions.named(name, path) | {unit for unit in members if unit is not None}

    def mentioned(self, words: Iterable[str]) -> set[Unit]:
        """The units that a text with these words could be naming, themselves or an index or constraint."""
        found = (self.unit(obj) for word in words for obj in self._names.of_word(word))
        return {unit for unit in found if unit is not None}

    def meant_elsewhere(self, message: str) -> list[str]:
        """The whole names of the relations and types that a "does not exist" may have meant."""
        missing = _MISSING.fullmatch(message)
        if missing is None:
            return []
        named = (self.units[unit] for unit in self._object_of)
        return sorted(u.name for u in named if u.kind in _SEARCHED and parts(u.name)[-1] == missing["name"])

    def before_numbered(self, taken: Iterable[str], words: frozenset[str]) -> set[Unit]:
        """The units that hold the names for whose sake PostgreSQL numbered some of ``taken``.

        A name that is one of ``words`` was given as it is.
        """
        found = map(self.unit, self._names.before_numbered(taken, words))
        return {unit for unit in found if unit is not None}

    def taken_and_freed(self, words: Iterable[str], freed: Collection[str]) -> set[str]:
        """The names that code with these words may have taken and freed again, where it ``freed`` others."""
        return self._names.free_again(words) - set(freed)

    def fired_by(self, functions: Collection[Unit]) -> set[Unit]:
        """The event triggers that call one of these functions."""
        return {
            trigger
            for trigger in self._event_triggers
            if any(self.unit(ref) in functions for ref in self._dependencies.of(self._object_of[trigger]))
        }

    def read_through(self, units: Iterable[Unit], opened: Iterable[Unit]) -> set[Unit]:
        """The units, and those of ``opened`` that are read with them: children of tables, sources of
        views."""
        objects = {unit: self._object_of[unit] for unit in opened if unit in self._object_of}
        return self.storage.read_through(units, objects, self.unit)

    def enums_with_value_in(self, text: str, relations: Iterable[Unit]) -> set[Unit]:
        """The enums of columns of ``relations`` of which the text has a value."""
        if "'" not in text:
            return set()
        objects = (obj for unit in relations if (obj := self._object_of.get(unit)) is not None)
        refs = {ref for obj in objects for ref in self._dependencies.of(obj) if ref[0] == PG_TYPE}
        enums = {unit for ref in refs if (unit := self.unit(ref)) is not None}
        return labels_in(text, {unit: self.types.values(self._object_of[unit]) for unit in enums})

    def altered_types_of(self, units: Iterable[Unit]) -> set[Unit]:
        """The types of the columns and arguments of ``units`` that were changed since they were made.

        Types of types are among them: a domain's, an array's, those of a composite type. So is a table whose
        row type is one.
        """
        found = set(units)
        types = {unit for unit in found if self.units[unit].kind in TYPES}
        queue = list(found)
        for unit in queue:
            obj = self._object_of.get(unit)
            refs = self._dependencies.of(obj) if obj is not None else ()
            for used in {self.unit(ref) for ref in refs if ref[0] == PG_TYPE} - types:
                if used is None or used == unit:
                    continue
                types.add(used)
                if used not in found:
                    found.add(used)
                    queue.append(used)
        return {u for u in types if self.types.is_altered(u) or self.units[u].kind in RELATIONS}

    def requirements(self) -> dict[Unit, dict[Unit, str]]:
        """From each live unit to those it needs, with the kind of what leans.

        It needs those that it leans on; a type also the casts and operators for it, and a function the cast
        that calls it: PostgreSQL uses them unnamed, and an expression leans at most on a cast's function.
        """
        found: dict[Unit, dict[Unit, str]] = defaultdict(dict)
        for obj, refs in self._dependencies:
            source = self.unit(obj)
            if source is None or source not in self._object_of:
                continue
            for ref in refs:
                target = self.unit(ref)
                if target is not None and target != source and target in self._object_of:
                    how = _WHY.get(obj[0], "definition")
                    found[source][target] = min(how, found[source].get(target, how))
                    if self._is_unnamed_use(source, target):
                        found[target].setdefault(source, self.units[source].kind)
        return dict(found)

    def _is_unnamed_use(self, source: Unit, target: Unit) -> bool:
        """Whether PostgreSQL may use ``source`` unnamed wherever ``target``, on which it leans, is used."""
        kind, leant_on = self.units[source].kind, self.units[target].kind
        return kind in RESOLVED and (leant_on in TYPES or (kind == "cast" and leant_on == "function"))


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

_SEARCHED = (*KINDS_WITH_TYPE, "sequence", "type")
_MISSING = re.compile(rf'(?:relation|{"|".join(_SEARCHED)}) "(?P<name>[^".]+)" does not exist')
