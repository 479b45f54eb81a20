"""Errors as RFC 9457 problem documents: what went wrong, whose fault it is, and what to do."""

from __future__ import annotations

import json
from typing import Any

import psycopg
from fastapi import Request
from fastapi.responses import Response
from psycopg import errors
from psycopg_pool import PoolClosed, PoolTimeout
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(HTTPException):
    """An answer that is not the one asked for.

    ``kind`` is the last part of the document's ``type``; ``extra`` are its extension members (RFC 9457, 3.2);
    ``retry_after`` is in seconds.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, retry_after: int | None = None, **extra: Any
    ) -> None:
        # An HTTPException, since FastAPI turns any other that is raised while it reads a body into a 400.
        super().__init__(status, detail)
        self.status = status
        self.kind = kind
        self.retry_after = retry_after
        self.extra = extra

    def response(self, instance: str) -> Response:
        """The HTTP response for this problem; ``instance`` is the path of the request."""
        document = {
            "type": f"urn:datastorage:problem:{self.kind}",
            "title": self.kind.replace("-", " "),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            **self.extra,
        }
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        body = json.dumps(document, default=str)
        return Response(body, self.status, headers, MEDIA_TYPE)


def schema_missing(tables: tuple[str, ...], missing: list[str]) -> Problem:
    """The tables aren't there, and the command that makes them."""
    return Problem(
        503,
        "schema-missing",
        f"the database has no {' and no '.join(missing)}",
        retry_after=2,
        missing=missing,
        fix=f"pgslate apply {' '.join(tables)}",
    )


def of_database_error(error: Exception, tables: tuple[str, ...]) -> Problem | None:
    """The problem behind an error of psycopg's, or None where it is a fault of this program.

    Order matters: the classes above others are their special cases.
    """
    match error:
        case errors.UndefinedTable() | errors.InvalidSchemaName():
            found = str(error.diag.message_primary or "").split('"')
            return schema_missing(tables, [found[1]] if len(found) > 2 else list(tables))
        case errors.UndefinedColumn() | errors.UndefinedFunction():
            return Problem(
                503,
                "schema-outdated",
                str(error.diag.message_primary),
                retry_after=2,
                fix=f"pgslate apply {' '.join(tables)}; pgslate verify {' '.join(tables)}",
            )
        case errors.InsufficientPrivilege():
            return Problem(
                503,
                "missing-privilege",
                str(error.diag.message_primary),
                retry_after=30,
                fix="datastorage grant ROLE, as the owner of the tables",
            )
        case errors.ForeignKeyViolation():
            return Problem(
                422, "unknown-reference", str(error.diag.message_detail or error.diag.message_primary)
            )
        case errors.CheckViolation() | errors.NotNullViolation():
            return Problem(422, "invalid-event", str(error.diag.message_primary))
        case errors.UniqueViolation():
            return Problem(409, "conflict", str(error.diag.message_detail or error.diag.message_primary))
        case errors.DiskFull() | errors.OutOfMemory() | errors.TooManyConnections():
            return Problem(503, "database-exhausted", str(error.diag.message_primary), retry_after=2)
        case errors.QueryCanceled() | errors.LockNotAvailable() | errors.DeadlockDetected():
            return Problem(503, "database-busy", str(error.diag.message_primary), retry_after=1)
        case errors.ReadOnlySqlTransaction():
            return Problem(503, "database-read-only", str(error.diag.message_primary), retry_after=2)
        case psycopg.DataError():
            return Problem(422, "invalid-value", str(error.diag.message_primary or error))
        case PoolTimeout() | PoolClosed() | psycopg.OperationalError() | psycopg.InterfaceError():
            return Problem(503, "database-unavailable", "the database can't be reached", retry_after=1)
    return None


def instance_of(request: Request) -> str:
    """What a problem document says it is about: the path, without the query (it may name people)."""
    return request.url.path
