"""Events on disk: a SQLite file, owned by one process at a time."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

#: A transaction survives the death of the process at once, and of the machine within its next checkpoint
#: (https://sqlite.org/pragma.html#pragma_synchronous).
_SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;
    CREATE TABLE IF NOT EXISTS events (
        place    INTEGER PRIMARY KEY AUTOINCREMENT,
        event_id TEXT NOT NULL UNIQUE,
        body     TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS refused (
        event_id TEXT PRIMARY KEY,
        body     TEXT NOT NULL,
        reason   TEXT NOT NULL
    );
"""


@dataclass(frozen=True, slots=True)
class Item:
    """An event as it travels: its id, and its JSON."""

    event_id: str
    body: str


class Spool:
    """A queue of events in a file; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file, and locks it.

        Raises ``BlockingIOError`` where another client has it, ``OSError`` or ``sqlite3.Error`` where it
        can't be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._owned: IO[bytes] = path.with_suffix(".lock").open("ab")
        try:
            fcntl.flock(self._owned, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._owned.close()
            raise BlockingIOError(
                f"{path} is in use by another client: give each process its own spool"
            ) from None
        self._guard = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.executescript(_SCHEMA)
        self._length: int
        (self._length,) = self._database.execute("SELECT count(*) FROM events").fetchone()

    @classmethod
    def adopt(cls, folder: Path) -> Spool:
        """A spool in ``folder`` that nobody has: a new one, or one that a process left behind.

        What other processes left behind is moved into it.
        """
        found = _unowned(cls, chain(sorted(folder.glob("spool-*.sqlite")), _fresh(folder)))
        mine = next(found)
        for other in _unowned(cls, sorted(folder.glob("spool-*.sqlite"))):
            # First here, then not there any more: what a crash in between leaves twice has one id.
            while items := other.first(1000):
                mine.add(items)
                other.remove(items)
            other.close()
        return mine

    def __len__(self) -> int:
        return self._length

    def add(self, items: Iterable[Item]) -> None:
        """Keeps events, after those that are there; one that is there already stays where it is."""
        with self._guard, self._transaction():
            before = self._database.total_changes
            self._database.executemany(
                "INSERT OR IGNORE INTO events (event_id, body) VALUES (?, ?)",
                [(item.event_id, item.body) for item in items],
            )
            self._length += self._database.total_changes - before

    def first(self, limit: int) -> list[Item]:
        """The oldest events, at most ``limit`` of them; they stay."""
        with self._guard:
            rows = self._database.execute("SELECT event_id, body FROM events ORDER BY place LIMIT ?", [limit])
            return [Item(*row) for row in rows]

    def remove(self, items: Iterable[Item]) -> None:
        """Forgets events that were sent."""
        with self._guard, self._transaction():
            self._delete(items)

    def refuse(self, refused: Sequence[tuple[Item, str]]) -> None:
        """Puts events apart, each with the reason why it will never be taken."""
        with self._guard, self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO refused (event_id, body, reason) VALUES (?, ?, ?)",
                [(item.event_id, item.body, reason) for item, reason in refused],
            )
            self._delete(item for item, _ in refused)

    def refused(self) -> list[tuple[Item, str]]:
        """What was put apart, and why."""
        with self._guard:
            rows = self._database.execute("SELECT event_id, body, reason FROM refused ORDER BY event_id")
            return [(Item(event_id, body), reason) for event_id, body, reason in rows]

    def close(self) -> None:
        """Lets go of the file; an empty one is removed."""
        with self._guard:
            (kept,) = self._database.execute("SELECT count(*) FROM refused").fetchone()
            self._database.close()
            if not self._length and not kept:
                for name in (self.path, *self.path.parent.glob(f"{self.path.name}-*")):
                    name.unlink(missing_ok=True)
            self._owned.close()

    def _delete(self, items: Iterable[Item]) -> None:
        before = self._database.total_changes
        self._database.executemany(
            "DELETE FROM events WHERE event_id = ?", [(item.event_id,) for item in items]
        )
        self._length -= self._database.total_changes - before

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._database.execute("ROLLBACK" if kind else "COMMIT")


def _unowned(kind: type[Spool], paths: Iterable[Path]) -> Iterator[Spool]:
    """Those that nobody has, each locked by us."""
    for path in paths:
        try:
            yield kind(path)
        except BlockingIOError:
            continue


def _fresh(folder: Path) -> Iterable[Path]:
    number = 1
    while True:
        path = folder / f"spool-{number}.sqlite"
        if not path.exists():
            yield path
        number += 1
