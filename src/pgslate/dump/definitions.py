"""The objects form: the final DDL, and the rows that migrations seeded, of only the required objects.

pg_dump writes the whole catalog's outcome once, with its table of contents (``--verbose`` puts each entry's
class, OID and dependencies above it). A slice takes the entries whose unit it requires. Entries without an
OID of their own, comments, rights, row security, sequence ownership, partition attachments, go with the
entries they depend on. What belongs inside a table's CREATE TABLE is then put there: see ``folding``.

Source: PostgreSQL manual, pg_dump; ``_printTocEntry`` in src/bin/pg_dump/pg_backup_archiver.c.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from pgslate.dump.entries import Entry, Named
from pgslate.dump.folding import fold
from pgslate.dump.not_nulls import named
from pgslate.dump.roles import texts_of
from pgslate.errors import ProofError, TargetError
from pgslate.schema.database_settings import set_here
from pgslate.schema.identifiers import parts
from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server
from pgslate.trace.effects import Trace, Unit
from pgslate.trace.observer import Observer
from pgslate.trace.system_catalogs import PG_AUTHID
from pgslate.trace.world import World

VERSION = 4
"""Of what a snapshot holds: one in the cache that is of another version is made anew."""

_HEAD = re.compile(
    r"^--\n-- TOC entry (?P<id>\d+) \(class (?P<class>\d+) OID (?P<oid>\d+)\)\n"
    r"(?:-- Dependencies:(?P<needs>[ \d]*)\n)?"
    r"-- (?:Data for )?Name: (?P<name>.*); Type: (?P<type>.*); Schema: (?P<schema>.*); Owner:.*\n--\n",
    re.MULTILINE,
)
_STORED = ("TABLE", "MATERIALIZED VIEW")  # what pg_dump's settings are for
_SETTING = re.compile(r"^SET default_(?:tablespace|table_access_method) = .*;\n", re.MULTILINE)
_FOOTER = re.compile(r"^-- Completed on .*\n|^--\n-- PostgreSQL database dump complete\n--\n", re.MULTILINE)
_META = re.compile(r"^\\(?:un)?restrict \S+\n", re.MULTILINE)

# PostgreSQL writes ``status IN ('a', 'b')`` of a varchar as a comparison of text with a cast array, and reads
# that back as an array of cast elements: the definition would say the same in other words. Without the casts
# it is read as it was first.
_CAST_ARRAY = re.compile(
    r"""\((?P<column>(?:\w+|"(?:[^"]|"")+")(?:\.(?:\w+|"(?:[^"]|"")+"))?)\)::text"""
    r""" (?P<compares>= ANY|<> ALL) \(\("""
    r"""ARRAY\[(?P<items>'(?:[^']|'')*'::character varying(?:, '(?:[^']|'')*'::character varying)*)\]"""
    r"""\)::text\[\]\)"""
)

# pg_dump says DEFAULT NULL of a column that has no default where its parent's has one. With a length that is
# kept as a default: ``NULL::character varying``.
_DEFAULT_NULL = re.compile(
    r"""^(?P<start>    (?P<column>[\w$]+|"(?:[^"]|"")+") .*?) DEFAULT NULL(?=,?$| NOT NULL| CONSTRAINT )""",
    re.MULTILINE,
)
_ALTER_TABLE = re.compile(
    r"""^ALTER TABLE ONLY (?P<table>(?:[\w$]+|"(?:[^"]|"")+")\.(?:[\w$]+|"(?:[^"]|"")+")) """, re.MULTILINE
)
_CREATE_TABLE = re.compile(r"CREATE (?:UNLOGGED |FOREIGN )?TABLE (?P<table>\S.*) \($", re.MULTILINE)

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

        >>> table = Entry(1, "TABLE", "a", ("table", "public.a"), (), "", "CREATE TABLE public.a ();")
        >>> comment = Entry(2, "COMMENT", "TABLE a", None, (1,), "", "COMMENT ON TABLE public.a IS 'x';")
        >>> Snapshot(18, (table, comment)).script([("table", "public.b")]) == _PROLOGUE
        True
        """
        texts = [_PROLOGUE]
        settings = ""
        for entry in fold(named(self.chosen(required, existing))):
            if entry.settings and entry.settings != settings:
                settings = entry.settings
                texts.append(settings)
            if entry.text:
                texts.append(entry.text + "\n")
        texts += [set_here("ALTER DATABASE", each) for each in self.settings]
        return "".join(texts)

    def chosen(self, required: Collection[Named], existing: Collection[Named] = ()) -> Iterable[Entry]:
        """The entries that make the ``required`` units, in order."""
        wanted, there = frozenset(required), frozenset(existing)
        taken: dict[int, bool] = {}
        for entry in self.entries:
            if entry.unit is not None:
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
        role = connection.info.user
        settings = tuple(row[0] for row in connection.execute(_SETTINGS))
        roles = tuple(_roles(connection, world))
    return Snapshot(server.major, (*roles, *_entries(_dump(server, dbname), world, role)), settings)


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


def _dump(server: Server, dbname: str) -> str:
    program = server.installation.program("pg_dump")
    if program is None:
        raise TargetError(
            f"{server.installation.label} has no pg_dump, which the objects form needs",
            fix="install PostgreSQL's client programs, or use --form statements",
        )
    command = [str(program), "--verbose", "--no-tablespaces", "--no-publications", "--no-subscriptions"]
    # With their columns: made again, a table that inherits has them in another order.
    rows = ["--column-inserts", "--rows-per-insert=500"]
    done = subprocess.run([*command, *rows, "--dbname", server.dsn(dbname)], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise TargetError(f"pg_dump failed: {said[-1] if said else 'without a word'}", fix="see its message")
    return done.stdout.decode()


def _entries(dump: str, world: World, role: str) -> Iterable[Entry]:
    heads = list(_HEAD.finditer(dump))
    settings: Mapping[str, str] = {}
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        text = dump[head.end() : after.start() if after else len(dump)]
        unit = world.unit((int(head["class"]), int(head["oid"]))) if head["oid"] != "0" else None
        if head["type"] in ("TABLE ATTACH", "INDEX ATTACH"):  # known by the partition's name alone
            unit = world.relation((head["schema"], head["name"]), ())
        elif head["type"] == "DEFAULT" and unit is None:  # that there is none has no OID
            unit = _altered(text, world)
        known = world.units[unit] if unit is not None else None
        yield Entry(
            number=int(head["id"]),
            type=head["type"],
            name=head["name"],
            unit=(known.kind, known.name) if known else None,
            needs=tuple(int(number) for number in (head["needs"] or "").split()),
            settings="".join(settings.values()) if head["type"] in _STORED else "",
            text=_without_default_null(head["type"], _clean(text, role)),
        )
        # pg_dump sets what the next entry needs at the end of this one.
        for setting in _SETTING.findall(text):
            settings = {**settings, setting.split("=", 1)[0]: setting}


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
            settings="",
            text=role.text,
        )


def _clean(text: str, role: str) -> str:
    """An entry's SQL without what belongs to the next or to the dump, and without naming its own owner."""
    text = _META.sub("", _FOOTER.sub("", _SETTING.sub("", text)))
    text = _CAST_ARRAY.sub(r"\g<column> \g<compares> (ARRAY[\g<items>])", text)
    owner = re.compile(rf'^ALTER [^\n]* OWNER TO (?:{re.escape(role)}|"{re.escape(role)}");\n', re.MULTILINE)
    return owner.sub("", text).strip("\n")


def _altered(text: str, world: World) -> Unit | None:
    """The unit of the table that an entry's SQL alters."""
    found = _ALTER_TABLE.search(text)
    if found is None:
        return None
    schema, name = parts(found["table"])
    return world.relation((schema, name), ())


def _without_default_null(type_: str, text: str) -> str:
    """An entry's SQL without DEFAULT NULL: a column that has no default where its parent's has one.

    >>> told = "CREATE TABLE a (\\n    b integer,\\n    c character varying(9) DEFAULT NULL\\n);"
    >>> print(_without_default_null("TABLE", told))
    CREATE TABLE a (
        b integer,
        c character varying(9)
    );
    ALTER TABLE ONLY a ALTER COLUMN c DROP DEFAULT;
    """
    if type_ == "DEFAULT":
        return text.replace(" SET DEFAULT NULL;", " DROP DEFAULT;")
    made = _CREATE_TABLE.search(text) if type_ == "TABLE" else None
    columns = [found["column"] for found in _DEFAULT_NULL.finditer(text)]
    if made is None or not columns:
        return text
    drops = ", ".join(f"ALTER COLUMN {column} DROP DEFAULT" for column in columns)
    without = _DEFAULT_NULL.sub(r"\g<start>", text)
    return f"{without}\nALTER TABLE ONLY {made['table']} {drops};"


def _to_entry(document: Mapping[str, Any]) -> Entry:
    unit = document["unit"]
    return Entry(
        **{
            **document,
            "unit": (unit[0], unit[1]) if unit else None,
            "needs": tuple(document["needs"]),
        }
    )
