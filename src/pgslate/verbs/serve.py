"""``serve``: ready databases over HTTP, for tests in any language."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from pgslate.project.project import Project
from pgslate.targets.target import Target
from pgslate.testing.http_listener import serve_databases


def _silent(url: str) -> None:
    """Nobody wants to know the URL."""


def serve(
    project: Project,
    server: Target,
    *,
    host: str = "127.0.0.1",
    port: int = 8432,
    token: str | None = None,
    advertise: str | None = None,
    ahead: int = 4,
    reuse: bool = True,
    as_of: datetime | None = None,
    ready: Callable[[str], None] = _silent,
) -> None:
    """Give ready databases with a project's tables over HTTP, until interrupted.

    Args:
        project: Whose tables clients may ask for.
        server: Any database of the PostgreSQL server; the role must be allowed to make databases.
        host: The address to listen on.
        port: The port; 0 takes a free one.
        token: What clients send as a bearer token (RFC 6750); required beyond the loopback interface.
        advertise: A DSN with the host and port that clients should use.
        ahead: How many databases are made ahead of each template, at most.
        reuse: Put a database back that only rows were written to, if PostgreSQL proves it.
        as_of: The moment (UTC) that partition policies count from; by default the server's clock.
        ready: Called with the URL once the service listens.

    Raises:
        UsageError: The address can't be listened on, or needs a token.
        PrivilegeError: The role may not make databases.
        TargetError: The server can't be reached.
    """
    serve_databases(
        server,
        project,
        host=host,
        port=port,
        token=token,
        advertise=advertise,
        ahead=ahead,
        reuse=reuse,
        as_of=as_of,
        ready=ready,
    )
