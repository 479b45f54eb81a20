"""`plan`: what would run and why, and what would not and why not.

Without a target it is told from the slice alone, which needs no database and no driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pgslate.report.columns import aligned, counted, plain
from pgslate.slices.reasons import exclusion, reasons
from pgslate.slices.slice import Slice

if TYPE_CHECKING:
    from pgslate.execution.planner import Plan

_SHOWN = 2
"""Reasons of a migration that fit on a line; JSON has them all."""


_LISTED = 30
"""Migrations that would not run, and are listed to somebody who didn't ask for all of them."""


def text(
    chosen: Slice, found: Plan | None = None, partitions: Sequence[str] = (), *, every: bool = True
) -> str:
    """The plan for people: ``found``, or without one that for an empty database.

    ``partitions`` are those that are asked for by name, and made by policy. Without ``every``, a long list of
    what would not run is cut.
    """
    said = document(chosen, found, partitions)
    steps, excluded = said["migrations"], said["excluded"]
    lines = [_headline(chosen, len(steps))]
    lines.append(aligned([_row(chosen, step) for step in steps]))
    lines += [f"  partition {name}, by policy" for name in partitions]
    if excluded:
        lines.append(f"not run: {len(excluded)} of {counted(len(chosen.catalog), 'migration')}")
        listed = excluded if every or len(excluded) <= _LISTED else excluded[: _LISTED - 1]
        lines.append(aligned([(_shown(chosen, each), plain(each["reason"])) for each in listed]))
        if len(listed) < len(excluded):
            lines.append(f"  and {len(excluded) - len(listed)} more, with --verbose")
    lines += [f"widened after a failed proof: {why}" for why in chosen.widened]
    return "\n".join(line for line in lines if line)


def document(chosen: Slice, found: Plan | None = None, partitions: Sequence[str] = ()) -> dict[str, Any]:
    """The plan for programs: ``tables``, ``form``, ``migrations``, ``excluded``, ``partitions``, ``widened``.

    Of a migration, ``statements`` is how many count for themselves, ``of`` how many the file has.
    """
    said = found.to_json() if found is not None else _for_an_empty_database(chosen)
    return {**said, "partitions": list(partitions), "widened": list(chosen.widened)}


def _for_an_empty_database(chosen: Slice) -> dict[str, Any]:
    totals: dict[int, int] = {}
    for effect in chosen.trace.effects:
        totals[effect.migration] = totals.get(effect.migration, 0) + 1
    wanted = frozenset(chosen.migrations)
    return {
        "tables": list(chosen.tables),
        "form": chosen.form,
        "migrations": [
            {
                "version": chosen.catalog.migrations[index].version,
                "file": chosen.catalog.migrations[index].file,
                "statements": len(chosen.statements(index, needed=True)),
                "of": totals.get(index, 0),
                "reasons": list(reasons(chosen, index)),
            }
            for index in chosen.migrations
        ],
        "excluded": [
            {"version": migration.version, "file": migration.file, "reason": exclusion(chosen, index)}
            for index, migration in enumerate(chosen.catalog)
            if index not in wanted
        ],
    }


def _headline(chosen: Slice, steps: int) -> str:
    what = ", ".join(chosen.tables) if chosen.tables else "everything"
    if not steps:
        return f"nothing to do for {what}"
    whole = counted(len(chosen.catalog), "migration")
    if chosen.form == "objects":
        return f"{what}: the final DDL of {counted(len(chosen.required), 'object')}, from {steps} of {whole}"
    if chosen.form == "statements":
        return f"{what}: {counted(len(chosen.effects), 'statement')} from {steps} of {whole}"
    return f"{what}: {steps} of {whole}"


def _row(chosen: Slice, step: dict[str, Any]) -> tuple[str, str, str]:
    if chosen.is_whole:
        return _shown(chosen, step), counted(step["of"], "statement"), ""
    shown = [plain(reason) for reason in step["reasons"][:_SHOWN]]
    more = len(step["reasons"]) - _SHOWN
    why = "; ".join(shown) + (f"; and {more} more" if more > 0 else "")
    return _shown(chosen, step), f"{step['statements']} of {counted(step['of'], 'statement')}", why


def _shown(chosen: Slice, step: dict[str, Any]) -> str:
    return chosen.catalog.by_version[step["version"]].shown
