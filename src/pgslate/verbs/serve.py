"""``serve``: ready databases over HTTP, for tests in any language."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

import psycopg

from pgslate.clones.databases import Databases
from pgslate.clones.reaper import reap_in
from pgslate.errors import PgslateError, UsageError
from pgslate.plain_text import silent
from pgslate.project.project import Project
from pgslate.targets.target import Target
from pgslate.testing.http_listener import Listener, is_loopback
from pgslate.testing.http_service import Service

REAP_EVERY = 60.0


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
    ready: Callable[[str], None] = silent,
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
    loopback = is_loopback(host)
    if not loopback and not token:
        raise UsageError(
            f"{host} is reached by others: they could make databases without a token",
            fix="set PGSLATE_TOKEN, or serve on 127.0.0.1",
        )
    with Databases(
        server,
        project,
        ahead=ahead,
        reuse=reuse,
        as_of=as_of,
        threads=True,
        application="pgslate serve",
    ) as databases:
        service = Service(databases, advertise=advertise)
        try:
            listening = Listener((host, port), service, token, loopback=loopback)
        except OSError as error:
            raise UsageError(
                f"can't listen on {host}:{port}: {error.strerror}", fix="choose another --port"
            ) from None
        over = threading.Event()
        reaper = threading.Thread(target=_reap_now_and_then, args=(databases, over), daemon=True)
        reaper.start()
        with listening:
            shown = f"[{host}]" if ":" in host else host
            ready(f"http://{shown}:{listening.server_address[1]}")
            try:
                listening.serve_forever(poll_interval=0.2)
            finally:
                over.set()


def _reap_now_and_then(databases: Databases, over: threading.Event) -> None:
    while not over.wait(REAP_EVERY):
        try:
            reap_in(databases.registry)
        except (psycopg.Error, PgslateError):
            continue  # the server is away, or another replica is reaping
