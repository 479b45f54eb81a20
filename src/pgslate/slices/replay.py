"""Running a slice on an empty database without a ledger: for proofs, templates and scratch databases.

A slice is replayed in its files' transactions, as it is applied.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg

from pgslate.catalog import session
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.catalog.single_statement import run_statement
from pgslate.catalog.sqlstates import migration_failed
from pgslate.catalog.statements import Statement, copies_out
from pgslate.slices.slice import Slice


class ReplayFailedError(Exception):
    """A statement of the slice failed: which (``migration`` and ``statement`` are indexes), and PostgreSQL's
    error."""

    def __init__(self, migration: int, statement: int, error: psycopg.Error) -> None:
        super().__init__(migration, statement, error)
        self.migration = migration
        self.statement = statement
        self.error = error


def replay(
    slice_: Slice, connection: psycopg.Connection[Any], *, prelude: Iterable[PreludeFile] = ()
) -> None:
    """Run the statements of ``slice_`` in their files' transactions; ``connection`` is in autocommit mode.

    Raises ReplayFailedError at the first that fails.
    """
    run_prelude(connection, prelude)
    for index, migration in zip(slice_.migrations, slice_.files, strict=True):
        _file(connection, index, migration, frozenset(slice_.statements(index)))
        connection.execute(session.RESET.encode())


def replay_all(
    catalog: Catalog, connection: psycopg.Connection[Any], *, prelude: Iterable[PreludeFile] = ()
) -> None:
    """Run every migration of a catalog that is known to run, on an empty database."""
    run_prelude(connection, prelude)
    for index, migration in enumerate(catalog):
        _file(connection, index, migration, frozenset(range(len(migration.statements))))
        connection.execute(session.RESET.encode())


def _file(
    connection: psycopg.Connection[Any], index: int, migration: Migration, chosen: frozenset[int]
) -> None:
    for block in migration.blocks:
        statements = [
            (number, statement)
            for number, statement in enumerate(block.statements, start=block.first)
            if number in chosen
        ]
        if not statements:
            continue
        if not block.transactional:
            for number, statement in statements:
                _run(connection, index, number, statement)
            continue
        try:
            _together(connection, block.opening, statements)
        except psycopg.Error:
            # Once more and one by one, to know which: the transaction left nothing behind.
            with connection.transaction():
                for text in block.opening:
                    connection.execute(text.encode(), prepare=False)
                for number, statement in statements:
                    _run(connection, index, number, statement)


def _together(
    connection: psycopg.Connection[Any], opening: tuple[str, ...], statements: list[tuple[int, Statement]]
) -> None:
    """One transaction, and one message wherever no COPY stands between."""
    with connection.transaction():
        texts = list(opening)
        for _, statement in statements:
            if statement.data is None and not copies_out(statement):
                texts.append(statement.text)
                continue
            if texts:
                connection.execute(";\n".join(texts).encode(), prepare=False)
                texts = []
            run_statement(connection, statement)
        if texts:
            connection.execute(";\n".join(texts).encode(), prepare=False)


def _run(connection: psycopg.Connection[Any], migration: int, number: int, statement: Statement) -> None:
    try:
        run_statement(connection, statement)
    except psycopg.Error as error:
        raise ReplayFailedError(migration, number, error) from error


def located(failure: ReplayFailedError, slice_: Slice) -> Exception:
    """The failure as the error to show: with its file, line and caret."""
    migration = slice_.catalog.migrations[failure.migration]
    return migration_failed(
        failure.error, migration, migration.statements[failure.statement], doing="proving"
    )
