"""The functions that are alive in the scratch database, by name, with what their bodies speak of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from pgslate.schema.identifiers import qualified
from pgslate.trace import references
from pgslate.trace.effects import Unit
from pgslate.trace.system_catalogs import Object


class Functions:
    """Functions that are units, and those that belong to an extension."""

    def __init__(self, builtin: frozenset[str] = frozenset()) -> None:
        """``builtin`` are the names of PostgreSQL's own functions."""
        self._builtin = builtin
        self._by_name: dict[str, dict[Unit, str]] = defaultdict(dict)  # with the schema of each
        self._members: dict[references.Name, set[Object]] = defaultdict(set)  # of extensions
        self._words: dict[Unit, frozenset[str]] = {}
        self._calls: dict[Unit, frozenset[references.Name]] = {}
        self._without_counts: set[Unit] = set()  # their bodies speak of the setting track_counts

    def name(self, unit: Unit, before: Sequence[str] | None, now: Sequence[str] | None) -> None:
        """Let a function have another qualified name, None for none."""
        if before is not None:
            self._by_name[before[-1]].pop(unit, None)
        if now is not None:
            self._by_name[now[-1]][unit] = now[0]
        else:
            self._without_counts.discard(unit)

    def add_member(self, name: str, function: Object) -> None:
        """Take in a function of an extension."""
        self._members[qualified(name)].add(function)

    def set_body(self, unit: Unit, body: str) -> None:
        """Take in what a function's source and settings speak of."""
        self._words[unit] = references.words(body)
        self._calls[unit] = references.called(body)
        if "track_counts" in self._words[unit]:
            self._without_counts.add(unit)

    def words(self, unit: Unit) -> frozenset[str]:
        """The words of a function's body."""
        return self._words.get(unit, frozenset())

    def calls(self, unit: Unit) -> frozenset[references.Name]:
        """What a function's body could be calling."""
        return self._calls.get(unit, frozenset())

    def named(self, name: references.Name, path: Iterable[str]) -> set[Unit]:
        """Every overload of a name with this search path."""
        schemas = (name[0],) if name[0] else tuple(path)
        return {unit for unit, schema in self._by_name.get(name[1], {}).items() if schema in schemas}

    def members_named(self, name: references.Name, path: Iterable[str]) -> Iterator[Object]:
        """The functions of extensions that have this name, unless PostgreSQL has one of that name itself."""
        if name[0] or name[1] not in self._builtin:
            for schema in (name[0],) if name[0] else path:
                yield from self._members.get((schema, name[1]), ())

    def may_hide_counts(self) -> bool:
        """Whether a function may switch off the counters that the observer reads."""
        return bool(self._without_counts)
