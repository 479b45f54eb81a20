"""The client for asyncio: the same machine, whose waits don't block the loop."""

from __future__ import annotations

import asyncio
import uuid
from types import TracebackType
from typing import Any

from datastorage.client.client import AuditClient
from datastorage.client.counters import Counts
from datastorage.events import AuditEvent


class AsyncAuditClient:
    """``AuditClient`` for asyncio; takes the same arguments. ``record`` doesn't wait, so it isn't awaited."""

    def __init__(self, url: str, **options: Any) -> None:
        self._client = AuditClient(url, **options)

    def record(self, event: AuditEvent | None = None, /, **fields: Any) -> uuid.UUID:
        """See ``AuditClient.record``."""
        return self._client.record(event, **fields)

    async def flush(self, deadline: float = 30.0) -> bool:
        """See ``AuditClient.flush``."""
        return await asyncio.to_thread(self._client.flush, deadline)

    async def close(self, deadline: float = 5.0) -> Counts:
        """See ``AuditClient.close``."""
        return await asyncio.to_thread(self._client.close, deadline)

    def counts(self) -> Counts:
        """See ``AuditClient.counts``."""
        return self._client.counts()

    async def __aenter__(self) -> AsyncAuditClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
