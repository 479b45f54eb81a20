"""How the statements of a file are run: which share a transaction, and which stand alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pgslate.catalog.statements import Statement
from pgslate.catalog.tokens import words_of

_BEGIN = re.compile(r"^(?:begin|start)(?:\s+(?:work|transaction))?\s*", re.IGNORECASE)
_SET_TRANSACTION = re.compile(r"^set\s+(?:local\s+)?transaction\s+(?!snapshot)", re.IGNORECASE)
_READ_ONLY = re.compile(r"(^|[\s,]+)read\s+only\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that are run together: in one transaction, or, where ``transactional`` is false, each alone.

    ``first`` is the index in the file of the block's first statement; the others follow without a gap.
    ``BEGIN``, ``COMMIT`` and a leading ``SET TRANSACTION`` are not among the ``statements``, but they are
    counted in the file's indexes; ``mode`` is what they ask for (``ISOLATION LEVEL ...``).
    """

    first: int
    statements: tuple[Statement, ...]
    transactional: bool
    mode: str = ""

    @property
    def opening(self) -> tuple[str, ...]:
        """The statement that has to come first in the transaction, before any query, or none."""
        return (f"SET TRANSACTION {self.mode}",) if self.mode else ()

    @property
    def opening_to_write(self) -> tuple[str, ...]:
        """The same, where the ledger is written in the transaction, too: without ``READ ONLY``."""
        mode = without_read_only(self.mode)
        return (f"SET TRANSACTION {mode}",) if mode else ()


def blocks(statements: Sequence[Statement], *, transactional: bool) -> tuple[Block, ...]:
    """How a file's statements are run.

    A transactional file is one transaction, and so are the statements between its own BEGIN and COMMIT; a
    statement that PostgreSQL refuses in a transaction stands alone between them. In a file that is not
    transactional each statement stands alone, except between BEGIN and COMMIT.

    >>> from pgslate.catalog.statements import split
    >>> three = split("CREATE TABLE a(i int); CREATE INDEX CONCURRENTLY ON a(i); DROP TABLE a")
    >>> [(b.first, len(b.statements), b.transactional) for b in blocks(three, transactional=True)]
    [(0, 1, True), (1, 1, False), (2, 1, True)]
    """
    found: list[Block] = []
    run: list[Statement] = []
    start = 0
    explicit = False
    mode = chained = ""

    def close() -> None:
        nonlocal mode
        if run:
            found.append(Block(start, tuple(run), transactional=True, mode=mode))
            run.clear()
        mode = ""

    for index, statement in enumerate(statements):
        if statement.kind == "TransactionStmt":
            words = words_of(statement.text)
            if words[0] in ("begin", "start"):
                close()
                explicit = True
                mode = chained = _BEGIN.sub("", statement.text)
                continue
            if words[0] in ("commit", "end"):
                close()
                explicit = words[-1] == "chain" and words[-2] != "no"
                mode = chained if explicit else ""
                continue
        if not run and _SET_TRANSACTION.match(statement.text):
            mode = ", ".join(filter(None, (mode, _SET_TRANSACTION.sub("", statement.text))))
            continue
        alone = statement.outside_transaction or not (transactional or explicit)
        if alone:
            close()
            found.append(Block(index, (statement,), transactional=False))
            continue
        if not run:
            start = index
        run.append(statement)
    close()
    return tuple(found)


def without_read_only(mode: str) -> str:
    """The modes of a transaction, without ``READ ONLY``.

    >>> without_read_only("ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE")
    'ISOLATION LEVEL SERIALIZABLE, DEFERRABLE'
    >>> without_read_only("read only")
    ''
    """
    return _READ_ONLY.sub("", mode).strip(" ,\n\t")
