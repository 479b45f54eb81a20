"""The pieces of SQL that pgslate adds to a file's own statements, and how many files one message takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pgslate.catalog import session
from pgslate.catalog.statements import Statement
from pgslate.execution.batch import Piece
from pgslate.execution.planner import Step

BEGIN, COMMIT, ROLLBACK = Piece("BEGIN"), Piece("COMMIT"), Piece("ROLLBACK")
CLOCK = Piece("SELECT extract(epoch FROM pg_catalog.clock_timestamp())", asks=True)
RESET = tuple(Piece(text) for text in session.RESET.split("; "))

# Between two transactions of one file its settings stay, but the ledger is written as ourselves.
AS_OURSELVES = (Piece("SET LOCAL SESSION AUTHORIZATION DEFAULT"), Piece("SET LOCAL ROLE NONE"))

# What the end of a file's transaction would check. The setting ends with the transaction.
CHECK_DEFERRED = Piece("SET CONSTRAINTS ALL IMMEDIATE")

# How much of a fresh database's one transaction is sent at once; progress is reported a batch at a time.
_BATCH_CHARACTERS, _BATCH_STEPS = 64_000, 20


def lock_timeout_piece(seconds: float) -> Piece:
    """Bounds each wait for a lock of this transaction, where the session has no bound of its own."""
    return Piece(
        f"SELECT pg_catalog.set_config('lock_timeout', '{max(1, round(seconds * 1000))}', true)"
        " WHERE pg_catalog.current_setting('lock_timeout') = '0'"
    )


def numbered(step: Step) -> list[tuple[int, Statement]]:
    """The statements of a step, with their indexes in the file."""
    return [each for part in step.parts for each in part.statements]


def statements_of(step: Step) -> list[Statement]:
    return [statement for _, statement in numbered(step)]


def batches(steps: Sequence[Step]) -> Iterator[Sequence[Step]]:
    """Steps to send together: a round trip costs as much as a small file."""
    batch: list[Step] = []
    size = 0
    for step in steps:
        length = sum(len(statement.text) for statement in statements_of(step))
        if batch and (size + length > _BATCH_CHARACTERS or len(batch) == _BATCH_STEPS):
            yield batch
            batch, size = [], 0
        batch.append(step)
        size += length
    yield batch
