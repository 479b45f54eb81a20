"""An entry of pg_dump's table of contents, and the names in its SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

Named = tuple[str, str]
"""A unit by its kind and name, as they are at the end of the catalog."""

ROWS = "TABLE DATA"
"""The type of an entry of a table's rows."""

LARGE_OBJECT = "LARGE OBJECT"
"""The type of an entry of large objects: no catalog says which table's rows need them, so all come along."""

RELEASE = "RELEASE"
"""The type of an entry by which a prelude's object gives up a name or a type that migrations make anew."""

NAME = r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
"""A name as PostgreSQL writes it: in quotes unless it is plain, whatever its characters."""

QUALIFIED = rf"{NAME}\.{NAME}"

_QUALIFIED = re.compile(QUALIFIED)
_IDENTITY = re.compile(rf" ADD GENERATED .* AS IDENTITY \(\n    SEQUENCE NAME ({QUALIFIED})\n")

# At every word anew: a lone quote in a string must not swallow what follows it.
_ANYWHERE = re.compile(rf"(?<![a-z0-9_])(?=({QUALIFIED}))")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the dump: what it makes, ``unit`` it is part of (None: of what it ``needs``), and its SQL.

    ``settings`` are those that it must run under, each a name and a value, where they aren't the usual ones.
    """

    number: int
    type: str
    name: str
    unit: Named | None
    needs: tuple[int, ...]
    settings: tuple[tuple[str, str], ...]
    text: str


def set_setting(name: str, value: str) -> str:
    """The statement that gives a setting a value until the transaction ends."""
    return f"SELECT pg_catalog.set_config({quoted(name)}, {quoted(value)}, true);\n"


def quoted(text: str) -> str:
    """The text as a string of SQL."""
    return sql.quote(text).strip()


def quoted_name(name: str) -> str:
    """The name in quotes."""
    return sql.Identifier(name).as_string()


def made_by(text: str) -> str:
    """The qualified name, without quotes, of what a CREATE makes, or an identity column's sequence.

    "" where it isn't qualified, or nothing is made.

    >>> made_by('CREATE VIEW public."Last order" AS SELECT'), made_by("ALTER TABLE public.a ADD b int;")
    ('public.Last order', '')
    >>> altered = "ALTER TABLE public.a ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (\\n"
    >>> made_by(altered + "    SEQUENCE NAME public.s\\n);")
    'public.s'
    """
    found = _QUALIFIED.search(text) if text.startswith("CREATE ") else _IDENTITY.search(text)
    return found[found.lastindex or 0].replace('"', "") if found else ""


def mentioned(text: str) -> set[str]:
    """Every qualified name in an entry's SQL, without quotes; also some that are columns, or just text.

    pg_dump qualifies whatever is not in pg_catalog. In a string, a name's own apostrophes and backslashes are
    written twice.

    >>> sorted(mentioned('''id integer DEFAULT nextval('public."it''s"'::regclass), of public.kind[]'''))
    ["public.it''s", "public.it's", 'public.kind']
    """
    found = _names(text)
    if "''" in text or "\\" in text:
        found.update(_names(text.replace("''", "'").replace("\\\\", "\\")))
    return found


def _names(text: str) -> set[str]:
    names: Iterable[str] = _ANYWHERE.findall(text)
    return {name.replace('"', "") for name in names}
