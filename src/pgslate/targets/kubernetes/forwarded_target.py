"""A target at the end of a forward, which begins with the connection that proved it."""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from pgslate.targets.target import Target, set_for_the_role

_FRESH = 5.0  # seconds: afterwards the pod may be another one
_SETTABLE = {"autocommit", "prepare_threshold"}
_AS_IT_IS = {"client_encoding": "UTF8"}


class ForwardedTarget(Target):
    """A target whose first ``connect()`` gets the connection that was made to see that the server answers.

    Through a cluster a connection takes some 30 ms, and a run makes only two or three. ``connect()``
    hands it over only while it is fresh, and only where the caller asks for no option that has to be set
    before connecting.
    """

    def __init__(
        self,
        dsn: str,
        *,
        label: str,
        on_close: Callable[[], None],
        opened: psycopg.Connection[TupleRow],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(dsn, label=label, on_close=on_close)
        self._lock = threading.Lock()
        self._opened: psycopg.Connection[TupleRow] | None = opened
        self._clock, self._since = clock, clock()

    def connect(
        self, *, settings: Mapping[str, str] | None = None, **kwargs: Any
    ) -> psycopg.Connection[TupleRow]:
        opened = self._take()
        if opened is not None:
            asked = {name: value for name, value in kwargs.items() if _AS_IT_IS.get(name) != value}
            if (
                not settings
                and asked.keys() <= _SETTABLE
                and self._clock() - self._since < _FRESH
                and _stands(opened)
                and not (settings is not None and set_for_the_role(opened))
            ):
                for name, value in asked.items():
                    setattr(opened, name, value)
                return opened
            opened.close()
        return super().connect(settings=settings, **kwargs)

    def close(self) -> None:
        if (opened := self._take()) is not None:
            opened.close()
        super().close()

    def _take(self) -> psycopg.Connection[TupleRow] | None:
        with self._lock:
            opened, self._opened = self._opened, None
        return opened


def _stands(connection: psycopg.Connection[TupleRow]) -> bool:
    """Whether nobody hung up: an idle server says nothing, so anything to read is a goodbye."""
    if connection.closed:
        return False
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        selector.register(connection.fileno(), selectors.EVENT_READ)
        return not selector.select(0)
