"""An entry of pg_dump's table of contents, and the names in its SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

Named = tuple[str, str]
"""A unit by its kind and name, as they are at the end of the catalog."""

NAME = r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")'
"""A name as PostgreSQL writes it: in quotes unless it is plain, whatever its characters."""

QUALIFIED = rf"{NAME}\.{NAME}"

_QUALIFIED = re.compile(QUALIFIED)

# At every word anew: a lone quote in a string must not swallow what follows it.
_ANYWHERE = re.compile(rf"(?<![a-z0-9_])(?=({QUALIFIED}))")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the dump: what it makes, ``unit`` it is part of (None: of what it ``needs``), and its SQL.

    ``settings`` are the ``SET`` statements in force for it.
    """

    number: int
    type: str
    name: str
    unit: Named | None
    needs: tuple[int, ...]
    settings: str
    text: str


def made_by(text: str) -> str:
    """The qualified name, without quotes, of what a CREATE makes; "" where it isn't qualified, or no CREATE.

    >>> made_by('CREATE VIEW public."Last order" AS SELECT'), made_by("ALTER TABLE public.a ADD b int;")
    ('public.Last order', '')
    """
    found = _QUALIFIED.search(text) if text.startswith("CREATE ") else None
    return found[0].replace('"', "") if found else ""


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
