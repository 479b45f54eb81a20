"""Tracing: the whole catalog is applied once to a scratch database, and every statement's effect is kept.

A file is one transaction here as it is when it is applied, since SET LOCAL and ON COMMIT DROP end with it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import sql as pgsql

from pgslate.catalog import session, statements
from pgslate.catalog.blocks import Block
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.catalog.server_syntax import refuse_wrong_syntax
from pgslate.catalog.single_statement import run_statement
from pgslate.catalog.sqlstates import failed_at_the_end, migration_failed
from pgslate.catalog.statements import Statement
from pgslate.schema.read import read
from pgslate.targets.target import Target
from pgslate.trace import references, saved_state
from pgslate.trace.bulk import shared, together
from pgslate.trace.catalog_rows import catalog_of
from pgslate.trace.clock import expiry
from pgslate.trace.effects import Effect, Trace, Unit, UnitInfo
from pgslate.trace.hints import hinted
from pgslate.trace.interpretation import Observation, effect_of, turns_off_counters
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.observer import Mark, Observer, Sent
from pgslate.trace.probe import Probe, runs_code
from pgslate.trace.savepoints import Undone, outermost, undone, without_effect
from pgslate.trace.session_counters import Counters, settings_needed
from pgslate.trace.system_catalogs import PG_CLASS, PG_NAMESPACE, PG_PROC
from pgslate.trace.unseen import unseen

Progress = Callable[[int, int, Migration, int], None]
"""Called before each migration, and each second within it: how many are done, how many there are, the
migration, and the line of the statement that comes next (0 before the first)."""

_TAKES_DOWN = re.compile(r"\b(deallocate|discard|reset\s+all)\b", re.IGNORECASE)

_REPORT_EVERY = 1.0
"""Seconds between two calls of a ``Progress`` within a migration."""

# Generic plans and no JIT: the observer's few queries are run thousands of times.
_SETTINGS = "SET plan_cache_mode = force_generic_plan; SET jit = off"


@dataclass(frozen=True, slots=True)
class Traced:
    """A trace of a catalog, or of the first migrations of one, and what it takes to go on with it.

    ``live`` belongs to the database that was traced in, and to copies of its server's data directory.
    """

    trace: Trace
    live: LiveObjects


def trace(
    catalog: Catalog,
    scratch: Target,
    *,
    prelude: Iterable[PreludeFile] = (),
    earlier: Traced | None = None,
    progress: Progress | None = None,
) -> Traced:
    """Apply ``catalog`` to the empty database ``scratch`` and watch.

    ``prelude`` is SQL to run first, whose objects belong to no migration. With ``earlier``, ``scratch`` holds
    the first migrations already, as that trace left them, and only the others are applied; its live goes on
    with them. Raises MigrationFailedError where a statement fails, with its place, and SqlSyntaxError, before
    anything is run, for a statement that the server can't parse.
    """
    catalog.parse()
    with scratch.connect(settings=catalog.settings, autocommit=True, prepare_threshold=None) as connection:
        refuse_wrong_syntax(connection, catalog.migrations[len(earlier.trace.migrations) if earlier else 0 :])
        if earlier is None:
            run_prelude(connection, prelude)
        return _Tracer(catalog, connection, progress, earlier).run()


class _Tracer:
    """One pass over a catalog on one connection."""

    def __init__(
        self,
        catalog: Catalog,
        connection: psycopg.Connection[Any],
        progress: Progress | None,
        earlier: Traced | None = None,
    ) -> None:
        self.catalog = catalog
        self.connection = connection
        self.progress = progress
        self._reported = 0.0
        self.live = earlier.live if earlier else LiveObjects(_builtin_functions(connection))
        self.effects = list(earlier.trace.effects) if earlier else []
        self._done = len(earlier.trace.migrations) if earlier else 0
        self._settings = f"{_SETTINGS}; {settings_needed(connection)}"
        self._prologue = f"{session.RESET_BUT_PREPARED}; {self._settings}"
        if connection.info.server_version >= 150000:
            # Counts not yet reported would be taken for those of the next transaction.
            self._prologue += "; SELECT pg_catalog.pg_stat_force_next_flush()"
        connection.execute(self._prologue.encode())
        self.observer = Observer(connection)
        self.probe = Probe(connection, self.observer, self.live)
        if not earlier:
            self.live.begin(self.observer.everything(), self.observer.positions())

    def run(self) -> Traced:
        began = self.connection.execute("SELECT pg_catalog.now()").fetchall()[0][0]
        for number, migration in enumerate(self.catalog.migrations[self._done :], start=self._done):
            self._report(number, migration, 0)
            self._migration(number, migration)
        self.connection.execute(session.RESET_BUT_PREPARED.encode())
        found = Trace(
            migrations=tuple((m.version, m.checksum) for m in self.catalog.migrations),
            server=self.connection.info.server_version // 10000,
            units=tuple(self.live.units),
            effects=tuple(self.effects),
            requires=self._requirements(),
            definitions=read(self.connection).to_json(),
            expires=expiry(began, self.effects),
        )
        found = hinted(self.catalog, found)
        found = replace(found, uncertain=unseen(self.catalog, found))
        return Traced(found, self.live)

    def _report(self, number: int, migration: Migration, line: int) -> None:
        if self.progress:
            self._reported = time.monotonic()
            self.progress(number, len(self.catalog), migration, line)

    def _report_now_and_then(self, number: int, migration: Migration, line: int) -> None:
        if time.monotonic() - self._reported > _REPORT_EVERY:
            self._report(number, migration, line)

    def _migration(self, number: int, migration: Migration) -> None:
        for block in migration.blocks:
            if not block.transactional:
                self._alone(number, migration, block)
                continue
            try:
                self._transaction(number, migration, block)
            except psycopg.IntegrityError as error:  # at COMMIT: a statement would have failed itself
                raise failed_at_the_end(error, migration, block.statements[-1], doing="tracing") from None
        self.connection.execute(self._prologue.encode())
        self.observer.deallocate_others()
        self.live.end_of_file(at=len(self.effects) - 1)

    def _transaction(self, number: int, migration: Migration, block: Block) -> None:
        with self.connection.transaction():
            for text in block.opening:
                self.connection.execute(text.encode())
            before = self.observer.counters()
            mark = Mark(before.xid)
            sent: Sent | None = None
            undoing = _Undoing(self.live, self.effects, undone(block.statements), block.first)
            groups = list(together(block.statements, block.first))
            for group, after_it in zip(groups, [*groups[1:], []], strict=True):
                self._report_now_and_then(number, migration, group[0][1].line)
                if len(group) > 1:
                    observed = self._bulk(number, migration, group, before, mark)
                    mark = Mark(mark.xid, max([mark.command, *(row.command for row in observed.rows)]))
                    before = observed.after
                    continue
                index, statement = group[0]
                following = after_it[0][1] if len(after_it) == 1 else None
                if sent is not None:
                    observed = self._received(migration, sent, before)
                else:
                    observed, mark = self._watched(migration, statement, before, mark)
                mark = Mark(mark.xid, max([mark.command, *(row.command for row in observed.rows)]))
                self.observer.restore_settings(observed.after)
                sent = self._sent_ahead(following, observed, mark)
                try:
                    undoing.before(index)
                    self._keep(number, index, statement, observed)
                    undoing.after(index)
                except BaseException:
                    if sent is not None:
                        sent.message.abandon()
                    raise
                before = observed.after

    def _bulk(
        self,
        number: int,
        migration: Migration,
        group: Sequence[tuple[int, Statement]],
        before: Counters,
        mark: Mark,
    ) -> Observation:
        """Run statements of one kind in one message, and keep for each the effect of all of them."""
        first = group[0][1]
        sent = self.observer.send(replace(first, text=";\n".join(each.text for _, each in group)), mark)
        try:
            rows, after = self.observer.receive(sent, before)
        except psycopg.Error as error:
            _, failed = group[min(sent.message.completed, len(group) - 1)]
            raise migration_failed(error, migration, failed, doing="tracing") from None
        observed = Observation(rows, before, after)
        at = len(self.effects)
        place = (number, group[0][0], first.line)
        effect = effect_of(self.live, self.observer, observed, text=first.text, place=place, at=at)
        used = effect.writes | effect.reads
        enums = self.live.enums_with_value_in(sent.statement.text, used) - effect.touches
        effect = effect._replace(reads=effect.reads | enums)
        for (_, each), one in zip(group, shared(effect, group, at), strict=True):
            self.effects.append(one._replace(digest=_digest(each)))
        return observed

    def _sent_ahead(self, statement: Statement | None, observed: Observation, mark: Mark) -> Sent | None:
        """Let the server run ``statement`` while what was ``observed`` of the one before is made out.

        None where that asks the database something, or the statement isn't just sent.
        """
        if statement is None or runs_code(statement) or _goes_alone(statement):
            return None
        if self.observer.deleted(observed.before, observed.after) or any(
            catalog_of(r) == PG_NAMESPACE for r in observed.rows
        ):
            return None
        return self.observer.send(statement, mark)

    def _watched(
        self, migration: Migration, statement: Statement, before: Counters, mark: Mark
    ) -> tuple[Observation, Mark]:
        """Run a statement; more often, with relations hidden from it, where it goes by names it looks up.

        Returns the mark for the rows of the statements that follow, too.
        """
        if not runs_code(statement):
            return self._observed(migration, statement, before, mark), mark
        self.probe.begin()
        observed = self._observed(migration, statement, before, mark)
        tied = self.probe.ties(statement, observed)
        if tied is None:
            self.probe.keep()
            return observed, mark
        after_probe = self.probe.mark
        observed = self._observed(migration, statement, self.observer.counters(), after_probe)
        return replace(observed, tied=tied), after_probe

    def _observed(
        self, migration: Migration, statement: Statement, before: Counters, mark: Mark
    ) -> Observation:
        if not _goes_alone(statement):
            return self._received(migration, self.observer.send(statement, mark), before)
        after = self._by_itself(migration, statement)
        return Observation(self.observer.rows(mark, self.observer.written(before, after)), before, after)

    def _received(self, migration: Migration, sent: Sent, before: Counters) -> Observation:
        with self._with_place(migration, sent.statement):
            rows, after = self.observer.receive(sent, before)
        sets_only = sent.statement.kind == "VariableSetStmt"
        if not sets_only and turns_off_counters(self.live, sent.statement.text):
            # It may have done so for a while: everything is looked at, and what it locked counts as written.
            rows = self.observer.rows(sent.mark)
            locks = {
                oid: (writes, count + 1 if writes and oid not in before.locks else count)
                for oid, (writes, count) in after.locks.items()
            }
            before = replace(before, deleted=self.observer.unknown())
            return Observation(rows, before, after, locks=locks)
        return Observation(rows, before, after)

    def _alone(self, number: int, migration: Migration, block: Block) -> None:
        """Outside a transaction a statement may be several, and its counters too: everything is looked at."""
        for index, statement in enumerate(block.statements, start=block.first):
            self._report_now_and_then(number, migration, statement.line)
            before, counts = self.observer.counters(), self.observer.row_counts()
            positions = self.observer.positions()
            try:
                self._execute(statement)
            except psycopg.Error as error:
                raise migration_failed(error, migration, statement, doing="tracing") from None
            rows = self.observer.rows(Mark(before.xid))
            after = self.observer.counters()
            written = {
                oid: (False, count)
                for oid, count in self.observer.row_counts().items()
                if count != counts.get(oid, 0)
            }
            now = self.observer.positions()
            went_on = {oid: now[oid] for oid in now if now[oid] != positions.get(oid)}
            locks = {**written, **dict.fromkeys(went_on, (True, 0))}
            before = replace(before, deleted=self.observer.unknown(), locks={})
            after = replace(after, locks=locks, positions=went_on)
            self.observer.restore_settings(after)
            self._keep(number, index, statement, Observation(rows, before, after))

    def _by_itself(self, migration: Migration, statement: Statement) -> Counters:
        with self._with_place(migration, statement):
            self._execute(statement)
            return self.observer.counters()

    def _execute(self, statement: Statement) -> None:
        run_statement(self.connection, statement)
        if _takes_down_the_session(statement):
            self.observer.prepare_again()
            if statement.kind in ("DiscardStmt", "VariableSetStmt") and not self.observer.is_lesser():
                self.connection.execute(self._settings.encode())

    @contextlib.contextmanager
    def _with_place(self, migration: Migration, statement: Statement) -> Iterator[None]:
        """Raise an error of the server again with the place of the statement."""
        try:
            yield
        except psycopg.Error as error:
            there = self.live.meant_elsewhere(error.diag.message_primary or "")
            raise migration_failed(error, migration, statement, doing="tracing", there=there) from None

    def _keep(self, number: int, index: int, statement: Statement, observed: Observation) -> None:
        place = (number, index, statement.line)
        effect = effect_of(
            self.live, self.observer, observed, text=statement.text, place=place, at=len(self.effects)
        )
        session = _sets_session(statement)
        self.effects.append(effect._replace(digest=_digest(statement), session=session))

    # -- the end

    def _requirements(self) -> dict[Unit, dict[Unit, str]]:
        """The links at the end, and those that PostgreSQL doesn't keep: partitions, sequences, function
        bodies."""
        found: dict[Unit, dict[Unit, str]] = defaultdict(dict, self.live.requirements())
        for parent, child, how in self._owned():
            one, other = self.live.unit((PG_CLASS, parent)), self.live.unit((PG_CLASS, child))
            if one is not None and other is not None and one != other:
                found[one].setdefault(other, how)
        for oid, definition, path in self._functions():
            unit = self.live.unit((PG_PROC, oid))
            if unit is None or self.live.object(unit) != (PG_PROC, oid):
                continue
            body = references.of_body(definition)
            for name in body.relations | body.declared:
                used = self.live.relation(name, path)
                if used is not None and used != unit:
                    found[unit].setdefault(used, "function body")
            for name in body.functions:
                for used in self.live.functions_named(name, path):
                    if used != unit:
                        found[unit].setdefault(used, "function body")
        return {unit: dict(sorted(targets.items())) for unit, targets in sorted(found.items())}

    def _owned(self) -> list[tuple[int, int, str]]:
        return self.connection.execute(
            "SELECT i.inhparent::int8, i.inhrelid::int8, 'partition' FROM pg_catalog.pg_inherits i"
            " JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid WHERE c.relispartition AND c.relkind <> 'I'"
            " UNION ALL SELECT d.refobjid::int8, d.objid::int8, 'owned sequence' FROM pg_catalog.pg_depend d"
            " JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'"
            " WHERE d.classid = 1259 AND d.refclassid = 1259 AND d.refobjsubid > 0"
            " AND d.deptype IN ('a', 'i')"
        ).fetchall()

    def _functions(self) -> list[tuple[int, str, list[str]]]:
        path = self.connection.execute("SELECT pg_catalog.current_schemas(true)::text[]").fetchone()
        assert path is not None
        rows = self.connection.execute(
            "SELECT p.oid::int8, pg_catalog.pg_get_functiondef(p.oid),"
            " (SELECT substr(s, 13) FROM unnest(p.proconfig) s WHERE s LIKE 'search\\_path=%')"
            " FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
            " WHERE p.oid >= 16384 AND p.prokind IN ('f', 'p') AND l.lanname IN ('plpgsql', 'sql')"
            " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 1255 AND d.objid = p.oid"
            " AND d.deptype = 'e')"
        ).fetchall()
        return [(oid, text, _schemas(own) if own is not None else path[0]) for oid, text, own in rows]


class _Undoing:
    """Goes back with the live and the effects where a transaction goes back to a savepoint."""

    def __init__(self, live: LiveObjects, effects: list[Effect], found: Sequence[Undone], first: int) -> None:
        """``found`` counts from the transaction's first statement, which is ``first`` in its file."""
        self._live = live
        self._effects = effects
        self._first = {first + one.first for one in found}
        self._last = {first + one.last: first + one.first for one in found}
        self._outermost = {first + one.last: first + one.first for one in outermost(found)}
        self._saved: dict[int, tuple[bytes, list[UnitInfo]]] = {}

    def before(self, index: int) -> None:
        """Called before the effect of statement ``index`` is taken in."""
        if index in self._first:
            self._saved[index] = saved_state.dumps(self._live), list(self._live.units)

    def after(self, index: int) -> None:
        """Called after the effect of statement ``index`` was taken in."""
        savepoint = self._last.get(index)
        if savepoint is None:
            return
        live = saved_state.loads(*self._saved[savepoint])
        assert live is not None
        vars(self._live).update(vars(live))
        if index in self._outermost:
            count = index - savepoint + 1
            at = len(self._effects) - count
            self._effects[at:] = without_effect(self._effects[at:], at, self._live.units)


def _schemas(search_path: str) -> list[str]:
    """The schemas of a search_path setting.

    >>> _schemas('app, "My Schema", public')
    ['app', 'My Schema', 'public']
    """
    return [part.strip().strip('"') for part in search_path.split(",") if part.strip().strip('"')]


def _builtin_functions(connection: psycopg.Connection[Any]) -> frozenset[str]:
    rows = connection.execute("SELECT proname::text FROM pg_catalog.pg_proc WHERE pronamespace = 11")
    return frozenset(row[0] for row in rows)


def _takes_down_the_session(statement: Statement) -> bool:
    """Whether a statement may undo what the observer needs: its prepared statements, its settings."""
    return bool(_TAKES_DOWN.search(statement.text))


def _goes_alone(statement: Statement) -> bool:
    """Whether nothing can follow a statement in the same message."""
    return statement.kind == "CopyStmt" or _takes_down_the_session(statement)


def _sets_session(statement: Statement) -> bool:
    if statement.kind == "VariableSetStmt":
        return True
    return statement.kind == "SelectStmt" and "set_config" in statement.text.lower()


def _digest(statement: Statement) -> str:
    """What stands for a statement's text: 12 hexadecimal digits; its spacing does not count."""
    return hashlib.sha256(statements.without_spacing(statement).encode()).hexdigest()[:12]


def create_scratch(connection: psycopg.Connection[Any], name: str) -> None:
    """Make an empty database from template0: nothing of what a site put into template1 is in it."""
    connection.execute(pgsql.SQL("CREATE DATABASE {} TEMPLATE template0").format(pgsql.Identifier(name)))
