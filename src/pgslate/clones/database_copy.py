"""Copying a template: the fastest way on this server, and the steps around CREATE DATABASE.

PostgreSQL 15 can copy through the log (WAL_LOG) or file by file (FILE_COPY), which makes two checkpoints; 18
can also share blocks or copy in the kernel (``file_copy_method = clone``). With fsync on, a checkpoint waits
for the disk, so only WAL_LOG is used. With fsync off the fastest way depends on the file system and on the
template: the first clones are copied in turns, two in each way, and the registry keeps their times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import psycopg
from psycopg import sql

from pgslate.clones.clone import drop
from pgslate.clones.database_properties import repeat
from pgslate.clones.recycler import Recycler
from pgslate.clones.registry import Registry
from pgslate.clones.template import Template, no_room

Strategy = Literal["default", "wal_log", "file_copy", "file_clone"]

SAMPLES = 2
"""How many clones are timed with each strategy before one is chosen."""

_STRATEGY: dict[Strategy, str] = {
    "default": "",
    "wal_log": " STRATEGY wal_log",
    "file_copy": " STRATEGY file_copy",
    "file_clone": " STRATEGY file_copy",
}


class TemplateGoneError(Exception):
    """The template was dropped, or somebody opened it; it has to be made again."""


@dataclass(frozen=True, slots=True)
class NewClone:
    """A clone's name, and the server's time when it was begun."""

    name: str
    now: datetime


def candidates(major: int, *, durable: bool) -> tuple[Strategy, ...]:
    """The strategies worth a try on a server, the likeliest first.

    >>> candidates(18, durable=True), candidates(17, durable=False), candidates(14, durable=False)
    (('wal_log',), ('file_copy', 'wal_log'), ('default',))
    """
    if major < 15:
        return ("default",)
    if durable:
        return ("wal_log",)
    return ("file_clone", "file_copy", "wal_log") if major >= 18 else ("file_copy", "wal_log")


def choose(among: Sequence[Strategy], timings: Mapping[str, Sequence[float]]) -> Strategy:
    """The strategy for the next clone: one that needs more samples, or else the fastest.

    ``timings`` are milliseconds, by strategy.

    >>> choose(("file_copy", "wal_log"), {"file_copy": [20.0, 12.0]})
    'wal_log'
    >>> choose(("file_copy", "wal_log"), {"file_copy": [20.0, 12.0], "wal_log": [15.0, 14.0]})
    'file_copy'
    """
    for one in among:
        if len(timings.get(one, ())) < SAMPLES:
            return one
    return min(among, key=lambda one: min(timings[one]))


class CloneMaker:
    """Makes clones, from any thread, on the connections that it is given.

    With a ``recycler`` it also records what the recycler has to know to reset them later.
    """

    def __init__(self, registry: Registry, recycler: Recycler | None) -> None:
        self._registry = registry
        self._recycler = recycler
        self._timings: dict[str, dict[str, list[float]]] = {}

    def make(
        self,
        connection: psycopg.Connection[Any],
        template: Template,
        *,
        state: str = "making",
        purpose: str = "",
    ) -> NewClone:
        """Make a clone and record it with that ``state``. For ``taken``, a ready clone is as good.

        Raises:
            TemplateGoneError: the template was dropped or opened.
            TargetError: the disk is full.
        """
        begun = self._registry.begin(template.name, connection, state=state, purpose=purpose)
        if begun is None:
            raise TemplateGoneError(template.name)
        name, properties = begun.name, begun.properties
        if properties is None:
            return NewClone(name, begun.now)
        try:
            self._copy(connection, template, name)
            repeat(connection, properties, name)
            if self._recycler is not None:
                self._registry.record_origin(name, properties.oid, connection)
                if state == "making":
                    self._recycler.learn(connection, name, template.name, properties.oid)
        except BaseException as error:
            if not connection.closed:
                drop(connection, name, force=True)
                self._registry.forget(name, connection)
            if isinstance(error, psycopg.errors.ObjectInUse | psycopg.errors.InvalidCatalogName):
                raise TemplateGoneError(template.name) from error
            raise
        return NewClone(name, begun.now)

    def _copy(self, connection: psycopg.Connection[Any], template: Template, name: str) -> None:
        facts = self._registry.facts
        among = candidates(facts.major, durable=facts.durable)
        timings = self._timings_of(connection, template)
        strategy = choose(among, timings)
        began = time.perf_counter()
        try:
            _create(connection, template.name, name, strategy)
        except psycopg.errors.DiskFull as error:
            raise no_room(self._registry, error) from error
        except psycopg.errors.FeatureNotSupported:
            if strategy != "file_clone":
                raise
            took = float("inf")  # this file system can't share blocks: never try again
            _create(connection, template.name, name, "file_copy")
        else:
            took = (time.perf_counter() - began) * 1000
        if len(timings.setdefault(strategy, [])) < SAMPLES and len(among) > 1:
            self._save_timing(connection, template, strategy, took)

    def _timings_of(self, connection: psycopg.Connection[Any], template: Template) -> dict[str, list[float]]:
        if template.name not in self._timings:
            found: dict[str, list[float]] = {}
            for strategy, milliseconds in connection.execute(
                "SELECT strategy, milliseconds FROM timing WHERE template = %s", [template.name]
            ):
                found.setdefault(strategy, []).append(milliseconds)
            self._timings[template.name] = found
        return self._timings[template.name]

    def _save_timing(
        self, connection: psycopg.Connection[Any], template: Template, strategy: Strategy, took: float
    ) -> None:
        times = [took] * (SAMPLES if took == float("inf") else 1)
        self._timings[template.name].setdefault(strategy, []).extend(times)
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO timing (template, strategy, milliseconds) VALUES (%s, %s, %s)",
                [(template.name, strategy, each) for each in times],
            )


def _create(connection: psycopg.Connection[Any], template: str, name: str, strategy: Strategy) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template)
    ) + sql.SQL(_STRATEGY[strategy])
    if strategy != "file_clone":
        connection.execute(statement)
        return
    connection.execute("SET file_copy_method = 'clone'")
    try:
        connection.execute(statement)
    finally:
        if not connection.closed:
            connection.execute("RESET file_copy_method")
