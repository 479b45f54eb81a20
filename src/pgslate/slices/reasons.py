"""Reasons: why a slice has a statement, an object or a migration, and why it can do without another. Pure.

A chain is read from the thing to the question: ``creates table public.users``, ``needed by table
public.orders (constraint)``, ``asked for``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pgslate.slices.slice import Slice
from pgslate.slices.walk import Cause
from pgslate.trace.effects import Trace, Unit

ASKED = "asked for"

# Schemas whose objects end with the session, or belong to a table anyway.
_PASSING = ("pg_temp", "pg_toast")


@dataclass(frozen=True, slots=True)
class StatementReason:
    """A statement that a table needs: its place, its opening, and the chain of reasons."""

    file: str
    line: int
    statement: str
    because: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "statement": self.statement, "because": list(self.because)}


def statements_needed(chosen: Slice, migration: int) -> tuple[StatementReason, ...]:
    """The statements of a migration that the slice needs for themselves, each with its reason."""
    file = chosen.catalog.migrations[migration]
    found = []
    for index in sorted(chosen.needed):
        effect = chosen.trace.effects[index]
        if effect.migration == migration:
            text = file.statements[effect.statement].first_line
            found.append(StatementReason(file.file, effect.line, text, chain_of_effect(chosen, index)))
    return tuple(found)


def reasons(chosen: Slice, migration: int) -> tuple[str, ...]:
    """Why a slice has a migration: what its needed statements do, and for what; the nearest first."""
    needed = [index for index in chosen.trace.by_migration[migration] if index in chosen.needed]
    chains = [chain_of_effect(chosen, index) for index in needed]
    found: dict[str, None] = {}
    for chain in sorted(chains, key=len):
        phrase = chain[0] if len(chain) < 3 else f"{chain[0]}, {chain[1]}"
        if f"creates{phrase.removeprefix('changes')}" not in found:
            found[phrase] = None
    return tuple(found) or for_other_files(chosen, migration)


def for_other_files(chosen: Slice, migration: int) -> tuple[str, ...]:
    """Why a slice has a migration that only statements of whole files need."""
    found: dict[str, None] = {}
    for index in chosen.trace.by_migration[migration]:
        cause = chosen.causes.get(index)
        if cause is not None and cause.unit is not None:
            found[", ".join([*chain_of_effect(chosen, index)[:2], "which comes with its file"])] = None
    return tuple(found) or ("none of its statements is needed by itself",)


def exclusion(chosen: Slice, migration: int) -> str:
    """Why a slice can do without a migration: what it touches, which nothing asked for needs."""
    trace = chosen.trace
    touched: dict[Unit, None] = {}
    for effect in map(trace.effects.__getitem__, trace.by_migration[migration]):
        touched |= dict.fromkeys(sorted(effect.touches | effect.drops | effect.cascades))
    names = [trace.units[unit] for unit in touched if not trace.units[unit].name.startswith(_PASSING)]
    # the tables say it, where there are some
    for kinds in (("table", "view", "materialized view"), ("function", "procedure", "type", "extension"), ()):
        shown = list(dict.fromkeys(unit.name for unit in names if not kinds or unit.kind in kinds))
        if shown:
            more = f" and {len(shown) - 3} more" if len(shown) > 4 else ""
            return f"only touches {', '.join(shown[:3] if more else shown)}{more}"
    return "changes nothing that stays"


def chain_of_effect(chosen: Slice, effect: int) -> tuple[str, ...]:
    """The reasons for a statement, from its own to ``asked for``."""
    return tuple(_walk(chosen, chosen.causes.get(effect), None))


def chain_of_unit(chosen: Slice, unit: Unit) -> tuple[str, ...]:
    """The reasons for an object, from its own to ``asked for``."""
    return tuple(_walk(chosen, chosen.unit_causes.get(unit), unit))


def _walk(chosen: Slice, cause: Cause | None, about: Unit | None) -> Iterable[str]:
    """One phrase a link. ``about`` is the unit that ``cause`` is the cause of; None for a statement's."""
    trace = chosen.trace
    visited: set[tuple[Unit | None, int | None]] = set()
    while cause is not None and (cause.unit, cause.effect) not in visited:
        visited.add((cause.unit, cause.effect))
        if cause.effect is not None:
            yield f"{cause.how} {_place(chosen, cause.effect)}"
            cause, about = chosen.causes.get(cause.effect), None
        elif cause.unit is not None:
            yield _phrase(cause.how, trace, cause.unit, of_unit=about is not None)
            about = cause.unit
            cause = chosen.unit_causes.get(cause.unit)
        else:
            yield cause.how
            return


def _phrase(how: str, trace: Trace, unit: Unit, *, of_unit: bool) -> str:
    if of_unit and not how.endswith(" by"):
        return f"needed by {trace.units[unit]} ({how})"
    return f"{how} {trace.units[unit]}"


def _place(chosen: Slice, effect: int) -> str:
    found = chosen.trace.effects[effect]
    return f"{chosen.catalog.migrations[found.migration].file}:{found.line}"
