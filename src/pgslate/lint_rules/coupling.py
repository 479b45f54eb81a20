"""A migration that ties slices together: whoever needs one table of it replays it for all of them.

How large the slices would be without is computed, not guessed: the catalog is sliced again as if each
statement of that migration were a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pgslate.lint_rules.finding import Case, Finding
from pgslate.slices.slice import slice_of
from pgslate.trace.effects import Trace, Unit, relations

_WORST = 5
"""Migrations looked at: those that bring the most statements into slices that don't need them."""

_WORTH_IT = 0.8
"""A split is worth saying where it makes the slices of the tables involved this much smaller, on average."""

_NAMED = 4
_MANY = 3

Sizes = Mapping[Unit, frozenset[int]]


def check(case: Case) -> Iterator[Finding]:
    """The migrations whose split would make slices smaller by a fifth or more."""
    trace = case.trace
    tables = [unit for unit in relations(trace) if trace.units[unit].kind != "sequence"]
    now = _slices(case, trace, tables)
    for migration in _worst(case, now):
        tied = [unit for unit in tables if now[unit] & frozenset(trace.by_migration[migration])]
        split = _slices(case, _as_files_of_their_own(trace, migration), tied)
        before = sum(len(now[unit]) for unit in tied) / len(tied)
        after = sum(len(split[unit]) for unit in tied) / len(tied)
        if len(tied) < _MANY or after > _WORTH_IT * before:
            continue
        names = [trace.units[unit].name for unit in tied]
        listed = ", ".join(names[:_NAMED]) + (
            f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        )
        file = case.project.catalog.migrations[migration].file
        yield Finding(
            "mega-migration",
            file,
            0,
            "",
            f"ties {len(tied)} tables together ({listed}): their slices replay {before:.0f} statements on"
            f" average, and would replay {after:.0f} if it were split",
            "write one migration a table from now on; for this one, --form statements leaves the rest out",
        )


def _slices(case: Case, trace: Trace, units: list[Unit]) -> Sizes:
    """What the files form of each unit's slice replays."""
    plain = replace(trace, unproved={})
    return {unit: slice_of(case.project.catalog, plain, [unit], form="files").effects for unit in units}


def _worst(case: Case, now: Sizes) -> list[int]:
    """The migrations that bring the most along that nobody asked for, the worst first."""
    trace = case.trace
    plain = replace(trace, unproved={})
    excess: dict[int, int] = {}
    for unit, effects in now.items():
        needed = slice_of(case.project.catalog, plain, [unit], form="statements").effects
        for index in effects - needed:
            migration = trace.effects[index].migration
            excess[migration] = excess.get(migration, 0) + 1
    return sorted(excess, key=lambda migration: (-excess[migration], migration))[:_WORST]


def _as_files_of_their_own(trace: Trace, migration: int) -> Trace:
    """The trace as if each statement of the migration were a migration."""
    count = len(trace.migrations)
    effects = tuple(
        effect._replace(migration=count + index) if effect.migration == migration else effect
        for index, effect in enumerate(trace.effects)
    )
    migrations = trace.migrations + (trace.migrations[migration],) * len(effects)
    return replace(trace, effects=effects, migrations=migrations)
