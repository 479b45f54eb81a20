"""PostgreSQL's refusals as errors of ours, with the place in the file, what stays applied, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import (
    MEANINGS,
    failed_at_the_end,
    message_of,
    migration_failed,
    place_of,
)
from pgslate.catalog.statements import Statement
from pgslate.errors import (
    ConnectionLostError,
    MigrationFailedError,
    MissingExtensionError,
    PgslateError,
    PrivilegeError,
    TargetError,
)
from pgslate.execution.batch import NothingGrantedError

_NO_EXTENSION = re.compile(
    r'extension "(?P<a>[^"]+)" is not available|extension control file ".*/(?P<b>[^/"]+)\.control"'
    r'|extension "(?P<c>[^"]+)" has no installation script'
)
_DENIED = re.compile(r"permission denied for (?P<on>.+)")
_NOT_OWNER = re.compile(r"must be (?:owner|a member of the owner) of (?P<on>.+)")
_TO_DO = re.compile(r"permission denied to (?P<do>.+)")
_NOT_GRANTED = re.compile(r"(?:no|not all) privileges (?:were granted|could be revoked) for (?P<on>.+)")

# The right that a statement needs on what it is denied.
_RIGHTS = {
    "SelectStmt": "SELECT",
    "InsertStmt": "INSERT",
    "UpdateStmt": "UPDATE",
    "DeleteStmt": "DELETE",
    "TruncateStmt": "TRUNCATE",
    "CreateTrigStmt": "TRIGGER",
    "CallStmt": "EXECUTE",
    "CopyStmt": "INSERT",
}


def refusal(
    error: psycopg.Error,
    migration: Migration,
    statement: Statement,
    *,
    offset: int | None,
    applied: Sequence[str],
    kept: str,
) -> PgslateError:
    """The error for a statement of a migration that the server refused.

    Args:
        error: PostgreSQL's error.
        migration: The migration, and
        statement: its statement that was refused.
        offset: The character of the statement that the server points at.
        applied: The versions that stay applied.
        kept: The sentence that says so to a reader.
    """
    failed = migration_failed(error, migration, statement, applied=applied)
    failed.place = place_of(migration, statement, offset or 0)
    failed.message += f"\n{kept}"
    return _narrowed(error, failed, statement)


def definitions_refused(error: psycopg.Error, definitions: str, *, kept: str) -> PgslateError:
    """The error where the server refused a statement of the objects form, which no file has a place for."""
    state = error.sqlstate or ""
    meaning = MEANINGS.get(state)
    failed = MigrationFailedError(
        message_of(error, "applying the objects form") + f"\n{kept}",
        migration="",
        statement=_at(definitions, error),
        sqlstate=state,
        detail=error.diag.message_detail or "",
        hint=error.diag.message_hint or "",
        fix=meaning.fix if meaning else "use --form files, which runs the migrations themselves",
    )
    return _narrowed(error, failed, None)


def _at(definitions: str, error: psycopg.Error) -> str:
    """The line of the definitions that the server points at, or "" where it points at none."""
    if not error.diag.statement_position:
        return ""
    at = int(error.diag.statement_position) - 1
    return definitions[definitions.rfind("\n", 0, at) + 1 :].partition("\n")[0]


def _narrowed(
    error: psycopg.Error, failed: MigrationFailedError, statement: Statement | None
) -> PgslateError:
    """The failure as one of the server or the role, where it is not the migration's."""
    extension = _NO_EXTENSION.search(error.diag.message_primary or "")
    if extension and error.sqlstate in ("0A000", "58P01", "22023"):
        name = extension["a"] or extension["b"] or extension["c"]
        return MissingExtensionError(
            failed.message,
            place=failed.place,
            fix=f"install the extension {name} on the server, or leave out the tables that need it",
            extensions=(name,),
            migrations=(failed.migration,),
            applied=failed.applied,
        )
    if error.sqlstate == "42501" or isinstance(error, NothingGrantedError):
        right, on = _right(str(error.diag.message_primary or error), statement.kind if statement else "")
        return PrivilegeError(
            failed.message,
            place=failed.place,
            fix=f"give the role {right} on {on}, or run as a role that has it",
            right=right,
            on=on,
            applied=failed.applied,
        )
    if error.sqlstate == "25006":
        return TargetError(failed.message, place=failed.place, fix=failed.fix, applied=failed.applied)
    return failed


def at_the_end(
    error: psycopg.Error, migration: Migration, *, applied: Sequence[str], kept: str
) -> MigrationFailedError:
    """The error where every statement ran, and a check that they deferred to the end failed."""
    failed = failed_at_the_end(error, migration, migration.statements[-1], doing="applying", applied=applied)
    failed.message += f"\n{kept}"
    return failed


def ledger_refusal(error: psycopg.Error, database: str) -> PgslateError:
    """The error where the ledger itself can't be read or written."""
    message = error.diag.message_primary or str(error).strip()
    if error.sqlstate == "42501":
        denied = _DENIED.search(message) or _NOT_OWNER.search(message)
        on = denied["on"] if denied else f"database {database}"
        first = on.partition(" ")[0]
        return PrivilegeError(
            f"pgslate's ledger can't be used: {message}",
            fix="GRANT CREATE ON DATABASE to the role, so that it can make the schema pgslate;"
            " or run as the role that made it",
            right={"database": "CREATE", "schema": "USAGE"}.get(first, "ownership"),
            on=on,
        )
    if (error.sqlstate or "").startswith("42"):
        return TargetError(
            f"the schema pgslate of database {database} is not ours, or was damaged: {message}",
            fix="rename it (ALTER SCHEMA pgslate RENAME TO ...), or use another database: pgslate keeps its"
            " ledger in a schema of that name",
        )
    meaning = MEANINGS.get(error.sqlstate or "")
    return TargetError(
        f"pgslate's ledger can't be used: {message}" + (f" ({meaning.means})" if meaning else ""),
        fix=meaning.fix if meaning else "look at the server's log, then run again",
    )


def connection_lost(
    error: psycopg.Error, label: str, *, applied: Sequence[str], kept: str
) -> ConnectionLostError:
    """The error where the server ended the connection in the middle of a run."""
    meaning = MEANINGS.get(error.sqlstate or "")
    cause = f" ({meaning.means})" if meaning else ""
    return ConnectionLostError(
        f"the connection to {label} was lost: {str(error).strip()}{cause}\n{kept}",
        fix=(f"{meaning.fix}: " if meaning else "run again: ")
        + "what was not committed is rolled back, and the run goes on from there",
        applied=tuple(applied),
    )


def _right(message: str, kind: str) -> tuple[str, str]:
    """The privilege that a statement of that kind lacks, and the object.

    >>> _right("permission denied for schema public", "CreateStmt")
    ('CREATE', 'schema public')
    """
    if owner := _NOT_OWNER.search(message):
        return "ownership", owner["on"]
    if granted := _NOT_GRANTED.search(message):
        return "GRANT OPTION", granted["on"]
    if denied := _DENIED.search(message):
        on = denied["on"]
        if on.startswith(("schema", "database")):
            return ("CREATE" if kind.startswith(("Create", "View", "Index")) else "USAGE"), on
        if kind in ("CreateStmt", "AlterTableStmt"):
            return "REFERENCES", on
        return _RIGHTS.get(kind, "the right"), on
    if do := _TO_DO.search(message):
        return f"the right to {do['do']}", "this server"
    return message, "this server"
