"""The ledger: what was applied to a database, kept in its schema ``pgslate``, and read in one round trip."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from pgslate.catalog.statements import Statement
from pgslate.errors import LedgerError, TargetError
from pgslate.execution.batch import Piece
from pgslate.execution.tool_history import TABLES

OLDEST_SERVER = 140000

_LAYOUT_1: tuple[LiteralString, ...] = (
    "CREATE SCHEMA IF NOT EXISTS pgslate",
    "CREATE TABLE pgslate.layout (version integer NOT NULL)",
    "INSERT INTO pgslate.layout VALUES (1)",
    """CREATE TABLE pgslate.runs (
    run          uuid PRIMARY KEY,
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_by   text NOT NULL DEFAULT session_user,
    tool_version text NOT NULL,
    form         text NOT NULL,
    tables       text[] NOT NULL,
    versions     text[] NOT NULL
)""",
    "COMMENT ON COLUMN pgslate.runs.versions IS"
    " 'every version of the catalog at that run: the ones not in the ledger were left out, not overlooked'",
    """CREATE TABLE pgslate.ledger (
    version       text PRIMARY KEY,
    file          text NOT NULL,
    checksum      text NOT NULL,
    form          text NOT NULL,
    statements    integer[],
    of            integer NOT NULL,
    next          integer,
    begun         jsonb,
    done_checksum text,
    applied_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by    text NOT NULL DEFAULT session_user,
    duration_ms   double precision,
    run           uuid NOT NULL REFERENCES pgslate.runs
)""",
    "COMMENT ON TABLE pgslate.ledger IS 'what pgslate applied to this database; see pgslate status'",
    "COMMENT ON COLUMN pgslate.ledger.statements IS"
    " 'the statements that were run, as indexes in the file from 0; NULL: all of them'",
    "COMMENT ON COLUMN pgslate.ledger.next IS"
    " 'where a file that is not one transaction goes on, as an index in the file; NULL: it is finished'",
    "COMMENT ON COLUMN pgslate.ledger.begun IS"
    " 'what was there before that statement was begun outside a transaction; NULL: it was not begun'",
)

LAYOUTS: tuple[tuple[LiteralString, ...], ...] = (_LAYOUT_1,)
"""What leads from each layout of the ledger to the next, beginning with none at all."""

# A static query on a table that is missing fails; in PL/pgSQL it is only looked at when it is reached.
_READ: LiteralString = """DO $pgslate$BEGIN
PERFORM pg_catalog.set_config('pgslate.ledger', '', false);
IF pg_catalog.to_regclass('pgslate.ledger') IS NOT NULL THEN
PERFORM pg_catalog.set_config('pgslate.ledger', pg_catalog.json_build_object(
'layout', (SELECT pg_catalog.max(l.version) FROM pgslate.layout l), 'rows', (SELECT
pg_catalog.json_agg(pg_catalog.to_json(l)) FROM pgslate.ledger l), 'runs', (SELECT
pg_catalog.json_agg(pg_catalog.to_json(r) ORDER BY r.started_at)
FROM pgslate.runs r))::text, false);
END IF;
END$pgslate$"""

_FACTS: LiteralString = """SELECT pg_catalog.current_setting('server_version_num')::int,
pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
pg_catalog.current_setting('default_transaction_read_only')::bool, pg_catalog.current_database()::text,
pg_catalog.getdatabaseencoding()::text, session_user::text, pg_catalog.pg_backend_pid(),
EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = ANY({tables}::text[]) AND relkind IN ('r', 'p')),
pg_catalog.current_setting('pgslate.ledger')"""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What the ledger says of one migration.

    ``form`` is "files", "statements" or "objects", "assumed" where a user declared it as applied by other
    means, or "adopted" where the tool that is ``applied_by`` says so. ``statements`` are the indexes in the
    file of those that were run, None for all ``of`` them.
    ``next`` is where a file that is not one transaction goes on, None where it is finished; ``begun`` what
    was there before that statement was begun outside a transaction, None where it was not begun;
    ``done_checksum`` covers the statements before it. ``applied_at`` is ISO 8601 with an offset.
    """

    version: str
    file: str
    checksum: str
    form: str
    of: int
    applied_at: str = ""
    applied_by: str = ""
    duration_ms: float | None = None
    run: str = ""
    statements: tuple[int, ...] | None = None
    next: int | None = None
    begun: Mapping[str, Any] | None = None
    done_checksum: str | None = None

    @property
    def finished(self) -> bool:
        return self.next is None


@dataclass(frozen=True, slots=True)
class LedgerRun:
    """One run that changed the database, and every version that the catalog had then."""

    run: str
    started_at: str
    started_by: str
    tool_version: str
    form: str
    tables: tuple[str, ...]
    versions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger holds: rows by version, runs in order; ``layout`` is 0 where there is none yet."""

    layout: int = 0
    rows: Mapping[str, LedgerRow] | None = None
    runs: tuple[LedgerRun, ...] = ()

    @property
    def by_version(self) -> Mapping[str, LedgerRow]:
        return self.rows or {}

    @property
    def is_empty(self) -> bool:
        return not self.rows


EMPTY = Ledger()


@dataclass(frozen=True, slots=True)
class Server:
    """What matters of the server and session. ``version`` is as libpq numbers it: 170002.

    ``has_tool_tables`` says that a table has the name of one that another migration tool keeps.
    """

    version: int
    version_text: str
    in_recovery: bool
    read_only: bool
    database: str
    encoding: str
    role: str
    backend: int
    has_tool_tables: bool = False


def read(connection: psycopg.Connection[Any]) -> tuple[Ledger, Server]:
    """The ledger and the server, in one round trip. Raises LedgerError where a newer pgslate wrote it."""
    cursor = connection.execute(
        sql.SQL("{};{}").format(sql.SQL(_READ), sql.SQL(_FACTS).format(tables=list(TABLES)))
    )
    cursor.nextset()
    row = cursor.fetchone()
    assert row is not None
    *facts, document = row
    return parse(document), Server(*facts)


def parse(document: str) -> Ledger:
    """The ledger from the JSON text that the server sent, "" where there is none."""
    if not document:
        return EMPTY
    content = json.loads(document)
    layout = content["layout"] or 0
    if layout > len(LAYOUTS):
        raise LedgerError(
            f"the ledger has layout {layout}; this pgslate knows layouts up to {len(LAYOUTS)}",
            fix="use the newer pgslate that wrote it",
            migrations=(),
        )
    return Ledger(
        layout,
        {row["version"]: _row(row) for row in content["rows"] or ()},
        tuple(_run(run) for run in content["runs"] or ()),
    )


def _row(fields: dict[str, Any]) -> LedgerRow:
    known = {name: fields[name] for name in LedgerRow.__slots__ if name in fields}
    if known.get("statements") is not None:
        known["statements"] = tuple(known["statements"])
    return LedgerRow(**known)


def _run(fields: dict[str, Any]) -> LedgerRun:
    known = {name: fields[name] for name in LedgerRun.__slots__ if name in fields}
    return LedgerRun(**{**known, "tables": tuple(fields["tables"]), "versions": tuple(fields["versions"])})


def check_usable(server: Server) -> None:
    """Raise TargetError where nothing can be applied to this server: too old, a standby, read-only."""
    if server.version < OLDEST_SERVER:
        raise TargetError(
            f"the server is PostgreSQL {server.version_text}; pgslate needs 14 or later",
            fix="use a newer server",
        )
    if server.in_recovery:
        raise TargetError(
            f"the server is a standby: {server.database} can only be read there",
            fix="name the primary in the DSN; with several hosts, target_session_attrs=read-write finds it",
        )
    if server.read_only:
        raise TargetError(
            f"transactions on {server.database} are read-only (default_transaction_read_only is on"
            f" for this server, database, or role {server.role})",
            fix="name a server that can be written, or set default_transaction_read_only to off",
        )


# -- what writes it: pieces of messages, so that they share a transaction and a round trip with the files


def opening(ledger: Ledger, run: LedgerRun) -> list[Piece]:
    """Makes the ledger, or brings it to this layout, and records the run."""
    made = [Piece(text) for layout in LAYOUTS[ledger.layout :] for text in layout]
    record = sql.SQL(
        "INSERT INTO pgslate.runs (run, tool_version, form, tables, versions)"
        " VALUES ({}, {}, {}, {}::text[], {}::text[])"
    ).format(run.run, run.tool_version, run.form, list(run.tables), list(run.versions))
    return [*made, _piece(record)]


_COLUMNS = tuple(name for name in LedgerRow.__slots__ if name != "applied_at")
_SINCE_BEGIN: LiteralString = "extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.now()) * 1000"
# As JSON: a few hundred rows take a moment to quote value by value.
_RECORD: LiteralString = """INSERT INTO pgslate.ledger (version, file, checksum, form, statements, of, next,
begun, done_checksum, duration_ms, run, applied_by)
SELECT version, file, checksum, form, statements, of, next, begun, done_checksum, {took}, run,
coalesce(nullif(applied_by, ''), session_user)
FROM pg_catalog.jsonb_to_recordset({rows}) AS written (version text, file text, checksum text, form text,
statements int[], of int, next int, begun jsonb, done_checksum text, duration_ms float8, run uuid,
applied_by text)
ON CONFLICT (version) DO UPDATE SET (file, checksum, form, statements, of, next, begun, done_checksum,
duration_ms, run, applied_at, applied_by) = (excluded.file, excluded.checksum, excluded.form,
excluded.statements, excluded.of, excluded.next, excluded.begun, excluded.done_checksum,
excluded.duration_ms, excluded.run, excluded.applied_at, excluded.applied_by)"""
SINCE_BEGIN = "since BEGIN"
"""For a row's duration: what the server's clock says of the transaction that the row is written in."""


def recording(rows: Iterable[LedgerRow], *, duration: str = "") -> Piece:
    """Writes the rows, over what they replace; ``duration`` is SINCE_BEGIN, or each row's own is taken."""
    document = json.dumps([{column: getattr(row, column) for column in _COLUMNS} for row in rows])
    took = sql.SQL(_SINCE_BEGIN if duration == SINCE_BEGIN else "duration_ms")
    return _piece(sql.SQL(_RECORD).format(took=took, rows=document))


def accepting(version: str, file: str, checksum: str) -> Piece:
    """Takes an edited file's checksum for the one that was applied."""
    return _piece(
        sql.SQL("UPDATE pgslate.ledger SET file = {}, checksum = {} WHERE version = {}").format(
            file, checksum, version
        )
    )


def checksum_of(statements: Sequence[Statement]) -> str:
    """SHA-256 over statements, to know whether those that were run before a failure are still the same."""
    digest = hashlib.sha256()
    for statement in statements:
        digest.update("\n".join(line.rstrip() for line in statement.text.splitlines()).encode() + b"\0")
    return digest.hexdigest()


def _piece(composed: sql.Composable) -> Piece:
    return Piece(composed.as_string())
