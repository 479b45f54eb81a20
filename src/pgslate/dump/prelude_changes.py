"""What migrations did to the objects of a prelude, as the statements that do it again.

A dump knows only how to make an object, and a prelude's is there already. So a database is dumped twice: when
the prelude was run, and at the end. An object keeps its OID between the two, whatever happens to its name;
what is equal needs no statement, and what differs is altered, replaced, or dropped and made again.

Not everything can be written as an alteration (a type's attributes, rows that were changed): that is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pgslate.catalog.statements import split
from pgslate.dump.archive import Archive, ArchiveEntry
from pgslate.dump.entries import ROWS, quoted, quoted_name
from pgslate.trace.system_catalogs import PG_CLASS, PG_TYPE

# Statements that PostgreSQL takes with OR REPLACE, and whose object then stays what it is.
_REPLACED = frozenset(("FUNCTION", "PROCEDURE", "AGGREGATE", "VIEW"))

_WITH_ARGUMENTS = frozenset(("FUNCTION", "PROCEDURE", "AGGREGATE"))

# Parts of a table: if they differ they are dropped at the beginning, and made again in their place.
_PARTS = frozenset(
    ("CONSTRAINT", "FK CONSTRAINT", "CHECK CONSTRAINT", "INDEX", "TRIGGER", "POLICY", "RULE", "DEFAULT")
)

# Statements that say how something is to be, whatever it was.
_SET_ANYWAY = frozenset(("COMMENT", "ACL", "SECURITY LABEL", "SEQUENCE SET", "DEFAULT ACL", "ROW SECURITY"))

# Entries without an OID of their own that are of what they need, not of a name.
_OF_WHAT_THEY_NEED = frozenset(("TABLE ATTACH", "INDEX ATTACH", "SEQUENCE OWNED BY", "SEQUENCE SET"))

_COLUMNS = """
SELECT c.oid::int8, a.attnum, a.attname, a.attisdropped,
    pg_catalog.format_type(a.atttypid, a.atttypmod)
    || CASE WHEN a.attcollation <> t.typcollation THEN (SELECT pg_catalog.format(' COLLATE %I.%I',
        n.nspname, k.collname) FROM pg_catalog.pg_collation k
        JOIN pg_catalog.pg_namespace n ON n.oid = k.collnamespace WHERE k.oid = a.attcollation) ELSE '' END,
    a.attnotnull, a.attgenerated::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f')
ORDER BY 1, 2"""

# NOT NULL is a column's own.
_CHECKS = """
SELECT conrelid::int8, oid::int8, conname, pg_catalog.pg_get_constraintdef(oid)
FROM pg_catalog.pg_constraint WHERE conrelid >= 16384 AND contype = 'c' AND conislocal ORDER BY oid"""

_LABELS = """
SELECT enumtypid::int8, oid::int8, enumlabel FROM pg_catalog.pg_enum WHERE enumtypid >= 16384
ORDER BY enumtypid, enumsortorder"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column as it stands; ``type`` is with its collation, ``value`` its default or what generates it."""

    name: str
    dropped: bool
    type: str
    not_null: bool
    generated: str
    value: str | None


@dataclass(frozen=True)
class State:
    """A database at one time.

    By OID of their table or type: the columns by number, and by OID the checks (name and definition) and the
    labels of enums.
    """

    archive: Archive
    columns: Mapping[int, Mapping[int, Column]]
    checks: Mapping[int, Mapping[int, tuple[str, str]]]
    labels: Mapping[int, Mapping[int, str]]


@dataclass(frozen=True)
class Changes:
    """What has to be run over a prelude.

    ``texts`` are SQL by entry of the later archive, in place of the entry's own; ``drops`` are statements
    that come first, each with the entry of the table that it is part of (None: of no table); ``releases``
    follow them whatever is asked for: an object of the prelude gives up a name or a type that migrations make
    anew. ``refused`` says by entry what no alteration can express. ``changed_rows`` are the entries of
    rows that may be others only because their table was altered.
    """

    texts: Mapping[int, str] = field(default_factory=dict)
    drops: tuple[tuple[int | None, str], ...] = ()
    releases: tuple[str, ...] = ()
    refused: Mapping[int, str] = field(default_factory=dict)
    changed_rows: frozenset[int] = frozenset()


def state_of(archive: Archive, connection: psycopg.Connection[Any]) -> State:
    """The state of the database that was dumped; ``connection`` is to it, with an empty search path."""
    columns: dict[int, dict[int, Column]] = {}
    for oid, number, *rest in connection.execute(_COLUMNS).fetchall():
        columns.setdefault(oid, {})[number] = Column(*rest)
    checks: dict[int, dict[int, tuple[str, str]]] = {}
    for table, oid, name, definition in connection.execute(_CHECKS).fetchall():
        checks.setdefault(table, {})[oid] = (name, definition)
    labels: dict[int, dict[int, str]] = {}
    for type_, oid, label in connection.execute(_LABELS).fetchall():
        labels.setdefault(type_, {})[oid] = label
    return State(archive, columns, checks, labels)


def changes(before: State, after: State) -> Changes:
    """What makes the state ``before``, when the prelude was run, into the one ``after`` the migrations."""
    return _Comparison(before, after).changes()


class _Comparison:
    def __init__(self, before: State, after: State) -> None:
        self._before, self._after = before, after
        self._was = dict(_keyed(before.archive))
        self._is = dict(_keyed(after.archive))
        self._renames = sorted(
            {
                (_qualified(entry), _qualified(self._is[key]))
                for key, entry in self._was.items()
                if entry.oid and key in self._is and _qualified(entry) != _qualified(self._is[key])
            },
            key=lambda names: -len(names[0]),
        )
        self._texts: dict[int, str] = {}
        self._drops: list[tuple[int | None, str]] = []
        self._first_renames: list[str] = []
        self._gone_types = {
            _qualified(entry)
            for key, entry in self._was.items()
            if key not in self._is and entry.type in ("TYPE", "DOMAIN")
        }
        self._taken = {_place(entry) for entry in self._new()}
        self._refused: dict[int, str] = {}
        self._changed_rows: set[int] = set()

    def changes(self) -> Changes:
        made_again = {(entry.type, entry.schema, entry.name): entry for entry in self._new()}
        for key, was in self._was.items():
            if key in self._is or was.type in (ROWS, *_SET_ANYWAY) or not was.drop:
                continue
            again = made_again.get((was.type, was.schema, was.name))
            drop = was.drop.strip("\n")
            if again is not None and was.type not in _PARTS:
                self._texts[again.number] = f"{drop}\n{again.create}".rstrip("\n")
            else:
                self._drops.append((self._table_of(was), drop))
        for key, entry in self._is.items():
            if key in self._was:
                self._compare(self._was[key], entry)
        self._drops.reverse()
        return Changes(
            texts=self._texts,
            drops=tuple(self._drops),
            releases=(*self._released_columns(), *self._first_renames),
            refused=self._refused,
            changed_rows=frozenset(self._changed_rows),
        )

    def _new(self) -> Iterator[ArchiveEntry]:
        return (entry for key, entry in self._is.items() if key not in self._was)

    def _compare(self, was: ArchiveEntry, entry: ArchiveEntry) -> None:
        if entry.type == ROWS:
            self._rows(was, entry)
            return
        if entry.type in _SET_ANYWAY:
            if (was.create, was.name) == (entry.create, entry.name):
                self._texts[entry.number] = ""
            return
        statements = list(_moves(was, entry)) if entry.type not in _PARTS else []
        if statements and was.schema == entry.schema and _place(was) in self._taken:
            self._first_renames += statements
            statements = []
        if not self._is_equal(was.create, entry.create) or self._has_changed_columns(entry):
            statements += self._alterations(was, entry)
        self._texts[entry.number] = "\n".join(statements)

    def _alterations(self, was: ArchiveEntry, entry: ArchiveEntry) -> Sequence[str]:
        create = entry.create.strip("\n")
        if entry.type in _PARTS and was.drop:
            self._drops.append((self._table_of(was), was.drop.strip("\n")))
            return [create]
        if entry.type in _REPLACED:
            return [create.replace("CREATE ", "CREATE OR REPLACE ", 1)]
        if entry.type == "SEQUENCE" and create.startswith("CREATE SEQUENCE "):
            return [create.replace("CREATE ", "ALTER ", 1)]
        if entry.type in ("TABLE", "FOREIGN TABLE"):
            return [*self._columns(entry), *self._checks(entry), *_further(was, entry)]
        if entry.type == "TYPE" and entry.oid in self._before.labels:
            return list(self._labels(entry))
        self._refused[entry.number] = "the prelude makes it, and no statement says how it was changed"
        return []

    def _released_columns(self) -> Iterator[str]:
        """Drop the columns whose type, one of the prelude's, is dropped as well: DROP TYPE comes later."""
        for was in self._was.values():
            if was.type not in ("TABLE", "FOREIGN TABLE"):
                continue
            now = self._after.columns.get(was.oid, {})
            for number, column in self._before.columns.get(was.oid, {}).items():
                if number in now and now[number].dropped and self._is_released(column):
                    yield f"ALTER TABLE ONLY {_qualified(was)} DROP COLUMN {quoted_name(column.name)};"

    def _is_released(self, column: Column) -> bool:
        return not column.dropped and column.type.removesuffix("[]") in self._gone_types

    def _has_changed_columns(self, entry: ArchiveEntry) -> bool:
        if entry.system_catalog == PG_CLASS:
            columns = self._before.columns.get(entry.oid) != self._after.columns.get(entry.oid)
            return columns or self._before.checks.get(entry.oid) != self._after.checks.get(entry.oid)
        if entry.system_catalog == PG_TYPE:
            return self._before.labels.get(entry.oid) != self._after.labels.get(entry.oid)
        return False

    def _columns(self, entry: ArchiveEntry) -> Iterator[str]:
        table = f"ALTER TABLE ONLY {_qualified(entry)}"
        was, now = self._before.columns.get(entry.oid, {}), self._after.columns.get(entry.oid, {})
        for number, column in now.items():
            old = was.get(number)
            if old is None and not column.dropped:
                yield f"{table} ADD COLUMN {_definition(column)};"
            elif old is not None and old != column and not (column.dropped and self._is_released(old)):
                yield from _altered(table, old, column)

    def _checks(self, entry: ArchiveEntry) -> Iterator[str]:
        """The checks that pg_dump writes inside CREATE TABLE; the others have entries of their own."""
        table = f"ALTER TABLE ONLY {_qualified(entry)}"
        was, now = self._before.checks.get(entry.oid, {}), self._after.checks.get(entry.oid, {})
        apart = {e.oid for e in (*self._was.values(), *self._is.values()) if e.type == "CHECK CONSTRAINT"}
        for oid, (name, _) in was.items():
            if oid not in now and oid not in apart:
                yield f"{table} DROP CONSTRAINT {quoted_name(name)};"
            elif oid in now and now[oid][0] != name:
                yield f"{table} RENAME CONSTRAINT {quoted_name(name)} TO {quoted_name(now[oid][0])};"
        for oid, (name, definition) in now.items():
            if oid not in was and oid not in apart:
                yield f"{table} ADD CONSTRAINT {quoted_name(name)} {definition};"

    def _labels(self, entry: ArchiveEntry) -> Iterator[str]:
        was, now = self._before.labels[entry.oid], self._after.labels.get(entry.oid, {})
        if set(was) - set(now):
            self._refused[entry.number] = "the prelude makes it, and a label of it is gone"
        last = ""
        for oid, label in now.items():
            place = f"AFTER {quoted(last)}" if last else f"BEFORE {quoted(next(iter(was.values())))}"
            if oid not in was:
                yield f"ALTER TYPE {_qualified(entry)} ADD VALUE {quoted(label)} {place};"
            elif was[oid] != label:
                yield f"ALTER TYPE {_qualified(entry)} RENAME VALUE {quoted(was[oid])} TO {quoted(label)};"
            last = label

    def _rows(self, was: ArchiveEntry, entry: ArchiveEntry) -> None:
        old = self._before.archive.rows.get(was.number, "").rstrip("\n")
        new = self._after.archive.rows.get(entry.number, "").rstrip("\n")
        if not new.startswith(old):
            self._changed_rows.add(entry.number)
            self._texts[entry.number] = new.strip("\n")
            return
        rows = new.removeprefix(old).strip("\n")
        table = next(e for e in self._was.values() if e.oid == entry.oid and e.system_catalog == PG_CLASS)
        if rows and any(e.type == "TRIGGER" and table.number in e.needs for e in self._was.values()):
            name = _qualified(self._is.get(_key(table, {}), table))
            rows = (
                f"ALTER TABLE {name} DISABLE TRIGGER USER;\n{rows}\nALTER TABLE {name} ENABLE TRIGGER USER;"
            )
        self._texts[entry.number] = rows

    def _is_equal(self, was: str, now: str) -> bool:
        for old, new in self._renames:
            was = was.replace(old, new)
        return was == now

    def _table_of(self, was: ArchiveEntry) -> int | None:
        """The entry at the end of the table that an entry at the beginning was a part of."""
        if was.type not in _PARTS:
            return None
        tables = {entry.number: key for key, entry in self._was.items() if entry.system_catalog == PG_CLASS}
        its = (self._is.get(tables[number]) for number in was.needs if number in tables)
        return next((entry.number for entry in its if entry is not None), None)


_Key = tuple[str | int | tuple[int, ...], ...]


def _keyed(archive: Archive) -> Iterable[tuple[_Key, ArchiveEntry]]:
    oids = {entry.number: entry.oid for entry in archive.entries}
    return ((_key(entry, oids), entry) for entry in archive.entries)


def _key(entry: ArchiveEntry, oids: Mapping[int, int]) -> _Key:
    """What an entry is known by in both archives."""
    if entry.oid:
        return (entry.type, entry.system_catalog, entry.oid)
    if entry.type in _OF_WHAT_THEY_NEED:
        return (entry.type, tuple(sorted({oids.get(number, 0) for number in entry.needs})))
    return (entry.type, entry.schema, entry.name)


def _place(entry: ArchiveEntry) -> tuple[int, str, str]:
    """The name that no second object can have; tables, views and sequences share theirs."""
    return (entry.system_catalog, entry.schema, entry.name)


def _qualified(entry: ArchiveEntry) -> str:
    """The name, with arguments where it has some, as pg_dump writes it: it stands in the DROP."""
    return entry.drop.strip("\n").removeprefix(f"DROP {entry.type} ").removesuffix(";")


def _moves(was: ArchiveEntry, entry: ArchiveEntry) -> Iterator[str]:
    """The statements that give an object another schema or name."""
    if (was.schema, was.name) == (entry.schema, entry.name) or not (was.oid and was.drop):
        return
    name = _qualified(was)
    if was.schema != entry.schema:
        yield f"ALTER {was.type} {name} SET SCHEMA {quoted_name(entry.schema)};"
        old = next(each for each in (was.schema, quoted_name(was.schema)) if name.startswith(f"{each}."))
        name = f"{quoted_name(entry.schema)}{name.removeprefix(old)}"
    bare = entry.name.partition("(")[0] if entry.type in _WITH_ARGUMENTS else entry.name
    if bare != (was.name.partition("(")[0] if was.type in _WITH_ARGUMENTS else was.name):
        yield f"ALTER {was.type} {name} RENAME TO {quoted_name(bare)};"


def _further(was: ArchiveEntry, entry: ArchiveEntry) -> Iterator[str]:
    """The statements after CREATE TABLE that weren't there before: statistics, storage, row security."""
    before = {statement.text for statement in split(was.create)}
    for statement in split(entry.create)[1:]:
        if statement.text not in before:
            yield f"{statement.text};"


def _definition(column: Column) -> str:
    words = [quoted_name(column.name), column.type]
    if column.generated:
        kind = "STORED" if column.generated == "s" else "VIRTUAL"
        words.append(f"GENERATED ALWAYS AS ({column.value}) {kind}")
    elif column.value is not None:
        words.append(f"DEFAULT {column.value}")
    if column.not_null:
        words.append("NOT NULL")
    return " ".join(words)


def _altered(table: str, old: Column, new: Column) -> Iterator[str]:
    if new.dropped:
        if not old.dropped:
            yield f"{table} DROP COLUMN {quoted_name(old.name)};"
        return
    name = quoted_name(new.name)
    if old.name != new.name:
        yield f"{table} RENAME COLUMN {quoted_name(old.name)} TO {name};"
    if old.type != new.type:
        cast = f"{name}::{new.type.partition(' COLLATE ')[0]}"
        yield f"{table} ALTER COLUMN {name} TYPE {new.type} USING {cast};"
    if old.value != new.value and not new.generated:
        action = "DROP DEFAULT" if new.value is None else f"SET DEFAULT {new.value}"
        yield f"{table} ALTER COLUMN {name} {action};"
    if old.not_null != new.not_null:
        yield f"{table} ALTER COLUMN {name} {'SET' if new.not_null else 'DROP'} NOT NULL;"
