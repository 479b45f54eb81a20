"""Many INSERTs of constants into one table, which are traced together. Pure.

A seed file may hold fifty thousand of them. Each does the same, and to look at one takes ten times as long
as to run it: so a few hundred are sent in one message, and looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from pgslate.catalog.statements import Statement
from pgslate.trace.effects import Effect

_TOGETHER = 500
"""How many statements at most are sent in one message; a message's answers are all kept in memory."""

_LONG = 20_000
"""Characters from which on a statement is worth a look of its own."""

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_]\w*)'
_TYPE = r"(?:jsonb?|uuid|text|date|time|timestamptz?|interval|numeric|bytea|bool(?:ean)?|int[248]?|bigint)"
_CONSTANT = rf"(?:'(?:[^'\\]|'')*'(?:\s*::\s*{_TYPE})?|[-+]?[\d.]+(?:[eE][-+]?\d+)?|null|true|false|default)"
_INSERT = re.compile(
    rf"(?P<into>insert\s+into\s+(?:{_NAME}\.)?{_NAME}\s*(?:\([^()']*\))?\s*values)"
    rf"(?:\s*,?\s*\(\s*{_CONSTANT}(?:\s*,\s*{_CONSTANT})*\s*\))+\s*",
    re.IGNORECASE,
)


def target(statement: Statement) -> str:
    """How an INSERT of constants begins, up to VALUES; nothing for any other statement.

    >>> from pgslate.catalog.statements import split
    >>> [target(each) for each in split("INSERT INTO a VALUES (1, 'x'); INSERT INTO a VALUES (f(1));")]
    ['INSERT INTO a VALUES', '']
    """
    if statement.kind != "InsertStmt" or len(statement.text) > _LONG:
        return ""
    found = _INSERT.fullmatch(statement.text)
    return found["into"] if found else ""


def together(block: Sequence[Statement], first: int) -> Iterator[list[tuple[int, Statement]]]:
    """A transaction's statements, with their numbers in the file, as they are traced: alone, or many at once.

    ``first`` is the number of the first one.
    """
    numbered = enumerate(block, start=first)
    for into, members in groupby(numbered, key=lambda member: target(member[1])):
        run = list(members)
        if not into:
            yield from ([member] for member in run)
            continue
        for start in range(0, len(run), _TOGETHER):
            yield run[start : start + _TOGETHER]


def shared(effect: Effect, statements: Sequence[tuple[int, Statement]], first: int) -> list[Effect]:
    """The effect of statements that were looked at once, for each of them; ``first`` is its number.

    Where they did more than write rows, which of them did isn't known: then they run together or not at all.
    """
    last = first + len(statements) - 1
    only_rows = not (effect.touches - effect.writes or effect.drops or effect.cascades or effect.takes)
    if only_rows:
        return [effect._replace(statement=n, line=statement.line) for n, statement in statements]
    rest = Effect(effect.migration, 0, 0, writes=effect.writes, reads=effect.reads, together=(first, last))
    found = [rest._replace(statement=n, line=statement.line) for n, statement in statements]
    return [effect._replace(together=(first, last)), *found[1:]]
