"""`lock` for people: what was written, or what is stale."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import wrap

from pgslate.plain_text import counted, terminal_width
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
    if locked.changing:
        yield "proofs compare no values of these, since each replay of the catalog gives others:"
        yield from wrap(
            ", ".join(locked.changing),
            width=terminal_width() or 100,  # in a pipe, too: the list may be long
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    for file, line, what in locked.unseen:
        yield f"unseen   {file}:{line}: {what}"


def check(found: LockCheck) -> str:
    """Whether the lock is up to date, and if not, why not and what to do."""
    if found.ok:
        return f"{found.path} is up to date"
    stale = (f"  {each}" for each in found.stale)
    return "\n".join([f"{found.path} is stale:", *stale, "fix: run `pgslate lock`"])
