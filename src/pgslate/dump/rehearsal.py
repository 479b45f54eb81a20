"""Finds out, in an empty database, how each entry of a dump can be run: when, and under which search path.

pg_dump's script is made for an empty search path and for its own order. What that can't make may still be
made in the way of the migrations:

- under a search path that they set, where a function's body or an operator needs it;
- rows in another order, where a check reads another table's rows;
- an index before the rows, where its functions can only be called in the session's own search path: from
  PostgreSQL 17 on, CREATE INDEX calls them under an empty one.

What can't be made at all is refused by name, with PostgreSQL's own words, before anything is run elsewhere.

Source: PostgreSQL manual, pg_dump, "Notes"; release notes of 17, "Change functions to use a safe search_path
during maintenance operations".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from pgslate.dump.entries import ROWS, Entry, Named, set_setting

_BUILT_FROM_ROWS = ("INDEX", "CONSTRAINT")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that the objects form can't make: ``unit`` is what needs it, ``why`` says what failed."""

    unit: Named
    why: str


@dataclass(frozen=True)
class _Attempt:
    """The entries that were run, in that order, and PostgreSQL's message for each of the others."""

    done: tuple[Entry, ...]
    failed: dict[int, str]


def rehearse(
    entries: Sequence[Entry], prologue: str, connection: psycopg.Connection[Any], paths: Sequence[str]
) -> tuple[tuple[Entry, ...], tuple[Refusal, ...]]:
    """The entries in an order in which they can be run, each with its settings, and what can't be run.

    Args:
        entries: All entries of a dump, in pg_dump's order.
        prologue: SQL that is run before them.
        connection: To a database that is empty but for the prelude; it is left as it was.
        paths: The search paths to try, besides an empty one.
    """
    first = _attempt(entries, prologue, connection, paths)
    found = first
    early = {entry.number for entry in entries if entry.type in _BUILT_FROM_ROWS} & set(first.failed)
    if early:
        second = _attempt(_before_rows(entries, early), prologue, connection, paths)
        if len(second.failed) < len(first.failed):
            found = second
    return found.done, tuple(_refusals(entries, found.failed))


def _before_rows(entries: Sequence[Entry], early: set[int]) -> list[Entry]:
    at = next((at for at, entry in enumerate(entries) if entry.type == ROWS), len(entries))
    moved = [entry for entry in entries[at:] if entry.number in early]
    return [*entries[:at], *moved, *(entry for entry in entries[at:] if entry.number not in early)]


def _attempt(
    entries: Sequence[Entry], prologue: str, connection: psycopg.Connection[Any], paths: Sequence[str]
) -> _Attempt:
    done: list[Entry] = []
    failed: dict[int, str] = {}
    with connection.transaction(force_rollback=True):
        connection.execute(prologue.encode())
        waiting = list(entries)
        while waiting:
            later = []
            for entry in waiting:
                way = _way(entry, connection, paths)
                if isinstance(way, str):
                    failed[entry.number] = way
                    later.append(entry)
                else:
                    done.append(way)
                    failed.pop(entry.number, None)
            if len(later) == len(waiting):
                break
            waiting = later
    return _Attempt(tuple(done), failed)


def _way(entry: Entry, connection: psycopg.Connection[Any], paths: Sequence[str]) -> Entry | str:
    """The entry with the settings under which it was run; or else PostgreSQL's message.

    The message is the one under the migrations' own path.
    """
    message = ""
    own = dict(entry.settings)
    for path in dict.fromkeys((own.get("search_path", ""), "", *paths)):
        settings = {**own, "search_path": path}
        script = "".join(set_setting(name, value) for name, value in settings.items())
        try:
            with connection.transaction():
                if entry.text:
                    connection.execute((script + entry.text).encode())
                    connection.execute(_RESET.encode())
        except psycopg.Error as error:
            if path in ("", *paths[:1]):
                message = error.diag.message_primary or str(error)
        else:
            if not path:
                del settings["search_path"]
            return replace(entry, settings=tuple(settings.items()))
    return message


_RESET = set_setting("default_tablespace", "") + set_setting("default_table_access_method", "heap")


def _refusals(entries: Sequence[Entry], failed: dict[int, str]) -> list[Refusal]:
    """What can't be made, each with the first cause: what fails because of another names that one."""
    causes: dict[int, str] = {}
    units: dict[int, tuple[Named, ...]] = {}
    found: dict[Named, Refusal] = {}
    for entry in entries:
        of_needs = (unit for number in entry.needs for unit in units.get(number, ()))
        units[entry.number] = (entry.unit,) if entry.unit is not None else tuple(dict.fromkeys(of_needs))
        if entry.number not in failed:
            continue
        inherited = next((causes[number] for number in entry.needs if number in causes), None)
        what = "rows of table" if entry.type == ROWS else entry.type.lower()
        causes[entry.number] = inherited or f"{what} {entry.name}: {failed[entry.number]}"
        for unit in units[entry.number]:
            found.setdefault(unit, Refusal(unit, causes[entry.number]))
    return list(found.values())
