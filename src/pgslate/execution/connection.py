"""The connection that a run works on, and the first thing it asks: what the ledger holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import psycopg

from pgslate.errors import ServerNotReadyError
from pgslate.execution import ledger, refusals
from pgslate.execution.ledger import Ledger, Server
from pgslate.targets.dsn import attempts_in
from pgslate.targets.target import Target

_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@contextmanager
def connected(
    target: Target, *, settings: Mapping[str, str] = _NO_SETTINGS, statement_timeout: float | None = None
) -> Iterator[psycopg.Connection[Any]]:
    """A connection for the run. What it is started with survives RESET ALL between files."""
    begin = dict(settings)
    if statement_timeout is not None:
        begin["statement_timeout"] = str(round(statement_timeout * 1000))
    try:
        connection = target.connect(
            settings=begin, autocommit=True, prepare_threshold=None, client_encoding="UTF8"
        )
    except psycopg.OperationalError as error:
        attempts = attempts_in(str(error), target.label)
        fixes = dict.fromkeys(each.refusal for each in attempts if each.refusal)
        raise ServerNotReadyError(
            f"no connection to {target.label}: {str(error).strip()}",
            fix="; ".join(fixes) or "start the server, or check host, port, role and password",
            attempts=tuple(map(str, attempts)),
        ) from None
    with connection:
        yield connection


def read_ledger(connection: psycopg.Connection[Any]) -> tuple[Ledger, Server]:
    try:
        return ledger.read(connection)
    except psycopg.Error as error:
        raise refusals.ledger_refusal(error, connection.info.dbname) from None
