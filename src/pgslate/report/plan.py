"""`plan`: what would run and why, and what would not and why not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pgslate.reasons import exclusion, reasons
from pgslate.report.columns import aligned, counted
from pgslate.slicing.slice import Slice


def text(chosen: Slice, applied: Collection[str] = (), partitions: Collection[str] = ()) -> str:
    """The plan for people. ``applied`` versions stand already, ``partitions`` are made by policy."""
    pending = [n for n in chosen.migrations if chosen.catalog.migrations[n].version not in applied]
    lines = [_headline(chosen, len(pending))]
    lines.append(aligned([_row(chosen, n) for n in pending]))
    for name in partitions:
        lines.append(f"  partition {name}, by policy")
    standing = len(chosen.migrations) - len(pending)
    if standing:
        lines.append(f"{counted(standing, 'migration')} of it stand already")
    left_out = _left_out(chosen)
    if left_out:
        lines.append(f"not needed: {len(left_out)} of {counted(len(chosen.catalog), 'migration')}")
        lines.append(aligned([(chosen.catalog.migrations[n].file, exclusion(chosen, n)) for n in left_out]))
    lines += [f"widened after a failed proof: {why}" for why in chosen.widened]
    return "\n".join(line for line in lines if line)


def document(
    chosen: Slice, applied: Collection[str] = (), partitions: Collection[str] = ()
) -> dict[str, Any]:
    """The plan for programs. ``statements`` is how many count for themselves, ``of`` how many there are."""
    found: list[dict[str, Any]] = []
    for n in chosen.migrations:
        migration = chosen.catalog.migrations[n]
        entry = {
            "version": migration.version,
            "file": migration.file,
            "statements": len(chosen.statements(n, needed=True)),
            "of": _count(chosen, n),
            "reasons": list(reasons(chosen, n)),
            "applied": migration.version in applied,
        }
        found.append(entry)
    return {
        "tables": list(chosen.tables),
        "form": chosen.form,
        "migrations": found,
        "excluded": [
            {
                "version": chosen.catalog.migrations[n].version,
                "file": chosen.catalog.migrations[n].file,
                "reason": exclusion(chosen, n),
            }
            for n in _left_out(chosen)
        ],
        "partitions": list(partitions),
        "widened": list(chosen.widened),
    }


def _headline(chosen: Slice, pending: int) -> str:
    what = ", ".join(chosen.tables) if chosen.tables else "everything"
    if not pending:
        return f"nothing to do for {what}"
    if chosen.form == "objects":
        made = counted(len(chosen.required), "object")
        return f"{what}: the final definition of {made}, from {counted(pending, 'migration')}"
    total = sum(len(chosen.statements(n)) for n in chosen.migrations)
    how = "" if chosen.form == "files" else f", {counted(total, 'statement')} of them"
    return f"{what}: {pending} of {counted(len(chosen.catalog), 'migration')}{how}"


def _row(chosen: Slice, n: int) -> tuple[str, str, str]:
    count = f"{len(chosen.statements(n, needed=True))} of {counted(_count(chosen, n), 'statement')}"
    if chosen.is_whole:
        return chosen.catalog.migrations[n].file, counted(_count(chosen, n), "statement"), ""
    found = reasons(chosen, n)
    more = f"; and {len(found) - 2} more" if len(found) > 2 else ""
    return chosen.catalog.migrations[n].file, count, "; ".join(found[:2]) + more


def _count(chosen: Slice, n: int) -> int:
    return sum(1 for effect in chosen.trace.effects if effect.migration == n)


def _left_out(chosen: Slice) -> list[int]:
    included = set(chosen.migrations)
    return [n for n in range(len(chosen.catalog)) if n not in included]
