"""The prelude: SQL that makes what a catalog expects to be there already, run before its first migration."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from pgslate.errors import MigrationFailedError, Place
from pgslate.failures import message_of

_FIXES = {
    "42501": "run as a role that may do this, or leave it to one that may",
    "42710": "let it run twice: a role belongs to the whole server, and may be there from another database",
}


def run_prelude(connection: psycopg.Connection[Any], prelude: Iterable[str]) -> None:
    """Run the texts of the prelude's files, in order, each as one message.

    Raises MigrationFailedError with the file's number and the place, where PostgreSQL refuses one.
    """
    for number, text in enumerate(prelude, start=1):
        try:
            connection.execute(text.encode())
        except psycopg.Error as error:
            raise _failed(error, number, text) from None


def _failed(error: psycopg.Error, number: int, text: str) -> MigrationFailedError:
    told = error.diag
    place = None
    if told.statement_position:
        before = text[: int(told.statement_position) - 1]
        line, column = before.count("\n"), len(before) - before.rfind("\n")
        place = Place(f"prelude file {number}", line + 1, column, text.split("\n")[line].rstrip("\r"))
    return MigrationFailedError(
        message_of(error, f"prelude file {number}"),
        place=place,
        fix=_FIXES.get(error.sqlstate or "", "correct the file; [prelude] in pgslate.toml names it"),
        migration="",
        statement=text,
        sqlstate=error.sqlstate or "",
        detail=told.message_detail or "",
        hint=told.message_hint or "",
        applied=(),
    )
