"""`adopt` for people: what was taken over from which tool, and what is pending."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pgslate.plain_text import aligned, counted

if TYPE_CHECKING:
    from pgslate.verbs.adopt import Adopted


def text(done: Adopted, label: str) -> str:
    """The result for people; ``label`` says where."""
    count = counted(len(done.migrations), "migration")
    lines = [f"{label}: {count} applied by {done.tool}, verified, and now in pgslate's ledger"]
    if done.pending:
        lines += ["pending (pgslate apply)", aligned([(m.shown,) for m in done.pending])]
    return "\n".join(lines)
