"""The objects form: the final DDL, and the rows that migrations seeded, of only the required objects. Pure.

pg_dump writes the whole catalog's outcome once, as an archive with a table of contents (see ``outcome``). A
slice takes the entries whose unit it requires. Entries without an object of their own (comments, rights,
sequence ownership, partition attachments) go with the entries that they depend on. Then a table's keys,
defaults and identity are moved into its CREATE TABLE: see ``folding``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pgslate.dump.entries import LARGE_OBJECT, RELEASE, Entry, Named, set_setting
from pgslate.dump.folding import fold
from pgslate.dump.not_nulls import named
from pgslate.dump.rehearsal import Refusal
from pgslate.errors import FormUnavailableError, ProofError
from pgslate.schema.database_settings import set_here
from pgslate.slices.slice import Slice
from pgslate.trace.effects import Trace, Unit

VERSION = 10
"""Of what a snapshot holds: one in the cache that is of another version is made anew."""

# What a dump is read under, whatever the session has: names are qualified, and function bodies come before
# what they touch. Whether an index had better be built in parallel is worth no thought for so few rows.
# All of it ends with the transaction.
PROLOGUE = """\
SET LOCAL standard_conforming_strings = on;
SET LOCAL check_function_bodies = off;
SET LOCAL xmloption = content;
SET LOCAL client_min_messages = warning;
SET LOCAL row_security = off;
SET LOCAL default_tablespace = '';
SET LOCAL default_table_access_method = heap;
SET LOCAL max_parallel_maintenance_workers = 0;
SELECT pg_catalog.set_config('search_path', '', true);
"""

_USUAL = {"default_tablespace": "", "default_table_access_method": "heap", "search_path": ""}


@dataclass(frozen=True)
class Snapshot:
    """The final DDL of a whole catalog, in an order in which it can be run; ``server`` is the major that
    wrote it.

    ``settings`` are those of the database, each ``name=value``: whatever tables are asked for, they hold.
    ``refused`` are the objects that this form can't make. ``is_folded`` says whether what belongs to a table
    may be moved into its CREATE TABLE.
    """

    server: int
    entries: tuple[Entry, ...]
    settings: tuple[str, ...] = ()
    refused: tuple[Refusal, ...] = ()
    is_folded: bool = True

    def script(self, required: Collection[Named]) -> str:
        """The SQL that makes the ``required`` units and what they seeded; one transaction's worth.

        What was there before the first migration is only changed, as the migrations changed it.

        >>> table = Entry(1, "TABLE", "a", ("table", "public.a"), (), (), "CREATE TABLE public.a ();")
        >>> comment = Entry(2, "COMMENT", "TABLE a", None, (1,), (), "COMMENT ON TABLE public.a IS 'x';")
        >>> Snapshot(18, (table, comment)).script([("table", "public.b")]) == PROLOGUE
        True
        """
        return self._script(list(self.chosen(required)))

    def whole_script(self) -> str:
        """The SQL that makes everything."""
        return self._script(self.entries)

    def chosen(self, required: Collection[Named]) -> Iterable[Entry]:
        """The entries that make the ``required`` units, in order."""
        wanted = frozenset(required)
        taken: dict[int, bool] = {}
        for entry in self.entries:
            if entry.type in (LARGE_OBJECT, RELEASE):
                take = True
            elif entry.unit is not None:
                take = entry.unit in wanted
            else:
                known = [taken[number] for number in entry.needs if number in taken]
                take = bool(known) and all(known)
                if not known and entry.name == "SCHEMA public":  # pg_dump takes it as made
                    take = ("schema", "public") in wanted
            taken[entry.number] = take
            if take:
                yield entry

    def _script(self, entries: Collection[Entry]) -> str:
        texts = [PROLOGUE]
        current = dict(_USUAL)
        ordered = fold(named(entries)) if self.is_folded else entries
        for entry in ordered:
            if not entry.text:
                continue
            wanted = _USUAL | dict(entry.settings)
            texts += [set_setting(name, value) for name, value in wanted.items() if current[name] != value]
            current = wanted
            texts.append(entry.text + "\n")
        texts += [set_here("ALTER DATABASE", each) for each in self.settings]
        return "".join(texts)

    def dumps(self) -> str:
        """The snapshot as JSON, an entry a line."""
        lines = ",\n".join(json.dumps(asdict(entry), ensure_ascii=False) for entry in self.entries)
        others = {
            "server": self.server,
            "settings": self.settings,
            "refused": [[refusal.unit, refusal.why] for refusal in self.refused],
            "is_folded": self.is_folded,
        }
        return f'{json.dumps(others, ensure_ascii=False)[:-1]}, "entries": [\n{lines}\n]}}\n'

    @classmethod
    def loads(cls, text: str) -> Snapshot:
        """The snapshot that ``dumps`` gave; ValueError where the text isn't one."""
        document = json.loads(text)
        return cls(
            document["server"],
            tuple(map(_to_entry, document["entries"])),
            tuple(document["settings"]),
            tuple(Refusal((unit[0], unit[1]), why) for unit, why in document["refused"]),
            document["is_folded"],
        )


def required_names(trace: Trace, required: Iterable[Unit]) -> list[Named]:
    """The units by kind and name, as a snapshot knows them."""
    return [(trace.units[unit].kind, trace.units[unit].name) for unit in required]


def script_of(slice_: Slice, snapshot: Snapshot) -> str:
    """The SQL of a slice in the objects form.

    Raises FormUnavailableError where PostgreSQL can't make a required object in this form; ProofError where
    the snapshot lacks a table that the slice requires: it is of another catalog.
    """
    names = required_names(slice_.trace, slice_.required)
    made = {entry.unit for entry in snapshot.entries}
    missing = [name for kind, name in names if kind == "table" and (kind, name) not in made]
    refused = {refusal.unit: refusal.why for refusal in snapshot.refused}
    for name in names:
        if name in refused:
            raise unavailable(slice_.tables, refused[name])
    if missing and not slice_.is_whole:  # of everything, a table may be an extension's
        raise ProofError(
            f"the snapshot has no {', '.join(missing)}", fix="remove it from the cache, to have it made anew"
        )
    return snapshot.whole_script() if slice_.is_whole else snapshot.script(names)


def unavailable(tables: tuple[str, ...], cause: str) -> FormUnavailableError:
    """The error for tables that the objects form can't make; ``cause`` names the object and says why."""
    asked = ", ".join(tables) or "everything"
    return FormUnavailableError(
        f"the objects form can't make {asked}: {cause}",
        tables=tables,
        form="objects",
        cause=cause,
        fix="use --form files or --form statements",
    )


def _to_entry(document: Mapping[str, Any]) -> Entry:
    unit = document["unit"]
    return Entry(
        **{
            **document,
            "unit": (unit[0], unit[1]) if unit else None,
            "needs": tuple(document["needs"]),
            "settings": tuple((name, value) for name, value in document["settings"]),
        }
    )
