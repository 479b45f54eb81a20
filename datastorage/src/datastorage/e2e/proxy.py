"""A bad network: TCP passed on to somewhere else, slowly, or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

Result = TypeVar("Result")


class BadNetwork:
    """Listens on a free port and passes bytes on to ``port`` of this machine; ``cut``, ``mend``, ``slow`` it.

    Runs in a thread of its own; use it as a context manager.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._delay = 0.0
        self._only_answers = False
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bad-network", daemon=True)
        self._thread.start()
        self._server = self._wait(asyncio.start_server(self._pass_on, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Breaks every connection, and whatever comes next, until ``mend``."""
        self._open = False
        self._loop.call_soon_threadsafe(self._break_all)

    def mend(self) -> None:
        """Lets connections through again, at full speed."""
        self._open, self._delay = True, 0.0

    def slow(self, delay: float, *, only_answers: bool = False) -> None:
        """Holds up every piece of data by ``delay`` seconds: both ways, or only what comes back."""
        self._delay, self._only_answers = delay, only_answers

    def __enter__(self) -> BadNetwork:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._wait(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open:
            writer.transport.abort()
            return
        try:
            there, away = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, away}
        await asyncio.gather(self._pump(reader, away), self._pump(there, writer, answers=True))
        self._writers -= {writer, away}

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        try:
            while data := await source.read(65536):
                if self._delay and (answers or not self._only_answers):
                    await asyncio.sleep(self._delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        sink.close()

    def _break_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end(self) -> None:
        self._server.close()
        self._break_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=2.0) if others else None

    def _wait(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)
