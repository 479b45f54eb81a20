"""Tables as an engineer would write them: keys, identity, defaults and foreign keys in the CREATE TABLE.

pg_dump adds each in a statement of its own, which is most of the time that its script takes: a statement
reads the table's definition anew, and a foreign key that is added later is checked by a query. What
PostgreSQL takes inside CREATE TABLE with an equal outcome is put there, and a table after those that it
refers to. What isn't recognised, letter by letter, stays as it was.

Source: PostgreSQL, ``transformCreateStmt`` and ``transformFKConstraints`` in
src/backend/parser/parse_utilcmd.c; ``dumpTableSchema``, ``dumpConstraint`` and ``dumpSequence`` in
src/bin/pg_dump/pg_dump.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from pgslate.dump.entries import NAME, QUALIFIED, Entry, made_by, mentioned
from pgslate.dump.ordering import arranged
from pgslate.dump.table_text import TableText, table_text
from pgslate.schema.identifiers import parts

MANY = 100_000
"""Characters of a table's rows from which its keys are built after them."""

_COLUMNS = rf"{NAME}(?:, {NAME})*"
_DEFERRED = r"(?: DEFERRABLE)?(?: INITIALLY DEFERRED)?"
_IDENTITY = re.compile(
    rf"ALTER TABLE (?P<table>{QUALIFIED}) ALTER COLUMN (?P<column>{NAME})"
    r" ADD GENERATED (?P<when>ALWAYS|BY DEFAULT) AS IDENTITY \(\n"
    rf"    SEQUENCE NAME (?P<sequence>{QUALIFIED})\n"
    r"(?P<options>(?:    (?:START WITH|INCREMENT BY|MINVALUE|MAXVALUE|CACHE) -?\d+\n"
    r"|    (?:NO MINVALUE|NO MAXVALUE|CYCLE)\n)*)\);"
)
_SEQUENCE = re.compile(
    rf"CREATE SEQUENCE (?P<sequence>{QUALIFIED})\n(?:    AS (?P<type>integer|smallint)\n)?"
    r"    START WITH 1\n    INCREMENT BY 1\n    NO MINVALUE\n    NO MAXVALUE\n    CACHE 1;"
)
_OWNED = re.compile(
    rf"ALTER SEQUENCE (?P<sequence>{QUALIFIED}) OWNED BY (?P<table>{QUALIFIED})\.(?P<column>{NAME});"
)
_DEFAULT = re.compile(
    rf"ALTER TABLE ONLY (?P<table>{QUALIFIED}) ALTER COLUMN (?P<column>{NAME}) SET DEFAULT (?P<value>.+);",
    re.DOTALL,
)
_KEY = re.compile(
    rf"ALTER TABLE ONLY (?P<table>{QUALIFIED})\n    ADD (?P<constraint>CONSTRAINT (?P<name>{NAME})"
    rf" (?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \((?P<columns>{_COLUMNS})\)"
    rf"(?: INCLUDE \({_COLUMNS}\))?"
    rf"(?: WITH \((?:[^()']|'[^']*')*\))?(?P<deferred>{_DEFERRED}));"
)
_FOREIGN_KEY = re.compile(
    rf"ALTER TABLE ONLY (?P<table>{QUALIFIED})\n    ADD (?P<constraint>CONSTRAINT (?P<name>{NAME})"
    rf" FOREIGN KEY \({_COLUMNS}\) REFERENCES (?P<other>{QUALIFIED})\((?P<columns>{_COLUMNS})\)"
    r"(?: MATCH FULL)?"
    rf"(?: ON (?:UPDATE|DELETE) (?:CASCADE|RESTRICT|SET (?:NULL|DEFAULT)(?: \({_COLUMNS}\))?))*{_DEFERRED});"
)
_PLAIN_OPTIONS = ("START WITH 1", "INCREMENT BY 1", "NO MINVALUE", "NO MAXVALUE", "CACHE 1")
_START = re.compile(r"^    START WITH (-?\d+)$", re.MULTILINE)
_SET = re.compile(r"SELECT pg_catalog\.setval\('.*', (-?\d+), false\);", re.DOTALL)
_INHERITS = re.compile(r"^INHERITS \(.*", re.MULTILINE | re.DOTALL)
_SERIAL = {"integer": "serial", "bigint": "bigserial", "smallint": "smallserial"}

# Their order hangs on nothing but the names that they mention. Not so DEFAULT: a table that inherits takes
# over what its parent has by then.
_MOVABLE = frozenset(("TABLE", "VIEW", "MATERIALIZED VIEW", "SEQUENCE", "SEQUENCE OWNED BY", "COMMENT"))

# What an expression or a key may need without a word of it.
_SILENT = frozenset(("ACCESS METHOD", "CAST", "OPERATOR", "OPERATOR CLASS", "OPERATOR FAMILY"))

# They begin as what makes a name does, but belong to a table.
_OF_A_TABLE = frozenset(("INDEX", "TRIGGER", "RULE", "POLICY"))


@dataclass
class _Table:
    """A table that more is put into; ``keys`` are the columns that a foreign key may refer to."""

    at: int
    text: TableText
    rows: int
    folded: list[int] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    key_columns: set[str] = field(default_factory=set)
    keys: set[frozenset[str]] = field(default_factory=set)


@dataclass(frozen=True)
class _Wish:
    """What is put into the table if what it ``needs`` is made before: entry ``at``, a default or foreign key.

    ``needs`` are places of entries.
    """

    at: int
    table: _Table
    needs: frozenset[int]
    column: str = ""
    text: str = ""


def fold(entries: Sequence[Entry]) -> list[Entry]:
    r"""The entries with what belongs to a table in the table's own, where the outcome is equal.

    >>> table = Entry(1, "TABLE", "a", None, (), (), "CREATE TABLE public.a (\n    id bigint NOT NULL\n);")
    >>> key = "ALTER TABLE ONLY public.a\n    ADD CONSTRAINT a_pkey PRIMARY KEY (id);"
    >>> constraint = Entry(2, "CONSTRAINT", "a a_pkey", None, (1,), (), key)
    >>> print(*(entry.text for entry in fold([table, constraint])))
    CREATE TABLE public.a (
        id bigint NOT NULL,
        CONSTRAINT a_pkey PRIMARY KEY (id)
    );
    """
    return _Folding(entries).folded()


class _Folding:
    """The entries of one script; an entry is referred to by its place among them."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = entries
        self._gone: dict[int, int] = {}  # what was folded or left out, and the table that it is in, or itself
        self._tables = self._foldable()
        self._tables_at = {table.at: table for table in self._tables.values()}
        self._makers: dict[str, list[int]] = {}
        for at, entry in enumerate(entries):
            name = made_by(entry.text) if entry.type not in _OF_A_TABLE else ""
            if name:
                self._makers.setdefault(name, []).append(at)

    def folded(self) -> list[Entry]:
        if not self._tables:
            return list(self._entries)
        self._fold_identities()
        self._fold_serials()
        self._fold_keys()
        self._leave_out_what_is_so()
        wishes = [*self._defaults(), *self._foreign_keys()]
        order = self._ordered(wishes)
        places = {at: place for place, at in enumerate(order)}
        for wish in wishes:
            if all(places[self._gone.get(need, need)] <= places[wish.table.at] for need in wish.needs):
                self._grant(wish)
        return [self._entry(at) for at in order if at not in self._gone]

    def _foldable(self) -> dict[str, _Table]:
        """The tables that more can be put into, by name: not those that inherit or are inherited from."""
        rows: dict[int, int] = {}
        family: set[str] = set()
        begin = 0
        for at, entry in enumerate(self._entries):
            if entry.type == "TABLE DATA":
                for number in entry.needs:
                    rows[number] = rows.get(number, 0) + len(entry.text)
            elif entry.type == "TABLE ATTACH":
                family |= mentioned(entry.text)
            elif entry.type == "TABLE" and "\nINHERITS (" in entry.text:
                family.update(*map(mentioned, _INHERITS.findall(entry.text)))
            elif entry.type in _SILENT:
                begin = at
        found = {}
        for at, entry in enumerate(self._entries):
            is_plain = entry.type == "TABLE" and at >= begin and not entry.settings
            text = table_text(entry.text) if is_plain else None
            if text is not None and text.name.replace('"', "") not in family:
                found[text.name] = _Table(at, text, rows.get(entry.number, 0))
        return found

    def _matches(self, type_: str, pattern: re.Pattern[str]) -> Iterable[tuple[int, re.Match[str]]]:
        for at, entry in enumerate(self._entries):
            if entry.type == type_ and at not in self._gone and not entry.settings:
                found = pattern.fullmatch(entry.text)
                if found:
                    yield at, found

    def _fold_identities(self) -> None:
        for at, found in self._matches("SEQUENCE", _IDENTITY):
            table = self._tables.get(found["table"])
            item = table.text.column(found["column"]) if table else None
            if table is None or item is None:
                continue
            options = [line.strip() for line in found["options"].splitlines()]
            if options == list(_PLAIN_OPTIONS):
                options = []
            sequence = " ".join([f"SEQUENCE NAME {found['sequence']}", *options])
            table.text.define(found["column"], f"{item} GENERATED {found['when']} AS IDENTITY ({sequence})")
            self._put(at, table)

    def _fold_serials(self) -> None:
        """``serial`` where it makes just the sequence and the default that are there."""
        sequences = {found["sequence"]: (at, found) for at, found in self._matches("SEQUENCE", _SEQUENCE)}
        owned = {found["sequence"]: (at, found) for at, found in self._matches("SEQUENCE OWNED BY", _OWNED)}
        defaults = {
            (found["table"], found["column"]): (at, found) for at, found in self._matches("DEFAULT", _DEFAULT)
        }
        for sequence, (at, made) in sequences.items():
            owned_at, owner = owned.get(sequence, (0, None))
            table = self._tables.get(owner["table"]) if owner else None
            if owner is None or table is None or table.text.unlogged:
                continue
            column, type_ = owner["column"], made["type"] or "bigint"
            default_at, default = defaults.get((owner["table"], column), (0, None))
            if (
                default is not None
                and default["value"] == f"nextval('{sequence}'::regclass)"
                and parts(sequence) == _serial_name(owner["table"], column)
                and table.text.column(column) == f"{column} {type_} NOT NULL"
            ):
                table.text.define(column, f"{column} {_SERIAL[type_]} NOT NULL")
                for one in (at, owned_at, default_at):
                    self._put(one, table)

    def _fold_keys(self) -> None:
        for at, found in self._matches("CONSTRAINT", _KEY):
            table = self._tables.get(found["table"])
            # Of two keys of the same columns in one CREATE TABLE, PostgreSQL leaves one out.
            if table is None or _is_of_a_not_null(found) or found["columns"] in table.key_columns:
                continue
            if table.rows > MANY:
                continue
            table.key_columns.add(found["columns"])
            table.constraints.append(found["constraint"])
            if not found["deferred"]:
                table.keys.add(_columns(found["columns"]))
            self._put(at, table)

    def _leave_out_what_is_so(self) -> None:
        """Sequences that are set to where they start."""
        starts = {
            entry.number: start[1]
            for entry in self._entries
            if entry.type == "SEQUENCE" and (start := _START.search(entry.text))
        }
        for at, found in self._matches("SEQUENCE SET", _SET):
            if [starts.get(number) for number in self._entries[at].needs] == [found[1]]:
                self._gone[at] = at

    def _defaults(self) -> Iterable[_Wish]:
        for at, found in self._matches("DEFAULT", _DEFAULT):
            table = self._tables.get(found["table"])
            if table is None or ";\nALTER " in found["value"]:
                continue
            if table.text.column(found["column"]) is not None:
                needs = {maker for name in mentioned(found["value"]) for maker in self._makers.get(name, ())}
                yield _Wish(at, table, frozenset(needs), found["column"], found["value"])

    def _foreign_keys(self) -> Iterable[_Wish]:
        """Not of tables with rows: those come later, in an order that doesn't mind keys between them."""
        for at, found in self._matches("FK CONSTRAINT", _FOREIGN_KEY):
            table, other = self._tables.get(found["table"]), self._tables.get(found["other"])
            if table is None or other is None or table.rows or _is_of_a_not_null(found):
                continue
            if _columns(found["columns"]) in other.keys:
                yield _Wish(at, table, frozenset((other.at,)), text=found["constraint"])

    def _grant(self, wish: _Wish) -> None:
        text = wish.table.text
        if wish.column:
            text.define(wish.column, f"{text.column(wish.column)} DEFAULT {wish.text}")
        else:
            wish.table.constraints.append(wish.text)
        self._put(wish.at, wish.table)

    def _put(self, at: int, table: _Table) -> None:
        self._gone[at] = table.at
        table.folded.append(at)

    def _entry(self, at: int) -> Entry:
        entry = self._entries[at]
        table = self._tables_at.get(at)
        if table is None or not table.folded:
            return entry
        table.text.items += table.constraints
        return replace(entry, text=str(table.text))

    def _ordered(self, wishes: Sequence[_Wish]) -> list[int]:
        """The places in the order in which most wishes can be granted."""
        gladly: dict[int, set[int]] = {}
        for wish in wishes:
            gladly.setdefault(wish.table.at, set()).update(self._gone.get(need, need) for need in wish.needs)
        found: list[int] = []
        run: list[int] = []
        for at, entry in enumerate(self._entries):
            if entry.type in _MOVABLE:
                run.append(at)
                continue
            found += self._run(run, gladly)
            run = []
            found.append(at)
        return found + self._run(run, gladly)

    def _run(self, run: Sequence[int], gladly: dict[int, set[int]]) -> list[int]:
        """Entries that follow each other, in the order that is best for them."""
        known = set(run)
        if all(need <= at for at in run for need in gladly.get(at, ()) if need in known):
            return list(run)
        numbers = {self._entries[at].number: self._gone.get(at, at) for at in run}
        comments = {at: self._commented(at, numbers) for at in run if self._entries[at].type == "COMMENT"}
        heads = [at for at in run if at not in self._gone and comments.get(at) not in known]
        attached: dict[int, list[int]] = {}
        for at, its in comments.items():
            if its in known:
                attached.setdefault(its, []).append(at)
        places = {at: place for place, at in enumerate(heads)}
        after = [self._needed(at, places, numbers) for at in heads]
        gladly_after = [{places[need] for need in gladly.get(at, ()) if need in places} for at in heads]
        order = [heads[place] for place in arranged(after, gladly_after)]
        gone = [at for at in run if at in self._gone]
        return [*(each for at in order for each in (at, *attached.get(at, ()))), *gone]

    def _commented(self, at: int, numbers: dict[int, int]) -> int | None:
        """What a comment in a run is on, if that is one thing; of something folded, its table."""
        its = {numbers.get(number) for number in self._entries[at].needs}
        return its.pop() if len(its) == 1 else None

    def _needed(self, at: int, places: dict[int, int], numbers: dict[int, int]) -> set[int]:
        """What stands before it in the dump and is named in it, as a place among those of its run."""
        entry = self._entries[at]
        needs = {numbers[number] for number in entry.needs if number in numbers}
        for name in mentioned(entry.text):
            needs.update(self._gone.get(maker, maker) for maker in self._makers.get(name, ()))
        return {places[need] for need in needs if need < at and need in places}


def _serial_name(table: str, column: str) -> list[str]:
    """What PostgreSQL calls the sequence of a serial column; nothing where it would have to shorten it."""
    schema, bare = parts(table)
    name = f"{bare}_{parts(column)[0]}_seq"
    return [schema, name] if len(name.encode()) < 64 else []


def _columns(text: str) -> frozenset[str]:
    return frozenset(re.findall(NAME, text))


def _is_of_a_not_null(constraint: re.Match[str]) -> bool:
    """Whether its name may be one that PostgreSQL would give to a column's NOT NULL."""
    return "_not_null" in constraint["name"]
