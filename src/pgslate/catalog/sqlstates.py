"""A PostgreSQL error, told as what it means for a migration: file, line, column, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgslate.catalog.migration import Migration
from pgslate.catalog.statements import Statement
from pgslate.errors import MigrationFailedError, Place

if TYPE_CHECKING:
    import psycopg

_PRELUDE = (
    "in a [prelude] file: that is run on scratch and embedded servers; on a database of your own, run it"
    " yourself"
)
_ROLES = (
    "roles belong to the whole server: use --form objects or `pgslate clone`, which take one that is there,"
    " or a server of its own (`pgslate up`)"
)

# What to do about the failures that users meet most, by SQLSTATE.
_FIXES = {
    "42P01": "no migration that ran before makes the table: where another tool does, make it in a [prelude]"
    " file; where one in code that was left out does, write that one as SQL",
    "42P07": "it is there already: where another tool made it, apply with --assume-applied FILE for what that"
    " tool has applied; or use an empty database",
    "42704": f"make the role or type before the migrations run, {_PRELUDE}",
    "3F000": f"make the schema before the migrations run, {_PRELUDE}",
    "42501": "grant the role what it lacks, or run as a role that has it",
    "53100": "free disk space on the server, then run again: nothing of the file was kept",
    "55P03": "another session holds a lock on the table; run again when it is done",
    "57014": "the statement was cancelled; run again",
    "0A000": "the server does not offer this; see which extension or version the statement needs",
    "58P01": "install the extension on the server, or leave out the tables that need it",
}


def place_of(migration: Migration, statement: Statement, offset: int = 0) -> Place:
    """The place of the character ``offset`` (from 0) of a migration's statement."""
    return place_in(migration.file, statement, offset)


def place_in(file: str, statement: Statement, offset: int = 0) -> Place:
    """The place in ``file`` of the character ``offset`` (from 0) of a statement."""
    before = statement.text[:offset]
    line = statement.line + before.count("\n")
    column = offset - before.rfind("\n") if "\n" in before else statement.column + offset
    lines = statement.text.split("\n")
    text = lines[line - statement.line].rstrip("\r")
    if line == statement.line:
        text = " " * (statement.column - 1) + text
    return Place(file, line, column, text)


def message_of(error: psycopg.Error, what: str) -> str:
    """That ``what`` failed, and all that PostgreSQL says of it."""
    told = error.diag
    message = f"{what} failed: {told.message_primary or str(error).strip()}"
    if error.sqlstate:
        message += f" (SQLSTATE {error.sqlstate})"
    said = (("DETAIL", told.message_detail), ("HINT", told.message_hint), ("CONTEXT", told.context))
    return message + "".join(f"\n{title}: {text}" for title, text in said if text)


def _elsewhere(there: Sequence[str]) -> str:
    if not there:
        return ""
    schema = there[0].rpartition(".")[0]
    return (
        f"{' and '.join(there)} is there: name the schema; or, if the tool that these migrations are"
        f' written for sets a search_path, write [session] search_path = "{schema}, public" into pgslate.toml'
    )


def migration_failed(
    error: psycopg.Error,
    migration: Migration,
    statement: Statement,
    *,
    applied: Sequence[str] = (),
    doing: str = "applying",
    there: Sequence[str] = (),
) -> MigrationFailedError:
    """The error to raise for a statement that PostgreSQL refused; ``applied`` are the versions that stand.

    ``there`` are the names of relations and types that stand in other schemas than were looked in, and may be
    what was meant.
    """
    told = error.diag
    state = error.sqlstate or ""
    has_role = state == "42710" and statement.kind == "CreateRoleStmt"
    fix = _ROLES if has_role else _FIXES.get(state, "correct the migration, then run again")
    position = int(told.statement_position) - 1 if told.statement_position else 0
    return MigrationFailedError(
        message_of(error, f"{doing} {migration.shown}"),
        place=place_of(migration, statement, position),
        fix=_elsewhere(there) or fix,
        migration=migration.version,
        statement=statement.text,
        sqlstate=state,
        detail=told.message_detail or "",
        hint=told.message_hint or "",
        applied=tuple(applied),
    )


def failed_at_the_end(
    error: psycopg.Error, migration: Migration, last: Statement, *, doing: str, applied: Sequence[str] = ()
) -> MigrationFailedError:
    """The error where every statement up to the ``last`` ran, and what they left to the transaction's end
    failed."""
    failed = migration_failed(error, migration, last, applied=applied, doing=doing)
    failed.place = Place(migration.file, last.line + last.text.count("\n"))
    failed.message += "\nEvery statement ran; this came from what was deferred to the end of the file."
    failed.statement = "COMMIT"
    return failed
