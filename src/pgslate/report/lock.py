"""`lock` for people: what was written, or what is stale."""

from __future__ import annotations

from collections.abc import Iterable

from pgslate.plain_text import counted
from pgslate.verbs.lock import LockCheck, LockResult


def text(locked: LockResult) -> str:
    """What was written, and which slices are larger than they might be, or unproved."""
    return "\n".join(_lines(locked))


def _lines(locked: LockResult) -> Iterable[str]:
    slices = sum(map(len, locked.lock.slices.values()))
    proved = slices - len(locked.unproved) - len(locked.unavailable)
    yield (
        f"{'wrote' if locked.changed else 'nothing to change in'} {locked.path}: "
        f"{counted(len(locked.lock.trace.migrations), 'migration')}, "
        f"{proved} of {counted(slices, 'slice')} proved"
    )
    for name, why in locked.widened.items():
        yield f"widened  {name}: {why[-1]}"
    for name, cause in locked.unavailable.items():
        yield f"can't be had: {name}: {cause}"
    for name, unproved in locked.unproved.items():
        yield f"UNPROVED {name}: {unproved}"
    for name in locked.changing:
        yield f"changing {name}: its rows hang on time or chance, and are not compared"
    for file, line, what in locked.unseen:
        yield f"unseen   {file}:{line}: {what}"


def check(found: LockCheck) -> str:
    """Whether the lock is up to date, and if not, why not and what to do."""
    if found.ok:
        return f"{found.path} is up to date"
    stale = (f"  {each}" for each in found.stale)
    return "\n".join([f"{found.path} is stale:", *stale, "fix: run `pgslate lock`"])
