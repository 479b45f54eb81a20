"""A hint for a test that used a table, function or type which its database lacks but the catalog makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pgslate.schema.identifiers import parts
from pgslate.trace.effects import RELATIONS

if TYPE_CHECKING:
    from pgslate.project.project import Project

#: The kinds of object that may be missing, by SQLSTATE (undefined_table, _function, _object).
_KINDS = {
    "42P01": RELATIONS,
    "42883": ("function", "procedure", "aggregate"),
    "42704": ("type", "domain"),
}

# The quotes that PostgreSQL puts around names, by the language of its messages.
_QUOTES = "\"'\u00bb\u00ab\u201e\u201c\u201d\u2018\u2019\u300c\u300d\u300e\u300f"


def missing_object(
    error: BaseException, project: Project, tables: Sequence[str], contracts: Sequence[str]
) -> str | None:
    """A sentence that says which migration makes the object that was missing.

    Args:
        error: the error of the test, of whichever driver: its SQLSTATE and message are read.
        project: the project.
        tables, contracts: the names that the test's database was made for.

    Returns None unless the error means that an object is missing which the catalog makes.
    """
    for each in _chain(error):
        kinds = _KINDS.get(_sqlstate(each))
        if kinds is not None:
            return _sentence(_message(each), kinds, project, tables, contracts)
    return None


def _sentence(
    message: str, kinds: Sequence[str], project: Project, tables: Sequence[str], contracts: Sequence[str]
) -> str | None:
    trace = project.trace
    chosen = project.slice_for(project.selection(tables, contracts=contracts))
    for unit, info in reversed(list(enumerate(trace.units))):
        if info.kind not in kinds or info.dropped is not None or info.made is None or unit in chosen.required:
            continue
        name = parts(info.name)
        if any(_is_in(message, one) for one in (".".join(name), name[-1])):
            file = project.catalog.migrations[trace.effects[info.made].migration].file
            made = f"{name[-1]} is made by {file} but isn't among this test's"
            if info.kind in RELATIONS:
                return f"{made} tables: add it to the marker"
            return f"{made} objects: add a table that uses it to the marker, or remove the marker"
    return None


def _is_in(message: str, name: str) -> bool:
    """Whether a message has the name in quotes, or before arguments.

    >>> _is_in('relation "orders" does not exist', "orders")
    True
    >>> _is_in("function total(integer) does not exist", "total")
    True
    >>> _is_in('relation "orders" does not exist', "relation")
    False
    """
    escaped = re.escape(name)
    before = rf"(?:^|[\s.{_QUOTES}])"
    return re.search(rf"[{_QUOTES}]{escaped}[{_QUOTES}]|{before}{escaped}\(", message) is not None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes: frameworks wrap the driver's error in their own."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        original = getattr(current, "orig", None)  # SQLAlchemy's
        current = (
            original if isinstance(original, BaseException) else current.__cause__ or current.__context__
        )
    yield from found


def _sqlstate(error: BaseException) -> str:
    """The SQLSTATE of an error of psycopg, asyncpg or psycopg2."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def _message(error: BaseException) -> str:
    diagnostics = getattr(error, "diag", None)
    return str(getattr(diagnostics, "message_primary", None) or error)
