"""PostgreSQL's errors: what each SQLSTATE means, what to do about it, and the error of ours that it becomes.

Every room that runs SQL takes its advice from the one table here. Source of the codes: manual, appendix A.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pgslate.catalog.migration import Migration
from pgslate.catalog.statements import Statement
from pgslate.errors import MigrationFailedError, Place

if TYPE_CHECKING:
    import psycopg

Where = Literal["target", "scratch", "prelude"]
"""The place of a failure: migrations on a user's database, migrations on a scratch server, or a prelude."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The meaning of an SQLSTATE in a few words, and how to mend its cause.

    ``on_scratch`` and ``in_prelude`` say what to do where the cause is another one there.
    """

    means: str
    fix: str
    on_scratch: str = ""
    in_prelude: str = ""

    def fix_in(self, where: Where) -> str:
        return {"target": self.fix, "scratch": self.on_scratch, "prelude": self.in_prelude}[where] or self.fix


_PRELUDE = (
    "in a [prelude] file: pgslate runs it on scratch and embedded servers; on a database of your own, run it"
    " yourself"
)
_ROLES = (
    "roles belong to the whole server: use --form objects or `pgslate clone`, which take one that is there,"
    " or a server of its own (`pgslate up`)"
)
_ALREADY_THERE = Meaning(
    "it is there already",
    "it is there already, and pgslate's ledger says nothing of it: where another tool made it, take it over"
    " with `pgslate adopt`, or apply with --assume-applied FILE for each file that the tool has applied (or a"
    " pattern, or all); or use an empty database",
    on_scratch="an earlier migration or the prelude makes it already: leave one of the two out",
    in_prelude="let the prelude run twice (IF NOT EXISTS): a role or a database belongs to the whole server,"
    " and another run may have made it",
)
_ENDED = Meaning("the server ended the connection", "look at the server's log, then run again")
_TOO_LONG_IDLE = "raise the timeout for the role or the database (ALTER ROLE ... SET ...), then run again"
_POOLER = Meaning(
    "a pooler gave this statement to another session",
    "name the server itself in the DSN, or a pool in session mode",
)
_CORRUPT = Meaning("the server's data may be damaged", "look at the server's log, and at its disk")

MEANINGS: Mapping[str, Meaning] = {
    "08P01": _POOLER,
    "0A000": Meaning(
        "the server does not offer this",
        "the server does not offer this; see which extension or version the statement needs",
    ),
    "25006": Meaning(
        "the server or the session can only read",
        "name a server that can be written: the primary, not a standby; or set default_transaction_read_only"
        " to off",
    ),
    "25P03": Meaning("idle_in_transaction_session_timeout ended the connection", _TOO_LONG_IDLE),
    "25P04": Meaning("transaction_timeout ended the connection", _TOO_LONG_IDLE),
    "26000": _POOLER,
    "28000": Meaning("the server refuses the role", "check the role and the server's pg_hba.conf"),
    "28P01": Meaning("the password is wrong", "check the password"),
    "3D000": Meaning("there is no such database", "make the database, or correct its name"),
    "3F000": Meaning(
        "there is no such schema",
        f"make the schema before the migrations run, {_PRELUDE}",
        in_prelude="make the schema above, in the prelude",
    ),
    "40001": Meaning("another transaction was in the way", "run again"),
    "40P01": Meaning("another session held a lock, and waited for ours", "run again"),
    "42501": Meaning(
        "the role lacks a privilege",
        "grant the role what it lacks, or run as a role that has it",
    ),
    "42701": _ALREADY_THERE,
    "42704": Meaning(
        "there is no such object",
        f"make the role or type before the migrations run, {_PRELUDE}",
        in_prelude="make the role or type above, in the prelude",
    ),
    "42710": _ALREADY_THERE,
    "42723": _ALREADY_THERE,
    "42883": Meaning(
        "there is no such function or operator",
        "make the function before it is called, or install the extension that has it; where it is in another"
        " schema, name the schema or set search_path",
    ),
    "42P01": Meaning(
        "there is no such table",
        "no migration that ran before makes the table: where another tool does, make it in a [prelude]"
        " file; where one in code that was left out does, write that one as SQL",
        in_prelude="make the table above, in the prelude",
    ),
    "42P04": _ALREADY_THERE,
    "42P06": _ALREADY_THERE,
    "42P07": _ALREADY_THERE,
    "53100": Meaning(
        "the server's disk is full",
        "free disk space on the server, then run again: nothing of the file was kept",
    ),
    "53200": Meaning(
        "the server is out of memory, or of room for locks",
        "raise max_locks_per_transaction (or the server's memory), then run again",
    ),
    "53300": Meaning(
        "the server, the database or the role has no connection left",
        "end connections that nobody needs, or raise max_connections or the CONNECTION LIMIT",
    ),
    "55P03": Meaning(
        "another session holds a lock",
        "another session holds a lock on the table; run again when it is done",
    ),
    "57014": Meaning(
        "the statement was cancelled",
        "the statement was cancelled, by somebody or by statement_timeout: raise the timeout where that is,"
        " then run again",
    ),
    "57P01": _ENDED,
    "57P02": _ENDED,
    "57P03": Meaning("the server is starting or stopping", "wait until it is up, then run again"),
    "57P05": Meaning("idle_session_timeout ended the connection", _TOO_LONG_IDLE),
    "58P01": Meaning(
        "a file of the server or of an extension is missing",
        "install the extension on the server, or leave out the tables that need it",
    ),
    "XX001": _CORRUPT,
    "XX002": _CORRUPT,
}
"""The meaning of the SQLSTATEs that users meet most. Of any other, PostgreSQL's own words must do."""

ENDS_THE_CONNECTION = frozenset({"25P03", "25P04", "57P01", "57P02", "57P03", "57P05"})
"""The server ends the connection with these; so it does with every code of class 08."""

NEEDS_A_TRANSACTION_OF_ITS_OWN = frozenset({"25001", "2D000", "53200", "55006", "55P04"})
"""Errors that arise only if several files share a transaction: SET TRANSACTION after a query, a procedure
that commits, more locks than the server has room for, a table with deferred checks that is altered, an enum's
value used where it was added."""

NOTHING_GRANTED = frozenset({"01006", "01007"})
"""GRANT and REVOKE that did nothing, since the role may not; to PostgreSQL they are only warnings."""


def ends_the_connection(sqlstate: str | None) -> bool:
    """Whether the server, or the network, ended the connection with this error; None: psycopg's own."""
    return sqlstate is None or sqlstate in ENDS_THE_CONNECTION or sqlstate.startswith("08")


def means_a_changed_object(sqlstate: str) -> bool:
    """Whether the error is what a statement meets where an object was renamed, dropped or changed before it.

    That is SQLSTATE class 42 (but for privileges), a missing schema, and dependent objects.
    """
    return sqlstate[:2] in ("42", "3F", "2B") and sqlstate != "42501"


def place_of(migration: Migration, statement: Statement, offset: int = 0) -> Place:
    """The place of the character ``offset`` (from 0) of a migration's statement."""
    if migration.made_by_line is not None:
        return Place(migration.file, statement.line)
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
    """The message for a reader: ``what`` failed, and everything that PostgreSQL says about it."""
    diagnostics = error.diag
    message = f"{what} failed: {diagnostics.message_primary or str(error).strip()}"
    if error.sqlstate:
        message += f" (SQLSTATE {error.sqlstate})"
    more = (
        ("DETAIL", diagnostics.message_detail),
        ("HINT", diagnostics.message_hint),
        ("CONTEXT", diagnostics.context),
    )
    return message + "".join(f"\n{title}: {text}" for title, text in more if text)


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
    """The error to raise for a statement of a migration that PostgreSQL refused.

    Args:
        error: PostgreSQL's error.
        migration: The migration, and
        statement: its statement that failed.
        applied: The versions that stay applied.
        doing: "applying" on a user's database, or what else was being done, on a scratch server.
        there: Relations and types in schemas that the statement didn't look in, which may be what it means.
    """
    diagnostics = error.diag
    state = error.sqlstate or ""
    fix = "correct the migration, then run again"
    if state == "42710" and statement.kind == "CreateRoleStmt":
        fix = _ROLES
    elif meaning := MEANINGS.get(state):
        fix = meaning.fix_in("target" if doing == "applying" else "scratch")
    position = int(diagnostics.statement_position) - 1 if diagnostics.statement_position else 0
    return MigrationFailedError(
        message_of(error, f"{doing} {migration.shown}"),
        place=place_of(migration, statement, position),
        fix=_elsewhere(there) or fix,
        migration=migration.version,
        statement=statement.text,
        sqlstate=state,
        detail=diagnostics.message_detail or "",
        hint=diagnostics.message_hint or "",
        applied=tuple(applied),
    )


def failed_at_the_end(
    error: psycopg.Error, migration: Migration, last: Statement, *, doing: str, applied: Sequence[str] = ()
) -> MigrationFailedError:
    """The error where every statement up to the ``last`` ran, and a check that they deferred to the end of
    the transaction failed."""
    failed = migration_failed(error, migration, last, applied=applied, doing=doing)
    length = 0 if migration.made_by_line is not None else last.text.count("\n")
    failed.place = Place(migration.file, last.line + length)
    failed.message += "\nEvery statement ran; this came from what was deferred to the end of the file."
    failed.statement = "COMMIT"
    return failed
