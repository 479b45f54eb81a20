"""The prelude: SQL that makes what a catalog expects to be there already, run before its first migration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgslate.catalog.sqlstates import message_of
from pgslate.errors import MigrationFailedError, Place

if TYPE_CHECKING:  # imported when a prelude is run: to know one needs no driver
    import psycopg

_FIXES = {
    "42501": "run as a role that may do this, or leave it to one that may",
    "53100": "free disk space on the server, then run again",
    "42710": "let it run twice: a role belongs to the whole server, and may be there from another database",
}


@dataclass(frozen=True, slots=True)
class PreludeFile:
    """SQL to run before the first migration.

    ``name`` is its path from where the configuration is, or says in words what it makes.
    """

    name: str
    text: str


def run_prelude(connection: psycopg.Connection[Any], prelude: Iterable[PreludeFile]) -> None:
    """Run the prelude's files, in order, each as one message.

    Raises MigrationFailedError with the file and the place in it, where PostgreSQL refuses one.
    """
    import psycopg

    for file in prelude:
        try:
            connection.execute(file.text.encode())
        except psycopg.Error as error:
            raise _failed(error, file) from None


def _failed(error: psycopg.Error, file: PreludeFile) -> MigrationFailedError:
    told, text = error.diag, file.text
    place = None
    if told.statement_position:
        before = text[: int(told.statement_position) - 1]
        line, column = before.count("\n"), len(before) - before.rfind("\n")
        place = Place(file.name, line + 1, column, text.split("\n")[line].rstrip("\r"))
    return MigrationFailedError(
        message_of(error, file.name),
        place=place,
        fix=_FIXES.get(error.sqlstate or "", "correct the file; [prelude] in pgslate.toml names it"),
        migration="",
        statement=text,
        sqlstate=error.sqlstate or "",
        detail=told.message_detail or "",
        hint=told.message_hint or "",
        applied=(),
    )
