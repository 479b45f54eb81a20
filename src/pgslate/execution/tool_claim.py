"""The migrations of a catalog that another tool's table says are applied, and what contradicts that. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.execution.tool_history import Noted, Rows, Tool, content_of, migration_called, numbers_of


@dataclass(frozen=True, slots=True)
class Claim:
    """What a tool's table says of a catalog: the applied migrations in order, and what is wrong with rows."""

    tool: str
    migrations: tuple[Migration, ...]
    troubles: tuple[str, ...]

    @property
    def summary(self) -> str:
        """Who applied how much: ``Flyway up to 16``."""
        return f"{self.tool} up to {self.migrations[-1].version}"


def claim_of(tool: Tool, rows: Rows, catalog: Catalog) -> Claim:
    """The migrations of the catalog that the rows of a tool's table say are applied."""
    claimed: set[str] = set()
    troubles: list[str] = []
    for noted in tool.noted(rows, catalog):
        if noted.failure:
            troubles.append(noted.failure)
            continue
        migration = next(filter(None, (migration_called(catalog, name) for name in noted.names)), None)
        if noted.through:
            claimed |= {m.version for m in _through(catalog, migration, noted.names[-1])}
        if migration is None:
            if not noted.optional:
                troubles.append(f"{noted.names[0]} is applied, and the catalog has no such migration")
            continue
        if _is_edited(tool, noted, migration, catalog):
            if not migration.repeatable:
                troubles.append(f"{migration.shown} was edited after {tool.title} applied it")
            continue  # a repeatable migration that has changed is due again
        claimed.add(migration.version)
    applied = tuple(m for m in catalog if m.version in claimed)
    return Claim(tool.title, applied, tuple(troubles))


def _through(catalog: Catalog, migration: Migration | None, version: str) -> Iterable[Migration]:
    """The migrations up to one, or, where the catalog doesn't have it, up to its number."""
    versioned = [m for m in catalog if not m.repeatable]
    if migration is not None:
        return versioned[: versioned.index(migration) + 1]
    return [m for m in versioned if numbers_of(m.version) <= numbers_of(version)]


def _is_edited(tool: Tool, noted: Noted, migration: Migration, catalog: Catalog) -> bool:
    if tool.checksum is None or noted.checksum is None:
        return False
    return noted.checksum not in tool.checksum(content_of(catalog, migration))
