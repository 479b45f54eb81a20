"""`affected` for people: the contracts that changed."""

from __future__ import annotations

from pgslate.plain_text import counted
from pgslate.verbs.affected import AffectedResult


def text(found: AffectedResult) -> str:
    """The contracts that changed, with the statements that are new to them."""
    lines: list[str] = []
    for change in found.changes:
        gone = f", {counted(change.gone, 'statement')} gone" if change.gone else ""
        note = f" ({change.note})" if change.note else ""
        if change.note and not (change.statements or change.gone):
            lines.append(f"{change.contract}: {change.note}")
            continue
        lines.append(f"{change.contract}: {len(change.statements)} new{gone}{note}")
        lines += [f"  {file}:{line}  {opening}" for file, line, opening in change.statements]
    if found.untouched:
        lines.append(f"untouched since {found.revision}: {', '.join(found.untouched)}")
    return "\n".join(lines) or "there are no contracts: add [contracts.NAME] to pgslate.toml"
