"""Runs a plan on one connection: the transactions, and the ledger's rows that are written in them.

A file that is one transaction is sent as one message: BEGIN, the file's statements, the reset of the session,
the file's row in the ledger. COMMIT is sent in a message of its own, after a check that this run still holds
the lock.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, zip_longest
from typing import Any

import psycopg

from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import NEEDS_A_TRANSACTION_OF_ITS_OWN, ends_the_connection
from pgslate.catalog.statements import Statement
from pgslate.errors import LockTimeoutError, PgslateError
from pgslate.execution import growth, locks, refusals, unfinished
from pgslate.execution import ledger as ledgers
from pgslate.execution.batch import Piece, RefusedError, send
from pgslate.execution.ledger import SINCE_BEGIN, Ledger, LedgerRow, LedgerRun
from pgslate.execution.locks import Lock
from pgslate.execution.planner import Part, Plan, Step
from pgslate.execution.progress import Progress
from pgslate.execution.transaction_pieces import (
    AS_OURSELVES,
    BEGIN,
    CHECK_DEFERRED,
    CLOCK,
    COMMIT,
    RESET,
    ROLLBACK,
    batches,
    lock_timeout_piece,
    numbered,
    statements_of,
)
from pgslate.plain_text import shortened
from pgslate.trace.effects import Unit


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A migration that was applied; ``statements`` were run, in ``seconds`` on this side's clock."""

    version: str
    file: str
    statements: int
    seconds: float


class Execution:
    """One run of a plan. ``done`` are the migrations that this run has committed, in order."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        lock: Lock,
        plan: Plan,
        ledger: Ledger,
        progress: Progress,
        *,
        label: str,
        tool_version: str,
        lock_timeout: float | None = None,
    ) -> None:
        self.done: list[AppliedMigration] = []
        self._connection = connection
        self._lock = lock
        self._plan = plan
        self._progress = progress
        self._label = label
        self._run = LedgerRun(str(uuid.uuid4()), "", "", tool_version, plan.form, plan.tables, plan.known)
        self._opening = self._first_pieces(ledger)
        self._part_kept = ""
        # a file may set another; CONCURRENTLY, which is no part of a transaction, may wait for hours
        self._bounded = () if lock_timeout is None else (lock_timeout_piece(lock_timeout),)

    @property
    def applied(self) -> tuple[str, ...]:
        """The versions that are applied, those of earlier runs included."""
        return (*self._plan.applied, *(each.version for each in self.done))

    @property
    def kept(self) -> str:
        """The sentence that says what of this run was kept."""
        if self.done:
            called = {step.migration.version: step.migration.shown for step in self._plan.steps}
            names = [called[each.version] for each in self.done]
            kept = f"Applied before it, and kept: {shortened(names, most=10)}."
        else:
            kept = "Nothing of this run was kept." if not self._part_kept else ""
        return " ".join(part for part in (kept, self._part_kept) if part)

    def run(self) -> None:
        """Run every step. Raises what refusals.py makes of PostgreSQL's errors, and LockLostError."""
        if not self._plan.steps:
            self._commit_with([BEGIN, *self._opening])
            return
        for group in self._plan.groups:
            if len(group) > 1:
                try:
                    self._together(group)
                except _SharedTransactionError as error:
                    self._progress.restarted(str(error))
                else:
                    continue
            for step in group:
                self._alone(step)

    def run_definitions(self, definitions: Sequence[str]) -> None:
        """The objects form: run these statements in place of the steps', and record the steps as applied.

        One transaction. Raises MigrationFailedError without a place, since no file has one, PrivilegeError,
        MissingExtensionError, TargetError.
        """
        began = time.monotonic()
        pieces = [BEGIN, *self._bounded, *self._opening, *map(Piece, definitions), *RESET]
        rows = [replace(self._row(step), duration_ms=None) for step in self._plan.steps]
        try:
            send(self._connection, [*pieces, ledgers.recording(rows)])
        except RefusedError as refused:
            self._roll_back()
            if self._is_lost_by(refused.error):
                raise self._own_refused(refused.error) from None
            script = pieces[refused.piece].text if refused.piece < len(pieces) else ""
            raise refusals.definitions_refused(refused.error, script, kept=self.kept) from None
        self._commit(None)
        each = (time.monotonic() - began) / max(1, len(self._plan.steps))
        self._report_committed([(step, each) for step in self._plan.steps])

    # -- several files in one transaction

    def _together(self, group: Sequence[Step]) -> None:
        took: list[tuple[Step, float]] = []
        before = [BEGIN, *self._bounded, *self._opening, CLOCK]
        for batch in batches(group):
            took += self._batch(batch, before)
            before = [CLOCK]
        rows = [replace(self._row(step), duration_ms=seconds * 1000) for step, seconds in took]
        self._commit_with([ledgers.recording(rows)])
        self._report_committed(took)

    def _batch(self, steps: Sequence[Step], before: Sequence[Piece]) -> list[tuple[Step, float]]:
        """Several files in one message, each with the seconds it took on the server's clock."""
        pieces = list(before)
        firsts = []
        for step in steps:
            self._progress.started(step)
            firsts.append(len(pieces))
            pieces += [Piece(statement.text, statement.data) for statement in statements_of(step)]
            pieces += [*((*RESET, *self._bounded) if step.may_leave_settings else ()), CLOCK]
        try:
            clock = [float(answer) for answer in send(self._connection, pieces)]
        except RefusedError as refused:
            self._roll_back()
            at = bisect_right(firsts, refused.piece) - 1
            step, first = steps[max(at, 0)], firsts[max(at, 0)]
            if refused.error.sqlstate in NEEDS_A_TRANSACTION_OF_ITS_OWN:
                message = refused.error.diag.message_primary
                raise _SharedTransactionError(f"{step.migration.shown}: {message}") from refused
            raise self._refused(step, refused, first, numbered(step)) from None
        took = [(step, after - begun) for step, (begun, after) in zip(steps, pairwise(clock), strict=True)]
        for each in took:
            self._progress.finished(*each)
        return took

    # -- a transaction a file

    def _alone(self, step: Step) -> None:
        self._progress.started(step)
        began = time.monotonic()
        if step.is_one_transaction and not step.start:
            self._one_transaction(step)
        else:
            self._in_parts(step, began)
        seconds = time.monotonic() - began
        self._progress.finished(step, seconds)
        self._report_committed([(step, seconds)])

    def _one_transaction(self, step: Step) -> None:
        before = self._begun(step.parts)
        after = [CHECK_DEFERRED, *RESET, ledgers.recording([self._row(step)], duration=SINCE_BEGIN)]
        self._transaction(step, before, numbered(step), after)

    def _begun(self, parts: Sequence[Part]) -> list[Piece]:
        """The beginning of a transaction that is to hold the parts."""
        return [
            BEGIN,
            *(Piece(text) for part in parts for text in part.opening),
            *self._bounded,
            *self._opening,
        ]

    def _transaction(
        self,
        step: Step,
        before: Sequence[Piece],
        statements: Sequence[tuple[int, Statement]],
        after: Sequence[Piece],
    ) -> None:
        try:
            self._send(step, before, statements, after)
        except RefusedError as refused:
            self._roll_back()
            raise self._refused(step, refused, len(before), statements) from None
        self._commit(step.migration)

    # -- a file that is not one transaction

    def _in_parts(self, step: Step, began: float) -> None:
        self._restore_settings(step)
        parts = list(step.parts)
        if step.begun is not None and parts and not parts[0].atomic:
            self._keep_part(step, parts[0].first)
            statement = parts[0].statements[0][1]
            if unfinished.is_done(self._connection, step.migration, statement, step.begun):
                parts.pop(0)
        for part, following in zip_longest(parts, parts[1:]):
            if part.atomic:
                self._atomic_part(step, part, following, began)
            else:
                self._bare_part(step, part, began)
        if not parts or not parts[-1].atomic:
            self._commit_with([BEGIN, *self._opening, *RESET, self._progress_piece(step, None, began)])
        self._part_kept = ""

    def _atomic_part(self, step: Step, part: Part, following: Part | None, began: float) -> None:
        going_on = following.first if following else None
        ending = AS_OURSELVES if following else RESET
        after = [CHECK_DEFERRED, *ending, self._progress_piece(step, going_on, began)]
        self._transaction(step, self._begun([part]), part.statements, after)
        if following:
            self._keep_part(step, following.first)

    def _bare_part(self, step: Step, part: Part, began: float) -> None:
        index, statement = part.statements[0]
        unfinished.refuse_invalid(self._connection, step.migration, statement)
        note = unfinished.before(self._connection, statement)
        self._mark(step, index, began, begun=note)
        self._keep_part(step, index)
        try:
            send(self._connection, [Piece(statement.text, statement.data)])
        except RefusedError as refused:
            self._roll_back()
            if not unfinished.leaves_something(statement) and not self._is_lost():
                self._mark(step, index, began, begun=None)
            raise self._refused(step, refused, 0, part.statements) from None

    def _mark(self, step: Step, index: int, began: float, *, begun: dict[str, Any] | None) -> None:
        piece = self._progress_piece(step, index, began, begun=begun)
        self._commit_with([BEGIN, *AS_OURSELVES, *self._opening, piece])

    def _progress_piece(
        self, step: Step, going_on: int | None, began: float, *, begun: dict[str, Any] | None = None
    ) -> Piece:
        row = replace(self._row(step), duration_ms=(time.monotonic() - began) * 1000)
        if going_on is not None:
            done = ledgers.checksum_of(step.done_before(going_on))
            row = replace(row, next=going_on, begun=begun, done_checksum=done)
        return ledgers.recording([row])

    def _restore_settings(self, step: Step) -> None:
        """Repeat the settings that the file made before an earlier run of it was cut off."""
        if step.start:
            for statement in unfinished.settings(step.done_before(step.start)):
                try:
                    send(self._connection, [Piece(statement.text)])
                except RefusedError as refused:
                    raise self._refused(step, refused, 0, [(0, statement)]) from None

    # -- messages

    def _first_pieces(self, ledger: Ledger) -> list[Piece]:
        pieces = ledgers.opening(ledger, self._run)
        if self._plan.assumed:
            tool = self._plan.adopted_from
            form = "adopted" if tool else "assumed"
            rows = [self._row_of(m, form, of=0, statements=None) for m in self._plan.assumed]
            rows = [replace(row, applied_by=tool) for row in rows]
            pieces.append(ledgers.recording(rows))
        pieces += [ledgers.accepting(m.version, m.file, m.checksum) for m in self._plan.accepted]
        if self._plan.bookkeeping:
            pieces.append(Piece(self._plan.bookkeeping.rstrip(";")))
        return pieces

    def _row(self, step: Step) -> LedgerRow:
        return self._row_of(step.migration, self._plan.form, of=step.of, statements=step.statements)

    def _row_of(
        self, migration: Migration, form: str, *, of: int, statements: tuple[int, ...] | None
    ) -> LedgerRow:
        return LedgerRow(
            version=migration.version,
            file=migration.file,
            checksum=migration.checksum,
            form=form,
            of=of,
            run=self._run.run,
            statements=statements,
        )

    def _send(
        self,
        step: Step,
        before: Sequence[Piece],
        statements: Iterable[tuple[int, Statement]],
        after: Sequence[Piece],
    ) -> None:
        own = [Piece(statement.text, statement.data) for _, statement in statements]
        send(self._connection, [*before, *own, *after])

    def _commit_with(self, pieces: Sequence[Piece]) -> None:
        """Pieces of pgslate's own, and COMMIT."""
        try:
            send(self._connection, pieces)
        except RefusedError as refused:
            self._roll_back()
            raise self._own_refused(refused.error) from None
        self._commit(None)

    def _commit(self, migration: Migration | None) -> None:
        try:
            self._lock.check()
        except PgslateError:
            self._roll_back()
            raise
        try:
            send(self._connection, [COMMIT])
        except RefusedError as refused:
            self._roll_back()
            if migration is None or self._is_lost():
                raise self._own_refused(refused.error) from None
            raise refusals.at_the_end(
                refused.error, migration, applied=self.applied, kept=self.kept
            ) from None
        self._opening = []

    def _roll_back(self) -> None:
        if (
            not self._is_lost()
            and self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE
        ):
            with contextlib.suppress(RefusedError):  # the server ended the connection meanwhile
                send(self._connection, [ROLLBACK])

    def _is_lost_by(self, error: psycopg.Error) -> bool:
        """Whether the connection ended with this error, and not later, while the error was handled."""
        return self._is_lost() and ends_the_connection(error.sqlstate)

    def _is_lost(self) -> bool:
        return self._connection.pgconn.status != psycopg.pq.ConnStatus.OK

    # -- reports and errors

    def _report_committed(self, steps: Sequence[tuple[Step, float]]) -> None:
        for step, seconds in steps:
            count = sum(len(part.statements) for part in step.parts)
            self.done.append(AppliedMigration(step.migration.version, step.migration.file, count, seconds))
        self._progress.committed(len(steps))

    def _keep_part(self, step: Step, index: int) -> None:
        statement = next(s for part in step.parts for number, s in part.statements if number == index)
        if step.done_before(index):
            self._part_kept = (
                f"Of {step.migration.shown}, what stands above line {statement.line} was kept;"
                " the next run goes on from there."
            )

    def _refused(
        self,
        step: Step,
        refused: RefusedError,
        first: int,
        statements: Sequence[tuple[int, Statement]],
    ) -> PgslateError:
        if self._is_lost_by(refused.error):
            return self._own_refused(refused.error)
        at = refused.piece - first
        if at < 0:
            return self._own_refused(refused.error)
        if at >= len(statements):
            own_end = at > len(statements)
            if own_end or not statements:
                return self._own_refused(refused.error)
            return refusals.at_the_end(refused.error, step.migration, applied=self.applied, kept=self.kept)
        index, statement = statements[at]
        error = refusals.refusal(
            refused.error,
            step.migration,
            statement,
            offset=refused.offset,
            applied=self.applied,
            kept=self.kept,
        )
        if refused.error.sqlstate == "55P03":
            return self._lock_timed_out(error, step, index)
        if step.slice_ is None:
            return error
        return growth.explain(error, step.slice_, step.migration, index, self._plan.applied)

    def _lock_timed_out(self, error: PgslateError, step: Step, index: int) -> LockTimeoutError:
        """The error where a statement waited for a table's lock for too long; says who holds it."""
        holder = locks.holders_of_tables(self._connection, _tables_of(step, index))
        return LockTimeoutError(
            error.message + (f"\nHeld by {holder}." if holder else ""),
            holder=holder,
            place=error.place,
            fix="run again when that session is done; or give more time (--timeout, or lock_timeout in"
            " [session] of pgslate.toml); if it hangs, end it with SELECT pg_terminate_backend(pid)",
        )

    def _own_refused(self, error: psycopg.Error) -> PgslateError:
        if self._is_lost_by(error):
            return refusals.connection_lost(error, self._label, applied=self.applied, kept=self.kept)
        return refusals.ledger_refusal(error, self._connection.info.dbname)


def _tables_of(step: Step, index: int) -> list[str]:
    """The tables that a statement touches or reads, as it was traced; none where there is no trace."""
    if step.slice_ is None:
        return []
    trace, catalog = step.slice_.trace, step.slice_.catalog
    units: set[Unit] = set()
    for each in trace.by_migration[catalog.migrations.index(step.migration)]:
        effect = trace.effects[each]
        if effect.statement == index:
            units |= effect.touches | effect.reads | {target for _, target in effect.links}
    return sorted(trace.units[unit].name for unit in units if trace.units[unit].kind == "table")


class _SharedTransactionError(Exception):
    """A statement can't run in a transaction that it shares with other files."""
