"""A message to the server whose answer is asked for later: while the server works, so can we.

psycopg's cursors wait where they send, and its pipelines take one statement at a time and can't go on after
one that failed. This is the simple query protocol of both, with nothing else between.

Source: PostgreSQL manual, "Asynchronous Command Processing"; psycopg's ``Connection.wait``.
"""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
from psycopg import errors, generators, pq
from psycopg.adapt import Transformer


class Message:
    """One or several statements on their way; until ``answers`` was called the connection is taken."""

    def __init__(self, connection: psycopg.Connection[Any], statements: bytes) -> None:
        self._connection = connection
        self.completed = 0  # how many statements were, once there are answers
        connection.pgconn.send_query(statements)
        connection.wait(generators.send(connection.pgconn))

    def answers(self, last: int = 1) -> list[list[tuple[Any, ...]]]:
        """The rows of each of the ``last`` statements; raises the psycopg.Error of the one that failed."""
        results = self._connection.wait(generators.fetch_many(self._connection.pgconn))
        self.completed = len(results) - 1
        if results[-1].status == pq.ExecStatus.FATAL_ERROR:
            raise errors.error_from_result(results[-1], encoding=self._connection.info.encoding)
        return [self._rows(result) for result in results[-last:]]

    def abandon(self) -> None:
        """Have the server stop, and throw its answers away."""
        self._connection.cancel_safe()
        with contextlib.suppress(psycopg.Error):
            self.answers()

    def _rows(self, result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        transformer = Transformer.from_context(self._connection)
        transformer.set_pgresult(result)
        return transformer.load_rows(0, result.ntuples, tuple)
