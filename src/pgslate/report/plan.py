"""`plan` for people: what would run and why, and what would not and why not."""

from __future__ import annotations

from pgslate.plain_text import aligned, counted, plain, terminal_width
from pgslate.slices.slice import Slice
from pgslate.verbs.plan import PlannedMigration, PlanResult

_SHOWN = 2
"""Reasons of a migration that fit on a line; JSON has them all."""

_LISTED = 30
"""Migrations that would not run, and are listed to somebody who didn't ask for all of them."""


def text(found: PlanResult, chosen: Slice, *, every: bool = True) -> str:
    """The plan for people. Without ``every``, a long list of what would not run is cut."""
    excluded = found.excluded
    lines = [_headline(chosen, len(found.migrations))]
    lines.append(aligned([_row(chosen, each) for each in found.migrations], within=terminal_width()))
    lines += [f"  partition {name}, by policy" for name in found.partitions]
    if excluded:
        lines.append(f"not run: {len(excluded)} of {counted(len(chosen.catalog), 'migration')}")
        listed = excluded if every or len(excluded) <= _LISTED else excluded[: _LISTED - 1]
        rows = [(_shown(chosen, each.version), plain(each.reason)) for each in listed]
        lines.append(aligned(rows, within=terminal_width()))
        if len(listed) < len(excluded):
            lines.append(f"  and {len(excluded) - len(listed)} more, with --verbose")
    lines += [f"may fail: {each}" for each in found.collisions]
    lines += [f"widened after a failed proof: {why}" for why in found.widened]
    if found.changing:
        columns = ", ".join(found.changing[:_LISTED])
        lines.append(f"hangs on time or chance, and is not compared by proofs: {columns}")
    return "\n".join(line for line in lines if line)


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


def _row(chosen: Slice, each: PlannedMigration) -> tuple[str, str, str]:
    shown = _shown(chosen, each.version)
    if chosen.is_whole:
        return shown, counted(each.of, "statement"), ""
    reasons = [plain(reason) for reason in each.reasons[:_SHOWN]]
    more = len(each.reasons) - _SHOWN
    why = "; ".join(reasons) + (f"; and {more} more" if more > 0 else "")
    return shown, f"{each.statements} of {counted(each.of, 'statement')}", why


def _shown(chosen: Slice, version: str) -> str:
    return chosen.catalog.by_version[version].shown
