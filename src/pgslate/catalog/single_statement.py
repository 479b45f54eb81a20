"""Runs one statement as psql does: a COPY with its data, or with rows that come back and are not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pgslate.catalog.statements import copies_out

if TYPE_CHECKING:
    import psycopg

    from pgslate.catalog.statements import Statement


def run_statement(connection: psycopg.Connection[Any], statement: Statement) -> None:
    """Run a statement; raises psycopg.Error where the server refuses it."""
    if statement.data is None and not copies_out(statement):
        connection.execute(statement.text.encode(), prepare=False)
        return
    with connection.cursor().copy(statement.text.encode()) as copy:
        if statement.data is None:
            for _ in copy:
                pass
        else:
            copy.write(statement.data)
