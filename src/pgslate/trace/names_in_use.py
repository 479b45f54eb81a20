"""The names in use in the scratch database while a catalog is traced, and which object holds each.

A name is kept with its namespace: ``relation:public.users``, ``type:public.users``, ``constraint:...``, since
a table and a function may have the same one, and a table and a type may not. So is a partition's place, of
what and for which values it is one, ``partition:public.events FOR VALUES ...``: only one can have that, too.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import takewhile

from pgslate.schema.identifiers import parts, qualified
from pgslate.trace import references
from pgslate.trace.system_catalogs import PG_CLASS, PG_CONSTRAINT, PG_TYPE, Object

RELATIONS = ("table", "view", "materialized view", "foreign table")
"""The kinds that rows are read from."""

KINDS_WITH_TYPE = (*RELATIONS, "composite type")
"""Relations whose name is that of a type, too."""

# A name of a relation or constraint that ends in a number, perhaps before a quote.
_NUMBERED = re.compile(r'((?:relation|constraint):.*?[^0-9])([1-9][0-9]?)("?)')


_CUT, _ROOM = 60, 3
"""Bytes from which on a name may have been cut, and how much of it."""

_DIGITS = "0123456789"


class NamesInUse:
    """The names in use, by their holders and back."""

    def __init__(self) -> None:
        self._names: dict[Object, tuple[str, ...]] = {}
        self._holder: dict[str, Object] = {}
        self._places: dict[Object, str] = {}
        self._relations: dict[references.Name, Object] = {}
        self._by_word: dict[str, set[Object]] = defaultdict(set)  # by the last part of its name, lower case
        self._freed: dict[str, set[str]] = defaultdict(set)  # by the same: names in use once, and free now

    def __iter__(self) -> Iterator[Object]:
        return iter(self._names)

    def relation(self, schema: str, name: str) -> Object | None:
        """What has this name among the relations, indexes and types of a schema."""
        return self._relations.get((schema, name))

    def of_word(self, word: str) -> Iterable[Object]:
        """What a word, in lower case, could be naming, in any schema."""
        return self._by_word.get(word, ())

    def take(self, obj: Object, kind: str, name: str) -> tuple[set[str], set[str]]:
        """Let ``obj`` have this name from now on; the names that it takes by that, and those it frees."""
        keys = _keys(obj[0], kind, name)
        if keys == self._names.get(obj, ()):
            return set(), set()
        freed = self._free_names(obj)
        word = parts(name)[-1].lower()
        for key in keys:
            self._holder[key] = obj
            self._freed[word].discard(key)
        self._names[obj] = keys
        self._by_word[word].add(obj)
        if obj[0] in (PG_CLASS, PG_TYPE):
            self._relations[qualified(name)] = obj
        return set(keys), freed

    def set_place(self, obj: Object, place: str | None) -> tuple[set[str], set[str]]:
        """Let ``obj`` be the partition in this place from now on, None for none; what it takes and frees."""
        before = self._places.pop(obj, None)
        if place is not None:
            self._places[obj] = place
        taken, freed = ({f"partition:{it}"} if it is not None else set() for it in (place, before))
        return taken - freed, freed - taken

    def free(self, obj: Object) -> set[str]:
        """Let ``obj`` have no name and no place; those that it had."""
        return self._free_names(obj) | self.set_place(obj, None)[1]

    def free_again(self, words: Iterable[str]) -> set[str]:
        """The names that were in use once, are free now, and could be meant by one of the words."""
        return {key for word in words for key in self._freed.get(word, ())}

    def _free_names(self, obj: Object) -> set[str]:
        freed: set[str] = set()
        for key in self._names.pop(obj, ()):
            name = qualified(key.split(":", 1)[1])
            word = name[1].lower()
            if self._holder.get(key) == obj:
                del self._holder[key]
                self._freed[word].add(key)
                freed.add(key)
            self._by_word[word].discard(obj)
            if self._relations.get(name) == obj:
                del self._relations[name]
        return freed

    def before_numbered(self, taken: Iterable[str], words: frozenset[str]) -> Iterator[Object]:
        """What holds the names that made PostgreSQL add a number: ``a_id_seq1`` needs who has ``a_id_seq``.

        A name among ``words`` was written in the statement: PostgreSQL didn't make it up.
        """
        for key in taken:
            chosen = _NUMBERED.fullmatch(key)
            if chosen is None or parts(key.split(":", 1)[1])[-1].lower() in words:
                continue
            start, number, end = chosen.groups()
            for lower in ("", *map(str, range(1, int(number)))):
                holder = self._holder.get(f"{start}{lower}{end}") or self._holder.get(f"{start}{lower}")
                if holder is not None:
                    yield holder
            yield from self._before_cut(key)

    def _before_cut(self, key: str) -> Iterator[Object]:
        """What holds the names that were one with this one before it was cut to make room for its number.

        PostgreSQL cuts in the middle, before the label: of a name that was cut, start and end are left.
        """
        kind, _, name = key.partition(":")
        schema, bare = qualified(name)
        if len(bare.encode()) < _CUT:
            return
        cut = bare.rstrip(_DIGITS)
        for other, holder in self._holder.items():
            if other == key or not other.startswith(kind + ":"):
                continue
            there, whole = qualified(other.split(":", 1)[1])
            whole = whole.rstrip(_DIGITS)
            if there == schema and len(cut) <= len(whole) <= len(cut) + _ROOM and _joins(cut, whole):
                yield holder


def _joins(cut: str, whole: str) -> bool:
    """Whether ``cut`` is a start and an end of ``whole``.

    >>> _joins("orders_i_not_null", "orders_id_not_null"), _joins("users_not_null", "orders_id_not_null")
    (True, False)
    """
    return _common(cut, whole) + _common(reversed(cut), reversed(whole)) >= len(cut)


def _common(one: Iterable[str], other: Iterable[str]) -> int:
    """How many characters both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _keys(catalog: int, kind: str, name: str) -> tuple[str, ...]:
    if catalog == PG_CLASS:
        typed = (f"type:{name}",) if kind in KINDS_WITH_TYPE else ()
        return (f"relation:{name}", *typed)
    if catalog == PG_CONSTRAINT:
        return (f"constraint:{name}",)
    if catalog == PG_TYPE:
        return () if name.endswith("[]") else (f"type:{name}",)
    return (f"{kind}:{name}",)
