"""Embedded servers: a PostgreSQL found on this machine, started for us alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pgslate.targets.target import Target

__all__ = ["embedded"]


def embedded(
    *,
    extensions: Iterable[str] = (),
    major: int | None = None,
    dbname: str = "postgres",
    durable: bool = False,
    tmpfs: bool | None = None,
) -> Target:
    """A fresh database on an embedded server of its own; closing the target ends the server.

    ``extensions`` that the server must have and ``major`` choose among the installed servers. The server also
    ends with this process. Raises ``MissingExtensionError`` or ``TargetError`` as ``Server.start`` does.
    """
    from pgslate.targets.embedded.embedded_target import EmbeddedTarget
    from pgslate.targets.embedded.server import Server

    server = Server.start(extensions=extensions, major=major, durable=durable, tmpfs=tmpfs)
    try:
        target = server.target() if dbname == "postgres" else server.create_database(dbname)
    except BaseException:
        server.stop()
        raise
    return EmbeddedTarget(target.dsn, label=target.label, on_close=server.stop)
