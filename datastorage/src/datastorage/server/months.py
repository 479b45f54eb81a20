"""The months that have a partition, and the making of one that hasn't, before an insert fails for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable

from psycopg.sql import SQL

from datastorage.server.problems import Problem
from datastorage.server.store import Store
from pgslate.errors import PgslateError

log = logging.getLogger("datastorage.months")

#: Makes the partitions for these days, by policy; called in a thread, with a connection of its own.
Maker = Callable[[frozenset[dt.date]], None]

# The text of a bound is the same in every session of ours: configured to ISO dates by default.
_BOUNDS = SQL("""
    SELECT pg_get_expr(c.relpartbound, c.oid)
    FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit_events'::regclass AND NOT i.inhdetachpending
""").as_bytes()


class Months:
    """Which days can be stored; asks the database only about days that it has not found covered before."""

    def __init__(self, store: Store, make: Maker | None) -> None:
        self._store = store
        self._make = make
        self._covered: list[tuple[dt.date, dt.date]] = []
        self._making = asyncio.Lock()

    async def cover(self, days: set[dt.date]) -> None:
        """Returns when each of ``days`` has a partition.

        Raises Problem 503 where one has none and none may be made.
        """
        if not self._missing(days):
            return
        async with self._making:
            await self._look()
            missing = self._missing(days)
            if not missing:
                return
            if self._make is None:
                raise _no_partition(missing)
            log.info("making partitions", extra={"days": sorted(day.isoformat() for day in missing)})
            try:
                await asyncio.to_thread(self._make, frozenset(missing))
            except PgslateError as error:
                raise _no_partition(missing, because=error) from error
            await self._look()
            if still := self._missing(days):
                raise _no_partition(still)

    def forget(self) -> None:
        """Ask again next time: a partition that was there has gone."""
        self._covered = []

    async def _look(self) -> None:
        rows = await self._store.fetch(_BOUNDS)
        self._covered = [bounds for (text,) in rows if (bounds := bounds_of(text))]

    def _missing(self, days: set[dt.date]) -> set[dt.date]:
        return {day for day in days if not any(first <= day < end for first, end in self._covered)}


def bounds_of(text: str) -> tuple[dt.date, dt.date] | None:
    """The first day and the day after the last of ``FOR VALUES FROM ('2025-12-01') TO ('2026-01-01')``.

    MINVALUE and MAXVALUE are the ends of Python's calendar; DEFAULT is None.
    """
    if not text.startswith("FOR VALUES FROM"):
        return None
    first, end = (part.strip("() ").strip("'") for part in text.removeprefix("FOR VALUES FROM").split(" TO "))
    return (
        dt.date.min if first == "MINVALUE" else dt.date.fromisoformat(first),
        dt.date.max if end == "MAXVALUE" else dt.date.fromisoformat(end),
    )


def _no_partition(missing: set[dt.date], because: PgslateError | None = None) -> Problem:
    months = sorted({day.strftime("%Y-%m") for day in missing})
    return Problem(
        503,
        "partition-missing",
        f"audit_events has no partition for {', '.join(months)}"
        + (f": {because.message}" if because else ""),
        retry_after=30,
        missing=months,
        fix=(because and because.fix) or f"pgslate partitions ensure --as-of {months[0]}-01",
    )
