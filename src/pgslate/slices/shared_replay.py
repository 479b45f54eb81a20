"""Replaying many slices in one transaction, so that those which begin alike share their beginning.

Slices of one catalog have much in common: their first files, mostly. In order, with a savepoint where the
next slice differs, each file is run once for all slices that share it. Nothing is committed, so neither a
database nor a connection is needed for each slice.

Two slices share a beginning where the same statements of the same files come first. What a sequence has
given out is not undone by a savepoint, so positions are noted there and set again.

A slice comes out the same so as when it is applied file by file, unless it ``fits`` no shared transaction.
Who uses this believes only that a slice holds; one that doesn't is replayed as it will be applied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import psycopg
from psycopg import sql

from pgslate.catalog import session
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.statements import copies_out, defers
from pgslate.slices.slice import Slice

Step = tuple[int, tuple[int, ...]]
"""A file of a slice, and the indexes of its statements that are replayed."""

_NOT_TOGETHER = re.compile(r"standard_conforming_strings|\bon\s+commit\b", re.IGNORECASE)
"""What makes a statement mean something else where its transaction goes on with the next file."""


class SharedReplay:
    """Replays slices of one catalog on one connection, which has an empty database."""

    def __init__(self, catalog: Catalog, connection: psycopg.Connection[Any]) -> None:
        self._catalog = catalog
        self._connection = connection
        self._savepoints: list[tuple[int, dict[str, tuple[int, bool]]]] = []  # steps done, and positions
        self._path: Sequence[Step] = ()
        self.statements = 0
        """How many statements were run so far."""

    def each(self, slices: Sequence[Slice], holds: Callable[[Slice], bool]) -> Iterator[bool]:
        """For each slice whether it could be replayed and ``holds`` was true then.

        The slices come in the order of their ``steps``. Everything is rolled back in the end.
        """
        paths = [steps(each) for each in slices]
        shared = [_alike(one, other) for one, other in pairwise(paths)]
        with self._connection.transaction(force_rollback=True):
            self._savepoints, self._path = [], ()
            self._keep(0)
            for index, (slice_, path) in enumerate(zip(slices, paths, strict=True)):
                self._go_back(_alike(self._path, path))
                try:
                    self._run(path, _branches(shared[index:]))
                    outcome = holds(slice_)
                except psycopg.Error:
                    if self._connection.closed:
                        raise
                    outcome = False
                yield outcome

    def _run(self, path: Sequence[Step], branches: Sequence[int]) -> None:
        done = self._savepoints[-1][0]
        self._path = path
        for depth in (*(depth for depth in branches if done < depth < len(path)), len(path)):
            texts = [_text(self._catalog, step) for step in path[done:depth]]
            if texts:
                self._connection.execute("\n;\n".join(texts).encode(), prepare=False)
                self.statements += sum(len(statements) for _, statements in path[done:depth])
            done = depth
            if depth < len(path) or depth in branches:
                self._keep(depth)

    def _keep(self, depth: int) -> None:
        self._connection.execute(f"SAVEPOINT pgslate_{depth}".encode(), prepare=False)
        self._savepoints.append((depth, self._positions()))

    def _go_back(self, depth: int) -> None:
        """To the last savepoint that comes after no more than ``depth`` steps."""
        while self._savepoints[-1][0] > depth:
            self._savepoints.pop()
        done, positions = self._savepoints[-1]
        self._connection.execute(f"ROLLBACK TO SAVEPOINT pgslate_{done}".encode(), prepare=False)
        self._path = self._path[:done]
        now = self._positions() if positions else {}
        for name, position in positions.items():
            if now.get(name) != position:
                self._connection.execute("SELECT setval(%s::regclass, %s, %s)", (name, *position))

    def _positions(self) -> dict[str, tuple[int, bool]]:
        """By sequence ``last_value`` and ``is_called``."""
        listed = "SELECT seqrelid::regclass::text FROM pg_catalog.pg_sequence"
        names = [name for (name,) in self._connection.execute(listed.encode(), prepare=False)]
        if not names:
            return {}
        queries = (
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(
                sql.Literal(name),
                sql.SQL(name),
            )
            for name in names
        )
        found = self._connection.execute(sql.SQL(" UNION ALL ").join(queries), prepare=False)
        return {name: (value, called) for name, value, called in found}


def steps(slice_: Slice) -> tuple[Step, ...]:
    """What is replayed of each file of a slice, in order."""
    return tuple((index, slice_.statements(index)) for index in slice_.migrations)


def fits(slice_: Slice) -> bool:
    """Whether the slice comes out the same where its files share one transaction.

    It may not where statements need transactions of their own, or leave something to the end of one, or where
    COPY data stands between them.
    """
    for index, migration in zip(slice_.migrations, slice_.files, strict=True):
        chosen = frozenset(slice_.statements(index))
        for block in migration.blocks:
            statements = [s for n, s in enumerate(block.statements, start=block.first) if n in chosen]
            if statements and (block.opening or not block.transactional):
                return False
            for statement in statements:
                if statement.data is not None or statement.kind == "TransactionStmt":
                    return False
                if copies_out(statement) or defers(statement) or _NOT_TOGETHER.search(statement.text):
                    return False
    return True


def _text(catalog: Catalog, step: Step) -> str:
    """A file's chosen statements as one message, after which the session is as new."""
    migration, chosen = catalog.migrations[step[0]], frozenset(step[1])
    texts = [
        statement.text
        for block in migration.blocks
        for number, statement in enumerate(block.statements, start=block.first)
        if number in chosen
    ]
    return "\n;\n".join([*texts, session.RESET])


def _alike(one: Sequence[Step], other: Sequence[Step]) -> int:
    """How many steps two slices have in common before they differ."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _branches(shared: Sequence[int]) -> list[int]:
    """After how many steps of a slice the following ones branch off.

    ``shared`` says how much the next one has in common with it, the one after that with the next, and so on.

    >>> _branches([5, 3, 4, 1])
    [1, 3, 5]
    """
    found: list[int] = []
    for depth in shared:
        if not found or depth < found[-1]:
            found.append(depth)
    return found[::-1]
