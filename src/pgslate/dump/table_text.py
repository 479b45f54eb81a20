"""A CREATE TABLE as pg_dump writes it, taken apart, so that more can be put into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pgslate.dump.entries import NAME, QUALIFIED

_HEAD = re.compile(rf"CREATE (?P<unlogged>UNLOGGED )?TABLE (?P<table>{QUALIFIED}) \(\n")
_TOKEN = re.compile(r"""E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|[(),]""", re.DOTALL)
# Not one that inherits, is partitioned or is of a type.
_TAIL = re.compile(r"\n\)(?:\nWITH \((?:[^()']|'[^']*')*\))?;(?=\n|\Z)")
_COLUMN = re.compile(rf"(?P<name>{NAME}) ")


@dataclass
class TableText:
    """A plain table: what stands between its parentheses, one item each, and what comes before and after.

    ``after`` begins with the closing parenthesis, and may go on with other statements.
    """

    name: str
    unlogged: bool
    before: str
    items: list[str]
    after: str
    _columns: dict[str, int] = field(default_factory=dict)

    def column(self, name: str) -> str | None:
        """The item that defines the column, by its name as it is written; None where there is none."""
        number = self._numbers().get(name)
        return None if number is None else self.items[number]

    def define(self, name: str, item: str) -> None:
        """Define the column by this item instead."""
        self.items[self._numbers()[name]] = item

    def _numbers(self) -> dict[str, int]:
        if not self._columns:
            for number, item in enumerate(self.items):
                found = _COLUMN.match(item)
                if found:
                    self._columns[found["name"]] = number
        return self._columns

    def __str__(self) -> str:
        return self.before + ",\n".join(f"    {item}" for item in self.items) + self.after


def table_text(text: str) -> TableText | None:
    r"""The parts of a table's SQL; None where it isn't a plain table with columns.

    >>> created = "CREATE TABLE public.a (\n    id integer NOT NULL,\n    b text DEFAULT '),'::text\n);"
    >>> found = table_text(created)
    >>> found.items
    ['id integer NOT NULL', "b text DEFAULT '),'::text"]
    >>> str(found) == created
    True
    >>> table_text("CREATE TABLE public.a (\n    id integer\n)\nPARTITION BY RANGE (id);") is None
    True
    """
    head = _HEAD.match(text)
    if head is None:
        return None
    items, start, depth = [], head.end(), 0
    for token in _TOKEN.finditer(text, start):
        match token[0]:
            case "(":
                depth += 1
            case ")" if depth:
                depth -= 1
            case ")":
                end = token.start() - 1
                if end < start or not _TAIL.match(text, end):
                    return None
                items.append(text[start:end])
                return TableText(
                    head["table"],
                    head["unlogged"] is not None,
                    head[0],
                    [item.removeprefix("\n").removeprefix("    ") for item in items],
                    text[end:],
                )
            case "," if not depth:
                items.append(text[start : token.start()])
                start = token.end()
            case _:
                pass
    return None
