"""`apply` for people: what was done."""

from __future__ import annotations

from pgslate.plain_text import counted
from pgslate.verbs.apply import ApplyResult


def text(done: ApplyResult, label: str) -> str:
    """One line on what was done, and one on each partition that was made."""
    what = ", ".join(done.tables) or "everything"
    lines = [f"{label}: {_done(done)}; verified for {what}"]
    lines += [f"made partition {name}" for name in done.partitions]
    return "\n".join(lines)


def _done(done: ApplyResult) -> str:
    parts = []
    if done.applied:
        took = sum(each.seconds for each in done.applied)
        statements = sum(each.statements for each in done.applied)
        form = "" if done.form == "files" else f" in the {done.form} form"
        parts.append(
            f"applied {counted(len(done.applied), 'migration')}{form},"
            f" {counted(statements, 'statement')} in {took * 1000:.0f} ms"
        )
    if done.recorded:
        parts.append(f"recorded {counted(len(done.recorded), 'migration')} as applied")
    if done.partitions:
        parts.append(f"made {counted(len(done.partitions), 'partition')}")
    return ", ".join(parts) or f"nothing to do, {counted(len(done.before), 'migration')} applied before"
