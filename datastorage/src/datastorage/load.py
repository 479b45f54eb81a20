"""Load: events posted at a rate, or as fast as they are taken; how many, and how long each request took.

The client here is a bare HTTP/1.1 one over asyncio's streams (RFC 9112): what is measured is the service, not
us.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import random
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

EVENTS = "/api/v1/audit/events"


@dataclass(frozen=True, slots=True)
class Figures:
    """``seconds`` per request that was answered with 200 or 201, in ascending order; ``failed`` by status."""

    events: int
    elapsed: float
    seconds: tuple[float, ...]
    failed: dict[str, int] = field(default_factory=dict)

    @property
    def events_per_second(self) -> float:
        """Events stored, by the whole time."""
        return self.events / self.elapsed if self.elapsed else 0.0

    def percentile(self, percent: float) -> float:
        """Seconds within which so many percent of the requests were answered; 0 where there was none."""
        if not self.seconds:
            return 0.0
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * percent / 100))]


class Connection:
    """One keep-alive connection; a request at a time."""

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = f"Host: {parts.netloc}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer. Raises ``OSError`` or ``asyncio.IncompleteReadError``."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        try:
            head = (
                f"{method} {path} HTTP/1.1\r\n{self._headers}"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
            }
            content = await reader.readexactly(int(headers.get("content-length", "0")))
        except BaseException:
            self.close()
            raise
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(status_line.split()[1]), content

    def close(self) -> None:
        """Ends the connection; the next request makes another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


def sample_event(timestamp: dt.datetime, *, correlations: int = 100_000) -> dict[str, Any]:
    """An event as a busy service sends them, of one of so many remediations."""
    number = random.randrange(correlations)  # noqa: S311  # load, not secrets
    action = random.choice(("started", "completed", "failed"))  # noqa: S311
    return {
        "event_id": str(uuid.uuid4()),
        "event_timestamp": timestamp.isoformat(),
        "event_type": f"workflowexecution.workflow.{action}",
        "event_category": "workflow",
        "event_action": action,
        "event_outcome": "failure" if action == "failed" else "success",
        "correlation_id": f"rr-{number}",
        "actor_type": "service",
        "actor_id": "workflowexecution-controller",
        "resource_type": "WorkflowExecution",
        "resource_id": f"we-{number % 1000}",
        "namespace": "production",
        "severity": "info",
        "duration_ms": number % 5000,
        "event_data": {"workflow": "restart-pod", "step": number % 7, "parameters": {"replicas": 3}},
    }


def body_of(events: list[dict[str, Any]]) -> bytes:
    """A batch as it is posted."""
    return json.dumps(events, separators=(",", ":")).encode()


async def post_batches(
    url: str, bodies: list[tuple[int, bytes]], *, clients: int, token: str | None = None
) -> Figures:
    """Posts batches, each given as how many events it has and its body, ``clients`` at a time.

    They are posted as fast as they are taken.
    """
    waiting = iter(bodies)
    seconds: list[float] = []
    failed: dict[str, int] = {}
    stored = 0

    async def one_client() -> None:
        nonlocal stored
        connection = Connection(url, token)
        for events, body in waiting:
            if await _timed(connection, f"{EVENTS}/batch", body, seconds, failed):
                stored += events
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(clients)))
    return Figures(stored, time.perf_counter() - started, tuple(sorted(seconds)), failed)


async def post_singles(
    url: str, bodies: list[bytes], *, rate: float, connections: int = 16, token: str | None = None
) -> Figures:
    """Posts single events at ``rate`` a second, whether or not earlier ones were answered.

    A request's time begins when it was due, so that a service that stalls can't hide it.
    """
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        idle.put_nowait(Connection(url, token))
    seconds: list[float] = []
    failed: dict[str, int] = {}
    started = time.perf_counter()

    async def post(number: int, body: bytes) -> None:
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        connection = await idle.get()
        await _timed(connection, EVENTS, body, seconds, failed, due)
        idle.put_nowait(connection)

    await asyncio.gather(*(post(number, body) for number, body in enumerate(bodies)))
    elapsed = time.perf_counter() - started
    while not idle.empty():
        idle.get_nowait().close()
    return Figures(len(seconds), elapsed, tuple(sorted(seconds)), failed)


async def _timed(
    connection: Connection,
    path: str,
    body: bytes,
    seconds: list[float],
    failed: dict[str, int],
    due: float | None = None,
) -> bool:
    """Whether the request was answered as it should be; its time, or its failure, is booked."""
    begun = time.perf_counter() if due is None else due
    try:
        status, _ = await connection.request("POST", path, body)
    except (OSError, asyncio.IncompleteReadError) as error:
        failed[type(error).__name__] = failed.get(type(error).__name__, 0) + 1
        return False
    if status not in (200, 201):
        failed[str(status)] = failed.get(str(status), 0) + 1
        return False
    seconds.append(time.perf_counter() - begun)
    return True
