"""What happens around every request: its id, its log line, its metrics, the limit on its body.

Plain ASGI, so that a body is refused while it comes in, and no byte of an answer is copied.
"""

from __future__ import annotations

import logging
import time
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datastorage.server.metrics import Metrics
from datastorage.server.problems import Problem

log = logging.getLogger("datastorage.access")


class Around:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, body_bytes: int) -> None:
        self._app = app
        self._metrics = metrics
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _header(scope, b"x-request-id") or uuid.uuid4().hex
        status = 500
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes:
                raise Problem(
                    413,
                    "body-too-large",
                    f"a body holds at most {self._body_bytes} bytes",
                    limit=self._body_bytes,
                )
            return message

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message.setdefault("headers", []).append(
                    (b"x-request-id", request_id.encode("latin-1", "replace"))
                )
            await send(message)

        try:
            await self._app(scope, limited, noted)
        finally:
            # The route's pattern, not the path: an event's id would make a series of its own.
            route = getattr(scope.get("route"), "path", "unknown")
            seconds = time.perf_counter() - started
            self._metrics.requests.labels(scope["method"], route, str(status)).inc()
            self._metrics.duration.labels(scope["method"], route).observe(seconds)
            if not route.startswith(("/health", "/metrics")) or status >= 500:
                log.info(
                    "request",
                    extra={
                        "request_id": request_id,
                        "method": scope["method"],
                        "route": route,
                        "status": status,
                        "ms": round(seconds * 1000, 2),
                        "bytes": received,
                    },
                )


def _header(scope: Scope, name: bytes) -> str | None:
    for key, value in scope["headers"]:
        if key == name and 0 < len(value) <= 128:
            return bytes(value).decode("latin-1")
    return None
