"""The database as the service sees it: a pool of connections, and what is done when one breaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from datastorage.server.settings import Settings

#: A connection that broke is replaced and the statement sent again, this often. Every statement of the
#: service is one transaction and may be sent twice: an insert that had been committed is found by its event
#: ids.
ATTEMPTS = 3

#: The first statement of a connection; its parameter is the timeout of a statement in ms. Every statement of
#: the service has an index, and none depends on the values it is sent with: one plan serves all. It is made
#: once for each connection, and not one that reads whole tables because they were empty then.
SESSION = (
    "SELECT set_config('timezone', 'UTC', false), set_config('enable_seqscan', 'off', false),"
    " set_config('plan_cache_mode', 'force_generic_plan', false), set_config('jit', 'off', false),"
    " set_config('statement_timeout', %s, false)"
)

#: Rendered once, when its module is loaded: quoting names costs more than sending them.
Statement = bytes
Row = tuple[Any, ...]
Parameters = Sequence[Any] | Mapping[str, Any]


class Store:
    """A pool of autocommit connections in UTC. ``open`` before use, ``close`` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._timeout_ms = settings.statement_timeout_ms
        self._pool = AsyncConnectionPool(
            settings.dsn,
            kwargs={
                "autocommit": True,
                "prepare_threshold": 0,
                "fallback_application_name": "datastorage",
                "connect_timeout": 5,
            },
            min_size=min(2, settings.pool_size),
            max_size=settings.pool_size,
            timeout=5.0,
            # Attempts back off without bound until given up; the next request starts them afresh.
            reconnect_timeout=3.0,
            configure=self._configure,
            open=False,
            name="datastorage",
        )

    async def open(self) -> None:
        """Start connecting, in the background: a service without its database answers, and says so."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Give the connections back."""
        await self._pool.close(timeout=2.0)

    async def fetch(self, statement: Statement, parameters: Parameters = ()) -> list[Row]:
        """The rows of one statement, sent as one transaction; raises psycopg's errors.

        Where the connection turns out to be broken, the statement is sent again on another.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._pool.connection() as connection:
                    cursor = await connection.execute(statement, parameters)
                    return await cursor.fetchall()
            except PoolTimeout:
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                if attempt == ATTEMPTS or not _broken(error):
                    raise
                # Where one is gone the others may be: a restarted server left all of them behind.
                await self._pool.check()
        raise AssertionError("unreachable")

    def gauges(self) -> dict[str, int]:
        """The pool's own numbers, by psycopg_pool's names."""
        return self._pool.get_stats()

    async def _configure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        await connection.execute(SESSION, [str(self._timeout_ms)])


def _broken(error: Exception) -> bool:
    """True where the connection is gone, rather than the statement refused."""
    if isinstance(error, errors.AdminShutdown | errors.CrashShutdown | errors.CannotConnectNow):
        return True
    return not isinstance(error, psycopg.OperationalError) or error.sqlstate is None
