"""The server's verdict on statements that libpg_query can't parse, before any statement is run.

PostgreSQL parses a whole message before it runs the first statement of it. So a statement is sent with a
closing parenthesis behind it: the server runs nothing, and refuses the parenthesis if the statement is
correct, or else the statement.

Source: PostgreSQL manual, "Message Flow", "Multiple Statements in a Simple Query".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pgslate.catalog.sqlstates import place_of
from pgslate.errors import Place, SqlSyntaxError

if TYPE_CHECKING:
    import psycopg

    from pgslate.catalog.migration import Migration
    from pgslate.catalog.statements import Statement

_BETWEEN = "\n;\n"


def refuse_wrong_syntax(connection: psycopg.Connection[Any], migrations: Iterable[Migration]) -> None:
    """Raise SqlSyntaxError for the first statement that the server can't parse either.

    Only statements without a parse tree are sent. ``connection`` is in autocommit mode.
    """
    for migration in migrations:
        for statement in migration.statements:
            if not statement.parsed:
                _check(connection, migration, statement)


def _check(connection: psycopg.Connection[Any], migration: Migration, statement: Statement) -> None:
    import psycopg

    try:
        connection.execute(f"{statement.text}{_BETWEEN})".encode(), prepare=False)
    except psycopg.errors.SyntaxError as error:
        position = int(error.diag.statement_position or 1) - 1
        if position >= len(statement.text) + len(_BETWEEN):
            return
        offset = max(0, min(position, len(statement.text) - 1))
        version = connection.info.parameter_status("server_version")
        raise SqlSyntaxError(
            f"{error.diag.message_primary} (PostgreSQL {version})",
            place=_with_its_line(migration, place_of(migration, statement, offset)),
            fix="correct the statement; nothing was run",
        ) from None
    except psycopg.DatabaseError:
        return  # what the server says beside the grammar, it says when the statement is run


def _with_its_line(migration: Migration, place: Place) -> Place:
    """The place with the whole line of the file, as where the parser refuses a statement."""
    if migration.origin or migration.made_by_line is not None:
        return place  # the lines of the source aren't those of one file
    line = migration.source.split("\n")[place.line - migration.first_line]
    return replace(place, text=line.rstrip("\r"))
