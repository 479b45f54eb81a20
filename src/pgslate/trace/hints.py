"""Hints: what a migration's author says in a comment where observation can't see.

    -- pgslate: requires orders, app.items     the statement (or function) needs these tables
    -- pgslate: provides users                 the statement makes or changes these tables
    -- pgslate: requires nothing               there is nothing more to it

A hint stands in the statement, or in the comments directly above it. Tables are named as they are at the end
of the catalog. A hint only ever adds: without any, a trace stays as it was observed.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.statements import Statement
from pgslate.errors import CatalogError, Place
from pgslate.schema.identifiers import parts
from pgslate.trace.effects import Effect, Trace, Unit

_HINT = re.compile(r"--[ \t]*pgslate:[ \t]*(?P<verb>\w+)[ \t]*(?P<tables>[^\n\r]*)")
_NAME = re.compile(r'\s*((?:"(?:[^"]|"")+"|[^\s",.]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[^\s",.]+))?)\s*(,|$)')
_VERBS = ("requires", "provides")
_NOTHING = "nothing"
_RELATIONS = ("table", "view", "materialized view", "foreign table", "sequence")
_FUNCTIONS = ("function", "procedure")


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint of a statement: ``verb`` is ``requires`` or ``provides``; no ``tables``: nothing."""

    verb: str
    tables: tuple[str, ...]
    place: Place


def hints_of(migration: Migration, statement: Statement) -> tuple[Hint, ...]:
    """The hints in a statement and directly above it. Raises CatalogError where one can't be read."""
    if not _has_hints(migration.source):
        return ()
    above = _comments_above(migration, statement) if migration.made_by_line is None else []
    found = [*_hints(above, statement.line - len(above), migration.file)]
    return (*found, *_hints(statement.text.split("\n"), statement.line, migration.file))


@lru_cache(maxsize=64)
def _has_hints(source: str) -> bool:
    return "pgslate:" in source  # kept: it is asked for each statement of a file that may be megabytes long


@lru_cache(maxsize=4)
def _lines(source: str) -> list[str]:
    return source.split("\n")


def hinted(catalog: Catalog, trace: Trace) -> Trace:
    """The trace with what the catalog's hints add to its effects and requirements.

    Raises CatalogError where a hint names a table that isn't there, or not yet.
    """
    effects = list(trace.effects)
    requires = {unit: dict(targets) for unit, targets in trace.requires.items()}
    for index, effect in enumerate(trace.effects):
        migration = catalog.migrations[effect.migration]
        for hint in hints_of(migration, migration.statements[effect.statement]):
            units = [_unit(trace, hint, name) for name in hint.tables]
            if hint.verb == "provides":
                new = frozenset(units) - effects[index].touches
                effects[index] = effects[index]._replace(sweeps=effects[index].sweeps | new)
                continue
            functions = [u for u in effect.creates | effect.changes if trace.units[u].kind in _FUNCTIONS]
            for unit in units:
                for function in functions:
                    if trace.units[function].dropped is None and trace.units[unit].dropped is None:
                        requires.setdefault(function, {}).setdefault(unit, "hint")
                _needed(trace, effects, index, unit, functions, hint)
    if effects == list(trace.effects) and requires == trace.requires:
        return trace
    ordered = {unit: dict(sorted(targets.items())) for unit, targets in sorted(requires.items())}
    return replace(trace, effects=tuple(effects), requires=ordered)


def _needed(
    trace: Trace, effects: list[Effect], index: int, unit: Unit, functions: list[Unit], hint: Hint
) -> None:
    """A statement needs the table; a function's, also whatever calls it later on."""
    if _is_there(trace, unit, index):
        effects[index] = _reads(effects[index], unit)
    elif not functions:
        raise CatalogError(
            f"the statement can't require {trace.units[unit].name}, which is not there at that point",
            place=hint.place,
            fix="say `provides` if it is this statement that makes it; or correct the name",
        )
    for later in range(index + 1, len(effects) if functions else 0):
        if not effects[later].reads.isdisjoint(functions) and _is_there(trace, unit, later):
            effects[later] = _reads(effects[later], unit)


def _reads(effect: Effect, unit: Unit) -> Effect:
    if unit in effect.touches | effect.drops:
        return effect
    return effect._replace(reads=effect.reads | {unit})


def _is_there(trace: Trace, unit: Unit, index: int) -> bool:
    info = trace.units[unit]
    return (info.made is None or info.made <= index) and (info.dropped is None or info.dropped >= index)


def _unit(trace: Trace, hint: Hint, name: str) -> Unit:
    wanted = parts(name)
    matching = {
        unit: info
        for unit, info in enumerate(trace.units)
        if info.kind in _RELATIONS and _means(wanted, parts(info.name))
    }
    alive = [unit for unit, info in matching.items() if info.dropped is None]
    if len(wanted) == 1 and len(alive) > 1:
        alive = [u for u in alive if parts(trace.units[u].name)[0] == "public"] or alive
    if len(alive) > 1:
        raise CatalogError(
            f"{name!r} could be any of {', '.join(trace.units[u].name for u in alive)}",
            place=hint.place,
            fix="give it with its schema",
        )
    if alive or matching:
        return alive[0] if alive else max(matching)
    bare = {parts(info.name)[-1] for info in trace.units if info.kind in _RELATIONS}
    close = difflib.get_close_matches(wanted[-1], sorted(bare), n=3)
    raise CatalogError(
        f"the hint names {name!r}, and no migration makes such a table",
        place=hint.place,
        fix=f"did you mean {', '.join(close)}?" if close else "give the name that it has at the end",
    )


def _means(wanted: list[str], found: list[str]) -> bool:
    return found == wanted if len(wanted) > 1 else found[-1] == wanted[0]


def _comments_above(migration: Migration, statement: Statement) -> list[str]:
    """The lines of comment that touch the statement's own, from above."""
    lines = _lines(migration.source)
    first = migration.first_line
    at = migration.origin.index(statement.line) if migration.origin else statement.line - first
    if lines[at][: statement.column - 1].strip():  # another statement stands before it in the line
        return []
    start = at
    while start > 0 and lines[start - 1].lstrip().startswith("--"):
        start -= 1
    return lines[start:at]


def _hints(lines: list[str], first_line: int, file: str) -> Iterator[Hint]:
    for number, line in enumerate(lines, start=first_line):
        found = _HINT.search(line)
        if found is None:
            continue
        place = Place(file, number, found.start() + 1, line.rstrip("\r"))
        if found["verb"] not in _VERBS:
            raise CatalogError(
                f"pgslate knows no hint {found['verb']!r}",
                place=place,
                fix="write `-- pgslate: requires TABLE[, TABLE]` or `-- pgslate: provides TABLE`",
            )
        yield Hint(found["verb"], _tables(found["tables"].strip(), place), place)


def _tables(listed: str, place: Place) -> tuple[str, ...]:
    """The names in a hint.

    >>> _tables('users, app."My Table"', Place("a.sql", 1))
    ('users', 'app."My Table"')
    """
    if listed == _NOTHING:
        return ()
    names: list[str] = []
    at = 0
    while at < len(listed) or not names:
        found = _NAME.match(listed, at)
        if found is None:
            raise CatalogError(
                "the hint names no tables", place=place, fix="name them with commas between, or say `nothing`"
            )
        names.append(found[1])
        at = found.end()
    return tuple(names)
