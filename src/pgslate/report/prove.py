"""`prove` for people: what was replayed, and that it came out the same."""

from __future__ import annotations

from pgslate.plain_text import counted
from pgslate.verbs.prove import ProveResult


def text(proven: ProveResult) -> str:
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
