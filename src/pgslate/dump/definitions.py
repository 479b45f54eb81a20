"""The objects form: the final DDL, and the rows that migrations seeded, of only the required objects.

pg_dump writes the whole catalog's outcome once, as an archive with a table of contents (see ``archive``). A
slice takes the entries whose unit it requires. Entries without an object of their own (comments, rights,
sequence ownership, partition attachments) go with the entries that they depend on. Then a table's keys,
defaults and identity are moved into its CREATE TABLE: see ``folding``.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgslate.dump.entries import LARGE_OBJECT, Entry, Named
from pgslate.dump.folding import fold
from pgslate.dump.not_nulls import named
from pgslate.dump.pg_dump import dumped, entries_of
from pgslate.dump.roles import texts_of
from pgslate.errors import ProofError
from pgslate.schema.database_settings import set_here
from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server
from pgslate.trace.effects import Trace, Unit
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import PG_AUTHID
from pgslate.trace.world import World

VERSION = 5
"""Of what a snapshot holds: one in the cache that is of another version is made anew."""

# What a dump is read under, whatever the session has: names are qualified, and function bodies come before
# what they touch. Whether an index had better be built in parallel is worth no thought for so few rows.
# All of it ends with the transaction.
_PROLOGUE = """\
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

_SETTINGS = """
SELECT config FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) config
WHERE d.datname = pg_catalog.current_database() AND s.setrole = 0 AND config !~ '^pg_[^.=]*='"""


@dataclass(frozen=True)
class Snapshot:
    """The final DDL of a whole catalog, in an order in which it can be run; ``server`` is the major that
    wrote it.

    ``settings`` are those of the database, each ``name=value``: whatever tables are asked for, they hold.
    """

    server: int
    entries: tuple[Entry, ...]
    settings: tuple[str, ...] = ()

    def script(self, required: Collection[Named], existing: Collection[Named] = ()) -> str:
        """The SQL that makes the ``required`` units and what they seeded; one transaction's worth.

        ``existing`` units are there already, from a prelude or from initdb: only their comments and rights
        are set.

        >>> table = Entry(1, "TABLE", "a", ("table", "public.a"), (), (), "CREATE TABLE public.a ();")
        >>> comment = Entry(2, "COMMENT", "TABLE a", None, (1,), (), "COMMENT ON TABLE public.a IS 'x';")
        >>> Snapshot(18, (table, comment)).script([("table", "public.b")]) == _PROLOGUE
        True
        """
        texts = [_PROLOGUE]
        current = dict(_USUAL)
        for entry in fold(named(self.chosen(required, existing))):
            if not entry.text:
                continue
            wanted = _USUAL | dict(entry.settings)
            texts += [_set(name, value) for name, value in wanted.items() if current[name] != value]
            current = wanted
            texts.append(entry.text + "\n")
        texts += [set_here("ALTER DATABASE", each) for each in self.settings]
        return "".join(texts)

    def chosen(self, required: Collection[Named], existing: Collection[Named] = ()) -> Iterable[Entry]:
        """The entries that make the ``required`` units, in order."""
        wanted, there = frozenset(required), frozenset(existing)
        taken: dict[int, bool] = {}
        for entry in self.entries:
            if entry.type == LARGE_OBJECT:
                take = True
            elif entry.unit is not None:
                take = entry.unit in wanted
            else:
                known = [taken[number] for number in entry.needs if number in taken]
                take = bool(known) and all(known)
                if not known and entry.name.startswith(
                    "SCHEMA "
                ):  # rights on a schema that pg_dump takes as made
                    take = ("schema", entry.name.removeprefix("SCHEMA ")) in wanted
            taken[entry.number] = take
            if take and entry.unit not in there:
                yield entry

    def dumps(self) -> str:
        """The snapshot as JSON, an entry a line."""
        lines = ",\n".join(json.dumps(asdict(entry), ensure_ascii=False) for entry in self.entries)
        settings = json.dumps(self.settings, ensure_ascii=False)
        return f'{{"server": {self.server}, "settings": {settings}, "entries": [\n{lines}\n]}}\n'

    @classmethod
    def loads(cls, text: str) -> Snapshot:
        """The snapshot that ``dumps`` gave; ValueError where the text isn't one."""
        document = json.loads(text)
        return cls(
            document["server"], tuple(map(_to_entry, document["entries"])), tuple(document["settings"])
        )


def take(server: Server, dbname: str) -> Snapshot:
    """Dump the outcome of a whole catalog, which was applied to a database of ``server``.

    Raises TargetError where the installation has no pg_dump, or it fails.
    """
    with server.target(dbname).connect(autocommit=True, prepare_threshold=None) as connection:
        world = World()
        world.begin(Observer(connection).everything())
        settings = tuple(row[0] for row in connection.execute(_SETTINGS))
        roles = tuple(_roles(connection, world))
        entries = tuple(entries_of(dumped(server, dbname), connection, world))
    return Snapshot(server.major, (*roles, *entries), settings)


def required_names(trace: Trace, required: Iterable[Unit]) -> list[Named]:
    """The units by kind and name, as a snapshot knows them."""
    return [(trace.units[unit].kind, trace.units[unit].name) for unit in required]


def script_of(slice_: Slice, snapshot: Snapshot) -> str:
    """The SQL of a slice in the objects form.

    Raises ProofError where the snapshot lacks a table that the slice requires: it is of another catalog.
    """
    names = required_names(slice_.trace, slice_.required)
    existing = required_names(
        slice_.trace, (unit for unit in slice_.required if slice_.trace.units[unit].made is None)
    )
    made = {entry.unit for entry in snapshot.entries}
    missing = [name for kind, name in names if kind == "table" and (kind, name) not in made]
    if missing:
        raise ProofError(
            f"the snapshot has no {', '.join(missing)}", fix="remove it from the cache, to have it made anew"
        )
    return snapshot.script(names, existing)


def _roles(connection: psycopg.Connection[Any], world: World) -> Iterable[Entry]:
    """Entries for the server's roles, numbered below those of the dump, and for who is a member of which."""
    numbers: dict[int, int] = {}
    for number, role in enumerate(texts_of(connection), start=1):
        unit = None
        if len(role.oids) == 1:
            numbers[role.oids[0]] = -number
            unit = world.unit((PG_AUTHID, role.oids[0]))
        known = world.units[unit] if unit is not None else None
        yield Entry(
            number=-number,
            type="ROLE" if known else "MEMBERSHIP",
            name=role.name,
            unit=(known.kind, known.name) if known else None,
            needs=() if known else tuple(numbers[oid] for oid in role.oids if oid in numbers),
            settings=(),
            text=role.text,
        )


def _set(name: str, value: str) -> str:
    return f"SELECT pg_catalog.set_config('{name}', {sql.quote(value)}, true);\n"


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
