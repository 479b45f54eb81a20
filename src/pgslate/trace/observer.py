"""What a statement did, read from PostgreSQL's own catalogs.

Every effect on a schema is a row written to a system catalog, and every row carries its writer: ``xmin`` is
the transaction, ``cmin`` the command in it. So the rows that are younger than a mark are the statement's
effects, whatever command made them: DDL in a DO block or a function, comments, grants, row security, an
extension's thousand objects. Nothing is installed in the database, and no superuser is needed.

The session's own counters (pg_stat_get_xact_tuples_*) are read in one round trip with the statement, and say
which catalogs it wrote to: only those are looked at, so that a statement which wrote no catalog costs nothing
more. Rows deleted leave no row; the same counters tell that there were some, and then the object identifiers
that are left are read.

Source: PostgreSQL manual, "System Columns", "System Catalogs", "Cumulative Statistics System".
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from pgslate.catalog.statements import Statement
from pgslate.trace import session_counters
from pgslate.trace.catalog_rows import Row, RowCount, catalog_of, row_of
from pgslate.trace.expected_writes import ExpectedWrites
from pgslate.trace.pipeline import Message
from pgslate.trace.session_counters import Counters, current_settings, is_superuser, settings_needed
from pgslate.trace.system_catalogs import (
    CATALOGS,
    FOR_SUPERUSERS,
    FROM_USERS,
    KEYED_BY_OWN_OID,
    NARROW,
    PG_DEPEND,
    Edge,
    Object,
    SystemCatalog,
    every_row,
    what_is_left,
    younger_rows,
    younger_rows_narrow,
)

_EDGE = sql.SQL("SELECT classid::int8, objid::int8, refclassid::int8, refobjid::int8")
_EDGES = sql.SQL("FROM pg_catalog.pg_depend WHERE " + FROM_USERS)


@dataclass(frozen=True, slots=True)
class Mark:
    """What was before a statement: rows younger than this are its effects.

    ``xid`` is the transaction (or, outside one, a transaction before the statement), ``command`` the last
    command read in it.
    """

    xid: str
    command: int = -1


class Written(NamedTuple):
    """How many rows of a catalog were inserted and updated; one that was first inserted counts as both."""

    inserted: int
    updated: int


@dataclass(frozen=True, slots=True)
class Sent:
    """A statement on its way, with the question for its rows since ``mark`` in the catalogs ``asked``."""

    message: Message
    statement: Statement
    mark: Mark
    asked: frozenset[str]


_READ_COUNTERS = b"EXECUTE pgslate_counters"

_LOCKING = ("CreateStmt", "ViewStmt", "IndexStmt", "AlterTableStmt")
"""The kinds of statements that write of relations only what they hold a lock on."""

_WAYS: Mapping[str, tuple[Callable[[Sequence[SystemCatalog]], sql.Composed], str]] = {
    "wide": (younger_rows, "(xid, int8)"),
    "narrow": (younger_rows_narrow, "(xid, int8)"),
    "left": (what_is_left, ""),
}
"""The queries over some of the catalogs that are run again and again, with the types of their parameters."""


class Observer:
    """Reads effects through one connection."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        readable = _readable(connection)
        self.catalogs = tuple(readable.values())
        self._names = {oid: catalog.name for oid, catalog in readable.items()}
        self._cursor = connection.cursor(binary=True)
        self._as_superuser = is_superuser(connection)
        self._expected = ExpectedWrites()
        self._settings = current_settings(connection)
        self.prepare_anew()

    def prepare_anew(self) -> None:
        """Prepare the observer's own statements, of which the session has none.

        They are prepared by SQL and not by psycopg, which forgets its own at every DROP.
        """
        self._prepared: dict[tuple[str, frozenset[str]], int] = {}
        self._prepare("pgslate_counters", "", session_counters.query(self._names))

    def prepare_again(self) -> None:
        """Prepare the observer's own statements again, if they are gone."""
        self._cursor.execute(
            r"SELECT FROM pg_catalog.pg_prepared_statements WHERE name = 'pgslate_counters'", prepare=False
        )
        if self._cursor.fetchone() is None:
            self.prepare_anew()

    def deallocate_others(self) -> None:
        """Deallocate the prepared statements of a file, which end with it."""
        self._cursor.execute(
            r"SELECT name FROM pg_catalog.pg_prepared_statements"
            r" WHERE from_sql AND name NOT LIKE 'pgslate\_%'",
            prepare=False,
        )
        for (name,) in self._cursor.fetchall():
            self._cursor.execute(sql.SQL("DEALLOCATE {}").format(sql.Identifier(name)), prepare=False)

    def counters(self) -> Counters:
        """The counters as they are now; in a transaction this gives it its identifier."""
        self._cursor.execute(_READ_COUNTERS, prepare=False)
        return session_counters.read(self._cursor.fetchone())

    def restore_settings(self, found: Counters) -> None:
        """Set what the observer depends on, where ``found`` says that a statement changed it.

        A migration that goes on as a lesser role can't have changed what only a superuser may.
        """
        if found.settings != self._settings and not self.is_lesser():
            self.connection.execute(settings_needed(self.connection).encode())

    def send(self, statement: Statement, mark: Mark) -> Sent:
        """Send a statement, and with it the questions for the counters and for what it probably writes.

        Until ``receive`` nothing else can be asked of the database.
        """
        # The statement may make a lesser role of us, which may not read these.
        asked = frozenset() if self.is_lesser() else self._expected.of(statement) - FOR_SUPERUSERS
        parts = [f"{statement.text}\n;\n".encode() + _READ_COUNTERS]
        if asked:
            parts.append(self._read_younger(mark, asked, narrow=True))
        return Sent(Message(self.connection, b";".join(parts)), statement, mark, asked)

    def receive(self, sent: Sent, before: Counters) -> tuple[list[Row], Counters]:
        """The rows that the statement wrote, and the counters after it; ``before`` are those before it."""
        first, *younger = sent.message.answers(last=2 if sent.asked else 1)
        after = session_counters.read(first[0])
        written = self.written(before, after)
        locking = sent.statement.kind in _LOCKING and after.calls == before.calls
        if written.keys() <= sent.asked:
            rows = [row_of(answer) for answers in younger for answer in answers]
            return self._completed(rows, sent.mark, written, locking=locking), after
        self._expected.learn(sent.statement, written)
        return self.rows(sent.mark, written, locking=locking), after

    def written(self, before: Counters, after: Counters) -> dict[str, Written]:
        """The catalogs that were written to between two readings of the counters, and how many rows."""
        inserted = self._differing(before.inserted, after.inserted)
        updated = self._differing(before.updated, after.updated)
        return {
            name: Written(inserted.get(name, 0), updated.get(name, 0))
            for name in self._names.values()
            if name in inserted or name in updated
        }

    def deleted(self, before: Counters, after: Counters) -> dict[str, int]:
        """The catalogs that rows were deleted from between two readings of the counters, with how many."""
        return self._differing(before.deleted, after.deleted)

    def _differing(self, then: Mapping[int, int], now: Mapping[int, int]) -> dict[str, int]:
        changed = ((oid, now.get(oid, 0) - then.get(oid, 0)) for oid in now.keys() | then.keys())
        return {self._names[oid]: count for oid, count in changed if count}

    def unknown(self) -> dict[int, int]:
        """Counts that differ from any: for a statement that the counters say nothing about."""
        return dict.fromkeys(self._names, -1)

    def rows(
        self, mark: Mark, written: Mapping[str, Written] | None = None, *, locking: bool = False
    ) -> list[Row]:
        """The rows that are younger than ``mark``, of the catalogs ``written`` to (None: of all).

        ``written`` says how many rows each of them should have; ``locking``, that they are of relations which
        are locked, or else new and of no relation.
        """
        if written is None:
            return self._younger(mark, [catalog.name for catalog in self.catalogs], narrow=False)
        rows = self._younger(mark, written, narrow=not written.keys().isdisjoint(NARROW))
        return self._completed(rows, mark, written, locking=locking)

    def _completed(
        self, rows: list[Row], mark: Mark, written: Mapping[str, Written], *, locking: bool
    ) -> list[Row]:
        """The rows that were found, or all of those catalogs of which the narrow way didn't find all."""
        found = {row.catalog: row.rows for row in rows if isinstance(row, RowCount)}
        missed = {
            oid: name
            for oid, name in self._names.items()
            if name in written and oid in found and not _is_all(found[oid], written[name], locking=locking)
        }
        wide = self._younger(mark, missed.values(), narrow=False)
        kept = [r for r in rows if not isinstance(r, RowCount) and not (missed and catalog_of(r) in missed)]
        return kept + wide

    def _younger(self, mark: Mark, catalogs: Collection[str], *, narrow: bool) -> list[Row]:
        if not catalogs:
            return []
        with self._as_ourselves():
            query = self._read_younger(mark, catalogs, narrow=narrow)
            return list(map(row_of, Message(self.connection, query).answers()[-1]))

    def _read_younger(self, mark: Mark, catalogs: Iterable[str], *, narrow: bool) -> bytes:
        name = self._prepared_for("narrow" if narrow else "wide", catalogs)
        return b"EXECUTE %b('%d', %d)" % (name, int(mark.xid), mark.command)

    def _prepared_for(self, way: str, catalogs: Iterable[str]) -> bytes:
        """The name of the statement that reads these catalogs in this way, prepared when first asked for."""
        chosen = frozenset(catalogs)
        number = self._prepared.get((way, chosen))
        if number is None:
            number = len(self._prepared)
            query, types = _WAYS[way]
            read = [catalog for catalog in self.catalogs if catalog.name in chosen]
            self._prepare(f"pgslate_{number}", types, query(read))
            if way == "narrow":
                self._plan_by_index(f"pgslate_{number}")
            self._prepared[way, chosen] = number
        return f"pgslate_{number}".encode()

    def everything(self) -> list[Row]:
        """The rows of all catalogs, whoever wrote them; but for those of columns, which are no objects."""
        catalogs = [catalog for catalog in self.catalogs if catalog.name != "pg_attribute"]
        self._cursor.execute(every_row(catalogs), prepare=False)
        return list(map(row_of, self._cursor.fetchall()))

    def _prepare(self, name: str, types: str, query: sql.Composed) -> None:
        self.connection.execute(
            sql.SQL("PREPARE {}{} AS {}").format(sql.Identifier(name), sql.SQL(types), query), prepare=False
        )

    def _plan_by_index(self, name: str) -> None:
        """Have a statement planned now, for catalogs that are small and won't stay so."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(b"SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            self.connection.execute(b"EXECUTE %b('3', 0)" % name.encode(), prepare=False)

    def more_edges(self, before: Counters, after: Counters) -> int | None:
        """By how many rows pg_depend grew between two readings; None if not in one transaction."""
        if before.xid != after.xid:
            return None
        inserted = after.inserted.get(PG_DEPEND, 0) - before.inserted.get(PG_DEPEND, 0)
        return inserted - after.deleted.get(PG_DEPEND, 0) + before.deleted.get(PG_DEPEND, 0)

    def remaining(self, catalogs: Collection[str]) -> dict[int, frozenset[int]]:
        """Of those of ``catalogs`` whose rows are objects, by OID, the user objects that are left."""
        chosen = tuple(name for name in catalogs if name in KEYED_BY_OWN_OID)
        if not chosen:
            return {}
        with self._as_ourselves():
            self._cursor.execute(b"EXECUTE " + self._prepared_for("left", chosen), prepare=False)
            return {catalog: frozenset(oids) for catalog, oids in self._cursor.fetchall()}

    @contextlib.contextmanager
    def _as_ourselves(self) -> Iterator[None]:
        """Read as the superuser that the session began as, where a migration goes on as a lesser role.

        Such a role may not read pg_authid and pg_user_mapping. The settings are rolled back, so that the
        migration's own are what they were; the server reports ``is_superuser`` without being asked.
        """
        if not self.is_lesser():
            yield
            return
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(b"SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE")
            yield

    def is_lesser(self) -> bool:
        return self._as_superuser and not is_superuser(self.connection)

    def edges(self) -> Counter[Edge]:
        """Every edge from a user object, with how many rows it has."""
        self._cursor.execute(sql.SQL("{} {}").format(_EDGE, _EDGES))
        return Counter(self._cursor.fetchall())

    def edges_of(self, objects: Collection[Object]) -> Counter[Edge]:
        """Those that begin with one of ``objects``."""
        some = sql.SQL(
            "SELECT e.* FROM ROWS FROM (unnest(%s::int8[]), unnest(%s::int8[])) AS o(class, object),"
            " LATERAL ({} {} AND classid = o.class::oid AND objid = o.object::oid OFFSET 0) e"
        ).format(_EDGE, _EDGES)
        self._cursor.execute(some, ([c for c, _ in objects], [o for _, o in objects]))
        return Counter(self._cursor.fetchall())

    def positions(self) -> dict[int, int | None]:
        """By sequence, the last number it gave out, None where it gave out none yet."""
        self._cursor.execute(
            "SELECT oid::int8, pg_catalog.pg_sequence_last_value(oid)"
            " FROM (SELECT oid FROM pg_catalog.pg_class WHERE relkind = 'S' OFFSET 0) s"
            " WHERE pg_catalog.has_sequence_privilege(oid, 'USAGE, SELECT')"
        )
        return dict(self._cursor.fetchall())

    def row_counts(self) -> dict[int, int]:
        """By user table, how many rows were ever written to it: for what is not one transaction.

        Before PostgreSQL 15 the counts come too late to tell, and none are given.
        """
        if self.connection.info.server_version < 150000:
            return {}
        self._cursor.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
        self._cursor.execute(
            "SELECT relid::int8, n_tup_ins + n_tup_upd + n_tup_del FROM pg_catalog.pg_stat_user_tables"
        )
        return dict(self._cursor.fetchall())

    def described(self) -> set[tuple[int, int, int]]:
        """The (class, object, column) of every comment on a user object."""
        self._cursor.execute(
            "SELECT classoid::int8, objoid::int8, objsubid::int8 FROM pg_catalog.pg_description"
            " WHERE objoid >= 16384 OR objoid = 2200",
        )
        return set(self._cursor.fetchall())

    def identities(self, objects: Sequence[tuple[int, int]]) -> list[tuple[int, int, str, str]]:
        """(class, object, kind, name) of those of ``objects`` that are there."""
        self._cursor.execute(
            "SELECT o.class, o.object, i.type, i.identity"
            " FROM ROWS FROM (unnest(%s::int8[]), unnest(%s::int8[])) AS o(class, object),"
            " LATERAL pg_catalog.pg_identify_object(o.class::oid, o.object::oid, 0) i"
            " WHERE i.identity IS NOT NULL",
            ([c for c, _ in objects], [o for _, o in objects]),
        )
        return self._cursor.fetchall()


def _is_all(found: int, written: Written, *, locking: bool) -> bool:
    """Whether so many rows can be all that were written.

    A row that a statement inserts and then updates counts twice. Which of them were, isn't known: so only of
    a statement that writes to nothing but what it locks are fewer believed.
    """
    if locking and found:
        return written.inserted <= found <= sum(written)
    return found == sum(written)


def _readable(connection: psycopg.Connection[Any]) -> dict[int, SystemCatalog]:
    """The catalogs that this role may read, by OID: pg_authid and pg_user_mapping are the superuser's."""
    may = connection.execute(
        "SELECT relname, oid::int8 FROM pg_catalog.pg_class WHERE relnamespace = 11 AND relname = ANY(%s)"
        " AND pg_catalog.has_table_privilege(oid, 'SELECT')",
        ([catalog.name for catalog in CATALOGS],),
    ).fetchall()
    oids = dict(may)
    return {oids[catalog.name]: catalog for catalog in CATALOGS if catalog.name in oids}
