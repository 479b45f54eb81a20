"""Names for columns' NOT NULL, where pg_dump leaves one out and PostgreSQL would choose another.

From 18 on a NOT NULL has a name. pg_dump writes it unless it is the one that PostgreSQL makes of the table's
and the column's; but that is chosen only while no constraint in the schema has it, and a partition may have
it from its parent.

Source: PostgreSQL, ``ChooseConstraintName`` in src/backend/catalog/pg_constraint.c, ``makeObjectName`` in
src/backend/commands/indexcmds.c; ``determineNotNullFlags`` in src/bin/pg_dump/pg_dump.c.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from pgslate.dump.entries import NAME, QUALIFIED, Entry
from pgslate.schema.identifiers import qualified

_CREATED = re.compile(rf"CREATE (?:(?:UNLOGGED |FOREIGN )?TABLE|DOMAIN) (?P<made>{QUALIFIED})")
_COLUMN = re.compile(rf"^    (?P<column>{NAME}) (?P<type>[^\n]+?) NOT NULL(?=,?$)", re.MULTILINE)
_NAMED = re.compile(rf"\bCONSTRAINT (?P<name>{NAME})")
_TABLES = ("TABLE", "FOREIGN TABLE")
_LONGEST, _LABEL = 63, "not_null"  # bytes, of a name


def named(entries: Iterable[Entry]) -> list[Entry]:
    r"""The entries, with a name for each NOT NULL whose own would not be free.

    >>> created = "CREATE TABLE public.{} (\n    id bigint{} NOT NULL\n);"
    >>> parted = Entry(1, "TABLE", "log", None, (), (), created.format("log", " CONSTRAINT x_id_not_null"))
    >>> plain = Entry(2, "TABLE", "x", None, (), (), created.format("x", ""))
    >>> print(named([parted, plain])[1].text)
    CREATE TABLE public.x (
        id bigint CONSTRAINT x_id_not_null NOT NULL
    );
    """
    found = list(entries)
    taken: dict[str, set[str]] = defaultdict(set)
    for entry in found:
        created = _CREATED.match(entry.text)
        if created:
            names = map(_bare, _NAMED.findall(entry.text))
            taken[qualified(created["made"])[0]].update(names)
    return [_named(entry, taken) if entry.type in _TABLES else entry for entry in found]


def _named(entry: Entry, taken: dict[str, set[str]]) -> Entry:
    created = _CREATED.match(entry.text)
    if created is None:
        return entry
    schema, table = qualified(created["made"])

    def say(found: re.Match[str]) -> str:
        name = _chosen(table, _bare(found["column"]))
        if name not in taken.get(schema, ()) or _NAMED.search(found["type"]):
            return found[0]
        quoted = name.replace('"', '""')
        spelled = name if re.fullmatch(r"[a-z_][a-z0-9_]*", name) else f'"{quoted}"'
        return f"    {found['column']} {found['type']} CONSTRAINT {spelled} NOT NULL"

    return replace(entry, text=_COLUMN.sub(say, entry.text))


def _bare(name: str) -> str:
    """The name without its quotes."""
    return qualified(name)[1]


def _chosen(table: str, column: str) -> str:
    """The name that PostgreSQL makes: of the longer one it cuts off what is too much.

    >>> _chosen("orders", "id"), len(_chosen("a" * 60, "b" * 60))
    ('orders_id_not_null', 63)
    """
    one, other = table.encode(), column.encode()
    room = _LONGEST - len(_LABEL) - 2
    while len(one) + len(other) > room:
        one, other = (one[:-1], other) if len(one) > len(other) else (one, other[:-1])
    return f"{one.decode(errors='ignore')}_{other.decode(errors='ignore')}_{_LABEL}"
