"""What lock, affected and prove say to people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pgslate.report.columns import counted
from pgslate.verbs.lock import Affected, Locked
from pgslate.verbs.prove import Proven


def text(locked: Locked) -> str:
    """What was written, and which slices are larger than they might be, or unproved."""
    return "\n".join(_lines(locked))


def _lines(locked: Locked) -> Iterable[str]:
    slices = sum(map(len, locked.lock.slices.values()))
    proved = slices - len(locked.unproved)
    yield (
        f"{'wrote' if locked.changed else 'nothing to change in'} {locked.path}: "
        f"{counted(len(locked.lock.trace.migrations), 'migration')}, "
        f"{proved} of {counted(slices, 'slice')} proved"
    )
    for name, why in locked.widened.items():
        yield f"widened  {name}: {why[-1]}"
    for name, unproved in locked.unproved.items():
        yield f"UNPROVED {name}: {unproved}"
    for file, line, what in locked.unseen:
        yield f"unseen   {file}:{line}: {what}"


def stale(path: Path, found: Sequence[str]) -> str:
    """Whether the lock is up to date, and if not, why not and what to do."""
    if not found:
        return f"{path} is up to date"
    return "\n".join([f"{path} is stale:", *(f"  {each}" for each in found), "fix: run `pgslate lock`"])


def affected(found: Affected) -> str:
    """The contracts that changed, with the statements that are new to them."""
    lines: list[str] = []
    for change in found.changes:
        gone = f", {counted(change.gone, 'statement')} gone" if change.gone else ""
        note = f" ({change.note})" if change.note else ""
        lines.append(f"{change.contract}: {len(change.statements)} new{gone}{note}")
        lines += [f"  {file}:{line}  {opening}" for file, line, opening in change.statements]
    if found.untouched:
        lines.append(f"untouched since {found.revision}: {', '.join(found.untouched)}")
    return "\n".join(lines) or "there are no contracts: add [contracts.NAME] to pgslate.toml"


def proof(proven: Proven) -> str:
    """What was replayed, and that it came out the same."""
    found = proven.proof.slice
    lines = [
        f"proved {', '.join(proven.tables)} in the {found.form} form on PostgreSQL {proven.proof.server}"
    ]
    lines.append(
        f"  {counted(len(found.required), 'object')} came out as after the whole catalog, from "
        f"{len(found.effects)} of {counted(len(found.trace.effects), 'statement')} in "
        f"{counted(len(found.migrations), 'migration')}"
        if found.form != "objects"
        else f"  {counted(len(found.required), 'object')} came out as after the whole catalog, from final DDL"
    )
    lines += [f"  widened: {failure}" for failure in proven.proof.failures]
    return "\n".join(lines)
