"""Looking into a database, as its user would."""

from __future__ import annotations

from typing import Any

from pgslate.targets.target import Target


def rows(target: Target, query: str) -> list[tuple[Any, ...]]:
    """What a query gives."""
    with target.connect(autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def run(target: Target, *statements: str) -> None:
    """Run statements, each by itself."""
    with target.connect(autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def tables(target: Target) -> list[str]:
    """The tables of the schema public, by name."""
    found = rows(target, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [name for (name,) in found]


def ledger(target: Target) -> list[str]:
    """The versions that the ledger says are applied, in the order of their names."""
    if not rows(target, "SELECT 1 WHERE to_regclass('pgslate.ledger') IS NOT NULL"):
        return []
    found = rows(target, "SELECT version FROM pgslate.ledger WHERE next IS NULL ORDER BY version")
    return [version for (version,) in found]


def index_is_valid(target: Target, name: str) -> bool | None:
    """Whether an index is valid; None where there is no such index."""
    query = f"SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('{name}')"  # noqa: S608
    found = rows(target, query)
    return found[0][0] if found else None
