"""What a database holds, as plain data: objects by kind and name, each with flat attributes.

Names are PostgreSQL's own, as ``pg_identify_object`` gives them: ``("table", "public.users")``,
``("index", "public.users_pkey")``, ``("trigger", "t on public.users")``. An attribute is written down only
where it departs from PostgreSQL's default, so that a plain nullable column is just its type:

    ("table column", "public.users.email")  {"type": "text"}

A part (a column, constraint, index, trigger, rule, policy, owned sequence) belongs to a top-level object,
its ``owner``; a top-level object belongs to itself.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeAlias

Name: TypeAlias = tuple[str, str]
"""``(kind, identity)`` of an object, as ``pg_identify_object`` gives them."""

Value: TypeAlias = str | bool | int | tuple[str, ...] | None
"""What an attribute may hold; absent and None say the same: PostgreSQL's default."""


@dataclass(frozen=True, slots=True)
class SchemaObject:
    """One object of a database. ``owner`` names the top-level object it is a part of, or itself."""

    kind: str
    name: str
    owner: Name
    attributes: Mapping[str, Value] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> Name:
        return (self.kind, self.name)

    @property
    def is_part(self) -> bool:
        return self.owner != (self.kind, self.name)

    def get(self, attribute: str) -> Value:
        """The attribute's value, or None where it has PostgreSQL's default."""
        return self.attributes.get(attribute)


@dataclass(frozen=True)
class Schema:
    """Objects by name, and the major version of the server that spelled their definitions (0: unknown).

    ``role`` is the role that read it. The attribute ``owner`` of an object is absent where that role owns it.
    """

    objects: Mapping[Name, SchemaObject]
    major: int = 0
    role: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objects", MappingProxyType(dict(self.objects)))

    def __reduce__(self) -> tuple[Any, ...]:
        return (Schema, (dict(self.objects), self.major, self.role))

    def __iter__(self) -> Iterator[SchemaObject]:
        return iter(self.objects.values())

    def __len__(self) -> int:
        return len(self.objects)

    def __contains__(self, key: object) -> bool:
        return key in self.objects

    def get(self, kind: str, name: str) -> SchemaObject | None:
        """The object of that name, or None."""
        return self.objects.get((kind, name))

    @cached_property
    def parts(self) -> Mapping[Name, tuple[SchemaObject, ...]]:
        """Each top-level object's parts, by its name; objects without parts are left out."""
        found: dict[Name, list[SchemaObject]] = {}
        for each in self.objects.values():
            if each.is_part:
                found.setdefault(each.owner, []).append(each)
        return {owner: tuple(parts) for owner, parts in found.items()}

    def top_level(self) -> tuple[SchemaObject, ...]:
        """The objects that are no part of another."""
        return tuple(each for each in self.objects.values() if not each.is_part)

    def within(self, names: Collection[Name]) -> Schema:
        """Only the named objects, each with its parts; names that aren't there are passed over."""
        wanted = frozenset(names)
        kept = {key: each for key, each in self.objects.items() if key in wanted or each.owner in wanted}
        return Schema(kept, self.major, self.role)

    def without(self, names: Collection[Name]) -> Schema:
        """All but the named objects and their parts."""
        unwanted = frozenset(names)
        kept = {
            key: each
            for key, each in self.objects.items()
            if key not in unwanted and each.owner not in unwanted
        }
        return Schema(kept, self.major, self.role)

    def to_json(self) -> dict[str, Any]:
        """``{"major": 17, "objects": [[kind, name, attributes, [[kind, name, attributes], ...]], ...]}``.

        The inner list holds the object's parts. Objects are sorted by kind and name, columns stand in their
        table's order, so that equal schemas give equal documents.
        """
        entries = []
        for each in sorted(self._roots(), key=lambda o: (o.kind, o.name)):
            parts = self.parts.get(each.key, ()) if not each.is_part else ()
            entry: list[Any] = [each.kind, each.name, _plain(each.attributes)]
            if each.is_part:
                entry += [[], list(each.owner)]
            elif parts:
                entry.append([[p.kind, p.name, _plain(p.attributes)] for p in _in_order(each, parts)])
            entries.append(entry)
        return {"major": self.major, "objects": entries}

    def _roots(self) -> Iterable[SchemaObject]:
        return (each for each in self.objects.values() if not each.is_part or each.owner not in self.objects)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """The schema that ``to_json`` gave; ValueError or KeyError where the document isn't one."""
        objects: dict[Name, SchemaObject] = {}
        for entry in document["objects"]:
            kind, name, attributes = entry[:3]
            key = (kind, name)
            owner = key if len(entry) < 5 else (entry[4][0], entry[4][1])
            objects[key] = SchemaObject(kind, name, owner, _frozen(attributes))
            if len(entry) > 3:
                for part_kind, part_name, part_attributes in entry[3]:
                    objects[part_kind, part_name] = SchemaObject(
                        part_kind, part_name, key, _frozen(part_attributes)
                    )
        return cls(objects, document.get("major", 0))

    def dumps(self) -> str:
        """The JSON document as text, one object a line, for files that are reviewed in diffs."""
        document = self.to_json()
        lines: list[str] = []
        for entry in document["objects"]:
            parts = entry[3] if len(entry) == 4 else []
            if not parts:
                lines.append(_compact(entry))
                continue
            inner = ",\n  ".join(_compact(part) for part in parts)
            lines.append(f"{_compact(entry[:3])[:-1]},[\n  {inner}]]")
        return f'{{"major":{document["major"]},"objects":[\n' + ",\n".join(lines) + "\n]}\n"

    @classmethod
    def loads(cls, text: str) -> Schema:
        """The schema that ``dumps`` gave; ValueError or KeyError where the text isn't one."""
        return cls.from_json(json.loads(text))


def _in_order(table: SchemaObject, parts: tuple[SchemaObject, ...]) -> list[SchemaObject]:
    columns = table.get("columns")
    order = {f"{table.name}.{c}": i for i, c in enumerate(columns)} if isinstance(columns, tuple) else {}
    return sorted(parts, key=lambda p: (not p.kind.endswith("column"), order.get(p.name, 0), p.kind, p.name))


def _plain(attributes: Mapping[str, Value]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in attributes.items() if v is not None}


def _frozen(attributes: dict[str, Any]) -> dict[str, Value]:
    for key, value in attributes.items():
        if value.__class__ is list:
            attributes[key] = tuple(value)
    return attributes


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
