"""What PostgreSQL refused, as the error to raise: with file, line and caret, what stands, and what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence

import psycopg

from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import failed_at_the_end, migration_failed, place_of
from pgslate.catalog.statements import Statement
from pgslate.errors import (
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
    stands: Sequence[str],
    told: str,
) -> PgslateError:
    """The error for a statement of a migration that the server refused.

    ``offset`` is the character of it that the server points at; ``stands`` are the versions that stay
    applied, ``told`` the sentence that says so.
    """
    failed = migration_failed(error, migration, statement, applied=stands)
    failed.place = place_of(migration, statement, offset or 0)
    failed.message += f"\n{told}"
    extension = _NO_EXTENSION.search(error.diag.message_primary or "")
    if extension and error.sqlstate in ("0A000", "58P01", "22023"):
        name = extension["a"] or extension["b"] or extension["c"]
        return _as(
            failed,
            MissingExtensionError,
            fix=f"install the extension {name} on the server, or leave out the tables that need it",
            extensions=(name,),
            migrations=(migration.version,),
        )
    if error.sqlstate == "42501" or isinstance(error, NothingGrantedError):
        right, on = _right(str(error.diag.message_primary or error), statement)
        return _as(
            failed,
            PrivilegeError,
            fix=f"give the role {right} on {on}, or run as a role that has it",
            right=right,
            on=on,
        )
    if error.sqlstate == "25006":
        return _as(failed, TargetError, fix="name a server that can be written")
    return failed


def at_the_end(
    error: psycopg.Error, migration: Migration, *, stands: Sequence[str], told: str
) -> MigrationFailedError:
    """The error where every statement ran, and what they left to the end of the transaction failed."""
    failed = failed_at_the_end(error, migration, migration.statements[-1], doing="applying", applied=stands)
    failed.message += f"\n{told}"
    return failed


def ledger_refusal(error: psycopg.Error, database: str) -> PgslateError:
    """The error where the ledger itself can't be read or written."""
    if error.sqlstate == "42501":
        said = error.diag.message_primary or str(error)
        denied = _DENIED.search(said) or _NOT_OWNER.search(said)
        on = denied["on"] if denied else f"database {database}"
        return PrivilegeError(
            f"pgslate's ledger can't be used: {said}",
            fix="GRANT CREATE ON DATABASE to the role, so that it can make the schema pgslate;"
            " or run as the role that made it",
            right="CREATE"
            if on.startswith("database")
            else "USAGE"
            if on.startswith("schema")
            else "ownership",
            on=on,
        )
    if error.sqlstate == "25006":
        return TargetError(
            f"the database can only be read: {error.diag.message_primary}", fix="name the primary"
        )
    return TargetError(
        f"pgslate's ledger can't be used: {str(error).strip()}", fix="check the connection, then run again"
    )


def connection_lost(error: psycopg.Error, label: str, *, stands: Sequence[str], told: str) -> TargetError:
    """The error where the server went away in the middle."""
    return TargetError(
        f"the connection to {label} was lost: {str(error).strip()}\n{told}",
        fix="run again: what was not committed is rolled back, and the run goes on from there",
        applied=tuple(stands),
    )


def _as(failed: MigrationFailedError, kind: type[PgslateError], *, fix: str, **data: object) -> PgslateError:
    carried = {k: v for k, v in failed.__dict__.items() if k not in ("message", "place", "fix")}
    return kind(failed.message, place=failed.place, fix=fix, **{**carried, **data})


def _right(said: str, statement: Statement) -> tuple[str, str]:
    """The right that is lacking, and on what.

    >>> from pgslate.catalog.statements import split
    >>> _right("permission denied for schema public", split("CREATE TABLE t()")[0])
    ('CREATE', 'schema public')
    """
    if owner := _NOT_OWNER.search(said):
        return "ownership", owner["on"]
    if granted := _NOT_GRANTED.search(said):
        return "GRANT OPTION", granted["on"]
    if denied := _DENIED.search(said):
        on = denied["on"]
        if on.startswith(("schema", "database")):
            return ("CREATE" if statement.kind.startswith(("Create", "View", "Index")) else "USAGE"), on
        if statement.kind in ("CreateStmt", "AlterTableStmt"):
            return "REFERENCES", on
        return _RIGHTS.get(statement.kind, "the right"), on
    if do := _TO_DO.search(said):
        return f"the right to {do['do']}", "this server"
    return said, "this server"
