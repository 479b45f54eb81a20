"""The synchronous client: a bounded queue, a thread that sends, a spool for what can't be sent now."""

from __future__ import annotations

import atexit
import datetime as dt
import encodings.idna  # noqa: F401  # sockets load it at first use; a fork in the midst of that loses it
import logging
import os
import sqlite3
import threading
import uuid
import weakref
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import platformdirs

from datastorage.client.counters import Counts
from datastorage.client.delivery import Delivered, Later, Refused, TooLarge, deliver, pause
from datastorage.client.spool import Item, Spool
from datastorage.events import AuditEvent

log = logging.getLogger("datastorage.client")

#: There is nothing to send.
_NOTHING = Later("nothing to send")

#: Seconds for which the end of a request is waited for after the deadline of ``close``.
GRACE = 0.5

# What a forked process got from its parent, kept from being collected, which would close it.
_inherited: list[object] = []
_after_fork = threading.Lock()

_open_clients: weakref.WeakSet[AuditClient] = weakref.WeakSet()


class AuditClient:
    """Records audit events; use it as a context manager, or ``close`` it.

    ``url`` is the service's. ``spool`` is a file, or a folder in which this process takes a file that nobody
    has; without one, a folder of the user's for this service. ``memory_events`` are kept in memory at most,
    and ``batch_events`` sent at once; with ``durable`` each event is on disk before ``record`` returns, so
    that even a kill loses none. ``timeout`` is in seconds, for one request. A process that was forked goes on
    with a spool of its own, in the same folder; what was recorded before is the parent's to send.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        spool: Path | None = None,
        memory_events: int = 10_000,
        batch_events: int = 500,
        durable: bool = False,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connect = partial(
            httpx.Client,
            base_url=url,
            timeout=timeout,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            transport=transport,
        )
        self._memory_events = memory_events
        self._batch_events = batch_events
        self._durable = durable
        own = spool is not None and spool.suffix
        self._folder = (spool.parent if own else spool) if spool is not None else _folder(url)
        self._begin(Spool(spool) if spool is not None and own else Spool.adopt(self._folder))
        _open_clients.add(self)

    def _begin(self, spool: Spool) -> None:
        """The state of a client that has recorded nothing, and its thread."""
        self.process = os.getpid()
        self._spool = spool
        self._http = self._connect()
        self._memory: deque[Item] = deque()
        # Held for moments only: never while something is sent.
        self._changed = threading.Condition()
        self._sending = 0
        self._from_memory: list[Item] = []
        self._recorded = self._sent = self._refused = self._retries = 0
        self._trouble: str | None = None
        self._closing = False
        self._final: Counts | None = None
        self._once = threading.Lock()
        self._abandon = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="datastorage-client", daemon=True)
        self._thread.start()

    def _see_to_fork(self) -> None:
        """In a process that was forked: begins anew, since neither the thread nor the spool came along.

        The parent's database and connections are left as they are: to close them here would disturb it.
        """
        if self.process != os.getpid():
            with _after_fork:
                if self.process != os.getpid():
                    _inherited.append((self._spool, self._http))
                    self._begin(Spool.adopt(self._folder))
                    Finalize(None, _close_all, exitpriority=10)

    def record(self, event: AuditEvent | None = None, /, **fields: Any) -> uuid.UUID:
        """Takes an event, given whole or by its fields, and returns its id at once.

        It gets an id and the time of now where it has none, so that sending it twice stores it once. Raises
        ``TypeError`` or ``ValueError`` where it is no event, ``RuntimeError`` after ``close``,
        ``sqlite3.Error`` where it would have to go to a disk that is full: what raises was not recorded.
        """
        event = AuditEvent(**fields) if event is None else replace(event, **fields)
        event_id = event.event_id or uuid.uuid4()
        timestamp = event.event_timestamp or dt.datetime.now(dt.UTC)
        event = replace(event, event_id=event_id, event_timestamp=timestamp)
        item = Item(str(event_id), event.as_json())
        self._see_to_fork()
        with self._changed:
            if self._closing:
                raise RuntimeError("the client is closed: this event was not recorded")
            if self._durable or len(self._memory) + self._sending >= self._memory_events:
                self._spool.add([item])
            else:
                self._memory.append(item)
            self._recorded += 1
        self._wake.set()
        return event_id

    def flush(self, deadline: float = 30.0) -> bool:
        """Waits until all that was recorded, and all that is spooled, was sent or refused.

        Gives False where ``deadline`` seconds were not enough: nothing is lost then, and sending goes on.
        """
        self._see_to_fork()
        with self._changed:
            return self._changed.wait_for(lambda: not self._left(), timeout=deadline)

    def close(self, deadline: float = 5.0) -> Counts:
        """Flushes for at most ``deadline`` seconds, and puts the rest on disk, for the next client.

        Safe to repeat. A request that is on its way then isn't waited for: its events are on disk too, and
        sending them twice stores them once.
        """
        self._see_to_fork()
        with self._changed:
            self._closing = True
        with self._once:
            if self._final is None:
                self._final = self._close(deadline)
        return self._final

    def _close(self, deadline: float) -> Counts:
        if self._thread.is_alive():
            self.flush(deadline)
        self._abandon.set()
        self._wake.set()
        self._thread.join(timeout=GRACE)
        try:
            with self._changed:
                self._spool_memory(self._from_memory)
                self._from_memory, self._sending = [], 0
            return self.counts()
        finally:
            self._spool.close()
            self._http.close()
            _open_clients.discard(self)

    def counts(self) -> Counts:
        """How many events went where, until now."""
        self._see_to_fork()
        with self._changed:
            return Counts(
                recorded=self._recorded,
                sent=self._sent,
                refused=self._refused,
                in_memory=len(self._memory) + self._sending,
                spooled=len(self._spool),
                retries=self._retries,
            )

    def refused(self) -> list[tuple[str, str]]:
        """The JSON of each event that the service will never take, and why."""
        return [(item.body, reason) for item, reason in self._spool.refused()]

    @property
    def trouble(self) -> str | None:
        """Why events can't be sent now, or None."""
        return self._trouble

    def __enter__(self) -> AuditClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- the thread

    def _run(self) -> None:
        failures = 0
        while not self._abandon.is_set():
            self._wake.clear()
            later = self._send_next()
            if self._abandon.is_set():
                return  # closed meanwhile, and its spool with it
            if later is _NOTHING:
                self._wake.wait()
                continue
            if later is None:
                failures, self._trouble = 0, None
                continue
            failures += 1
            if self._trouble is None:
                log.warning("events wait: %s", later.reason)
            self._trouble = later.reason
            # In a deadline's last moments a client keeps trying; only an end ends the pause.
            self._abandon.wait(pause(failures, later.retry_after))

    def _send_next(self) -> Later | None:
        """Sends what comes next.

        A disk that fails is a reason to wait too, and nothing leaves memory for it.
        """
        try:
            batch, from_disk = self._take()
            if not batch:
                return _NOTHING
            later = self._send(batch)
            self._settle(from_disk)
        except sqlite3.Error as error:
            with self._changed:
                self._memory.extendleft(reversed(self._from_memory))
                self._from_memory, self._sending = [], 0
            return Later(f"the spool can't be used: {error}")
        return later

    def _take(self) -> tuple[list[Item], bool]:
        """The next batch: what is on disk is older, so it goes first."""
        if spooled := self._spool.first(self._batch_events):
            return spooled, True
        with self._changed:
            batch = [self._memory.popleft() for _ in range(min(self._batch_events, len(self._memory)))]
            self._sending = len(batch)
        self._from_memory = batch
        return batch, False

    def _send(self, batch: list[Item]) -> Later | None:
        """Sends a batch, in parts where it must be; what was sent or refused is booked as it happens."""
        parts = deque([batch])
        while parts:
            part = parts.popleft()
            outcome = deliver(self._http, part)
            if isinstance(outcome, Delivered):
                self._count(sent=part)
            elif isinstance(outcome, TooLarge):
                half = len(part) // 2
                parts.extendleft((part[half:], part[:half]))
            elif isinstance(outcome, Refused):
                wrong = dict(outcome.items)
                self._count(refused=[(part[place], reason) for place, reason in outcome.items])
                log.error("the service refuses %d events: %s", len(wrong), outcome.items[0][1])
                if rest := [item for place, item in enumerate(part) if place not in wrong]:
                    parts.appendleft(rest)
            else:
                with self._changed:
                    self._retries += 1
                return outcome
        return None

    def _count(self, *, sent: Iterable[Item] = (), refused: Iterable[tuple[Item, str]] = ()) -> None:
        sent, refused = list(sent), list(refused)
        if refused:
            self._spool.refuse(refused)
        if sent and len(self._spool):
            self._spool.remove(sent)
        settled = {item.event_id for item in sent} | {item.event_id for item, _ in refused}
        with self._changed:
            self._sent += len(sent)
            self._refused += len(refused)
            if self._sending:
                self._from_memory = [item for item in self._from_memory if item.event_id not in settled]
                self._sending = len(self._from_memory)
            self._changed.notify_all()

    def _settle(self, from_disk: bool) -> None:
        """What came from memory and wasn't sent goes to disk, and is sent from there."""
        if from_disk:
            return
        with self._changed:
            self._spool_memory(self._from_memory)
            self._from_memory, self._sending = [], 0
            self._changed.notify_all()

    def _spool_memory(self, first: Iterable[Item]) -> None:
        first = list(first)
        # Where some have to wait on disk, those behind them wait there too, and stay in order.
        if first or self._abandon.is_set():
            self._spool.add([*first, *self._memory])
            self._memory.clear()

    def _left(self) -> int:
        return len(self._memory) + self._sending + len(self._spool)


@atexit.register
def _close_all() -> None:
    for client in list(_open_clients):
        # A process that was forked and recorded nothing has nothing to send.
        if client.process != os.getpid():
            continue
        try:
            client.close()
        except Exception:
            # The others have events too.
            log.exception("events may be lost")


def _fresh_lock() -> None:
    global _after_fork
    _after_fork = threading.Lock()


os.register_at_fork(after_in_child=_fresh_lock)


def _folder(url: str) -> Path:
    """A folder for this service: events for one must not go to another."""
    host = httpx.URL(url)
    name = f"{host.host}-{host.port or host.scheme}".replace(":", "_").replace("/", "_")
    return platformdirs.user_state_path("datastorage") / "spool" / name
