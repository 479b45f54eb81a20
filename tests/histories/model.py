"""A small model of a live schema: enough to know what is valid next, and what a CASCADE takes along."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")

# Plain names, names that differ by case, reserved words, and names that only quotes can hold.
NAMES = (
    *("users", "orders", "items", "events", "tags", "Users", "Orders", "order", "select", "audit_log", "x"),
    *("día", "straße", "Ünïcode", "a b", 'we"ird', "o'clock", "very_long_name_" + "abcdefghij" * 4),
)
ROLES = ("reader", "Writer Role")
_RESERVED = {"order", "select", "user", "table", "group"}


class Choices:
    """A few bytes that decide what an operation leaves open; when they are used up, the first of each."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def number(self, below: int) -> int:
        return next(self._data, 0) % below

    def pick(self, options: Sequence[T]) -> T:
        return options[self.number(len(options))]

    def one_in(self, times: int) -> bool:
        return self.number(times) == times - 1


@dataclass(eq=False)
class Thing:
    """Anything with a name; it ``needs`` what it would be dropped with, and goes with its ``owner``."""

    kind: str
    name: str
    schema: str = ""
    owner: Thing | None = None
    needs: set[Thing] = field(default_factory=set)


@dataclass(eq=False)
class Column(Thing):
    """``type`` is its SQL; ``sort`` is int, text, bool, date, json, or the enum's or domain's; ``filled``
    says that an INSERT may leave it out though it is NOT NULL; ``unique`` that all its values will
    differ."""

    type: str = ""
    sort: str = "int"
    not_null: bool = False
    filled: bool = False
    generated: bool = False
    foreign: bool = False


@dataclass(eq=False)
class Enum(Thing):
    values: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)  # in this migration: not to be used before its end


@dataclass(eq=False)
class Relation(Thing):
    """A table (``table``, ``partitioned``, ``partition``), a ``view`` or a ``materialized view``."""

    columns: list[Column] = field(default_factory=list)
    rows: bool = False
    rank: int = 0  # a trigger writes only to tables of a lower rank, so that none calls itself
    origin: str = ""  # the name it was made by, which its automatic indexes and sequences keep
    parent: Relation | None = None
    bounds: tuple[int, int] | None = None
    selects: list[tuple[Relation, Column, str]] = field(default_factory=list)  # of a view

    @property
    def key(self) -> Column:
        return self.columns[0]


@dataclass(eq=False)
class Function(Thing):
    """A trigger function whose body, a text to PostgreSQL, writes to ``log``."""

    log: Relation | None = None
    column: Column | None = None
    version: int = 0


@dataclass
class Model:
    """The live schema, and the migration being written."""

    schemas: list[str] = field(default_factory=lambda: ["public"])
    things: list[Thing] = field(default_factory=list)
    counter: int = 0
    path: str = "public"

    def next(self) -> int:
        self.counter += 1
        return self.counter

    def relations(self, *kinds: str) -> list[Relation]:
        return [
            t
            for t in self.things
            if isinstance(t, Relation) and t.kind in (kinds or ("table", "partitioned"))
        ]

    def of(self, kind: str, owner: Thing | None = None) -> list[Thing]:
        return [t for t in self.things if t.kind == kind and (owner is None or t.owner is owner)]

    def functions(self) -> list[Function]:
        return [t for t in self.things if isinstance(t, Function)]

    def loggers(self, relation: Relation) -> list[Function]:
        """The functions whose bodies name the table."""
        return [f for f in self.functions() if f.log is relation]

    def children(self, relation: Relation) -> list[Relation]:
        """Partitions and inheriting tables, all the way down."""
        found = [r for r in self.relations("table", "partition", "partitioned") if r.parent is relation]
        return found + [below for child in found for below in self.children(child)]

    def has_rows(self, relation: Relation) -> bool:
        return relation.rows or any(child.rows for child in self.children(relation))

    def written_by(self, relation: Relation) -> list[Relation]:
        """The tables that the triggers of ``relation`` write to, and those that theirs write to."""
        found: list[Relation] = []
        for trigger in self.of("trigger", relation):
            for function in trigger.needs:
                if isinstance(function, Function) and function.log is not None and function.log not in found:
                    found += [function.log, *self.written_by(function.log)]
        return found

    def touch(self, relation: Relation) -> None:
        """A row of ``relation`` was written, and so are rows of what its triggers write to."""
        for log in self.written_by(relation):
            log.rows = True

    def fresh(self, schema: str, c: Choices) -> str:
        """A name that nothing in the schema has: often one that something had before."""
        taken = {t.name for t in self.things if t.schema == schema}
        free = [name for name in NAMES if name not in taken]
        return c.pick(free) if free else f"more_{self.next()}"

    def fresh_column(self, relation: Relation, c: Choices) -> str:
        taken = {col.name for r in [relation, *self.children(relation)] for col in r.columns}
        free = [
            n for n in ("name", "amount", "Name", "note", "order", "día", "state", "a b") if n not in taken
        ]
        return c.pick(free) if free else f"c{self.next()}"

    def add(self, thing: T) -> T:
        assert isinstance(thing, Thing)
        self.things.append(thing)
        return thing

    def dependents(self, *roots: Thing) -> set[Thing]:
        """What a CASCADE takes along, the things that go with their owner included."""
        gone: set[Thing] = set(roots)
        while True:
            # A foreign key refers to every partition of what it refers to.
            wholes = {t.parent for t in gone if isinstance(t, Relation) and t.kind == "partition"}
            more = {
                t
                for t in self.everything()
                if t not in gone
                and (t.owner in gone or t.needs & gone or (t.kind == "fk" and t.needs & wholes))
            }
            if not more:
                return gone - set(roots)
            gone |= more

    def leaning(self, *roots: Thing) -> set[Thing]:
        """Those of the dependents that a DROP without CASCADE would be refused for."""
        tables = {t.owner for t in roots if isinstance(t, Column)}
        return {
            t
            for t in self.dependents(*roots)
            if not (set(_owners(t)) & set(roots) or (t.owner in tables and t.kind in _GO_WITH_A_COLUMN))
        }

    def everything(self) -> list[Thing]:
        return [*self.things, *{col for r in self.relations(*RELATIONS) for col in r.columns}]

    def drop(self, *roots: Thing) -> None:
        gone = self.dependents(*roots) | set(roots)
        self.things = [t for t in self.things if t not in gone]
        for relation in self.relations(*RELATIONS):
            relation.columns = [col for col in relation.columns if col not in gone]

    def blocked(self, *roots: Thing) -> bool:
        """Whether a function's body, which PostgreSQL doesn't look into, would be left without its table."""
        gone = self.dependents(*roots) | set(roots)
        return any(f not in gone and (f.log in gone or f.column in gone) for f in self.functions())

    def ref(self, thing: Thing, c: Choices | None = None) -> str:
        """The thing's name in SQL; without its schema where that is on the path, now and then."""
        if thing.schema == self.path and c is not None and not c.one_in(3):
            return quoted(thing.name)
        return f"{quoted(thing.schema)}.{quoted(thing.name)}"

    def end_of_migration(self) -> None:
        self.path = "public"
        for thing in self.things:
            if isinstance(thing, Enum):
                thing.values += thing.added
                thing.added = []


RELATIONS = ("table", "partitioned", "partition", "view", "materialized view")


_GO_WITH_A_COLUMN = {"index", "unique", "check", "key", "statistics", "fk", "sequence"}


def _owners(thing: Thing) -> Iterator[Thing]:
    owner = thing.owner
    while owner is not None:
        yield owner
        owner = owner.owner


def quoted(name: str) -> str:
    """The name as SQL, in quotes where it needs them.

    >>> quoted("users"), quoted("Users"), quoted('we"ird')
    ('users', '"Users"', '"we""ird"')
    """
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """The text as an SQL string.

    >>> literal("o'clock")
    "'o''clock'"
    """
    return "'" + text.replace("'", "''") + "'"


def value(column: Column, number: int) -> str:
    """A value for the column that no other number gives, where its type has so many."""
    match column.sort:
        case "int":
            return str(number)
        case "text":
            return literal(f"v{number}")
        case "bool":
            return "true" if number % 2 else "false"
        case "date":
            return f"DATE '2000-01-01' + {number}"
        case "json":
            return f"jsonb_build_object('n', {number})"
        case _:
            enum = next(t for t in column.needs if isinstance(t, Enum))
            return literal(enum.values[number % len(enum.values)])
