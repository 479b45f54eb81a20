"""Whether the service can do its work: which tables are missing, and the command that makes them."""

from __future__ import annotations

import asyncio
import time

from psycopg.sql import SQL

from datastorage.server.problems import Problem, schema_missing
from datastorage.server.store import Store

# to_regclass takes the names as SQL has them, and is null where there is no such relation.
_MISSING = SQL("SELECT name FROM unnest(%s::text[]) AS name WHERE to_regclass(name) IS NULL").as_bytes()

# An index that a failed CREATE INDEX CONCURRENTLY left behind serves no query.
_INVALID = SQL("""
    SELECT i.indexrelid::regclass::text FROM pg_index AS i
    WHERE i.indrelid = ANY (SELECT to_regclass(name) FROM unnest(%s::text[]) AS name) AND NOT i.indisvalid
""").as_bytes()


class Readiness:
    """Looks at most once every ``cache_s`` seconds, however often it is asked."""

    def __init__(self, store: Store, tables: tuple[str, ...], cache_s: float) -> None:
        self._store = store
        self._tables = tables
        self._cache_s = cache_s
        self._known_until = 0.0
        self._answer: Problem | None = None
        self._looking = asyncio.Lock()

    async def check(self) -> None:
        """Returns where all is there; raises Problem 503 that names what isn't, or psycopg's errors."""
        async with self._looking:
            if time.monotonic() >= self._known_until:
                self._answer = await self._look()
                self._known_until = time.monotonic() + self._cache_s
        if self._answer is not None:
            raise self._answer

    async def _look(self) -> Problem | None:
        tables = list(self._tables)
        if missing := [name for (name,) in await self._store.fetch(_MISSING, [tables])]:
            return schema_missing(self._tables, missing)
        if invalid := [name for (name,) in await self._store.fetch(_INVALID, [tables])]:
            return Problem(
                503,
                "schema-invalid",
                f"not valid: {', '.join(invalid)}",
                retry_after=2,
                invalid=invalid,
                fix=f"pgslate verify {' '.join(tables)}",
            )
        return None
