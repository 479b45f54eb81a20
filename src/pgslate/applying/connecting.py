"""The connection that a run works on, and the first thing it asks: what the ledger holds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgslate.applying import ledger, refusals
from pgslate.applying.ledger import Ledger, Server
from pgslate.errors import ServerNotReadyError
from pgslate.targets.target import Target


@contextmanager
def connected(target: Target, *, statement_timeout: float | None = None) -> Iterator[psycopg.Connection[Any]]:
    """A connection for the run. What it is started with survives RESET ALL between files."""
    given = conninfo_to_dict(target.dsn)
    options: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "client_encoding": "UTF8"}
    if statement_timeout is not None:
        before = given.get("options") or os.environ.get("PGOPTIONS", "")
        options["options"] = f"{before} -c statement_timeout={round(statement_timeout * 1000)}".strip()
    try:
        connection = target.connect(**options)
    except psycopg.OperationalError as error:
        raise ServerNotReadyError(
            f"no connection to {target.label}: {str(error).strip()}",
            fix="start the server, or check host, port, role and password",
            attempts=(str(error).strip(),),
        ) from None
    with connection:
        yield connection


def read_ledger(connection: psycopg.Connection[Any]) -> tuple[Ledger, Server]:
    try:
        return ledger.read(connection)
    except psycopg.Error as error:
        raise refusals.ledger_refusal(error, connection.info.dbname) from None
