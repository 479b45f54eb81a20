"""Running the service as a process: where it listens, and telling its starter where that is."""

from __future__ import annotations

import gc
import ipaddress
import json
import logging
import socket
import sys

import uvicorn

from datastorage.server.app import create_app
from datastorage.server.logs import log_as_json
from datastorage.server.partitions import policy_maker
from datastorage.server.settings import Settings

log = logging.getLogger("datastorage")


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT, then answers what has begun and returns.

    Prints one JSON line, ``{"url": ...}``, when it listens; port 0 takes a free one. Raises ``ValueError``
    where ``host`` is not a loopback address and there are no tokens, ``OSError`` where the port is taken.
    """
    if settings.tokens_file is None:
        if not _is_loopback(host):
            raise ValueError(
                f"without tokens the service listens on this machine only, not on {host}:"
                " make one with `datastorage token NAME --scope write`, and give --tokens FILE"
            )
        log.warning("no tokens: everybody on this machine may read and write, nobody else can connect")
    maker = policy_maker(settings.owner_dsn) if settings.owner_dsn else None
    app = create_app(settings, make_partitions=maker)
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048
    )
    # What was loaded until now stays: the collector needn't look at it again with every few batches.
    gc.collect()
    gc.freeze()
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)
    sys.stdout.write(json.dumps({"url": _url(listener)}) + "\n")
    sys.stdout.flush()
    uvicorn.Server(config).run(sockets=[listener])


def run(settings: Settings, *, host: str, port: int) -> None:
    """``serve`` with logs as JSON, for a process of its own."""
    log_as_json()
    serve(settings, host=host, port=port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
