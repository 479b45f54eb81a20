"""`verify` for people: each difference with what should be, what is, and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pgslate.plain_text import aligned, counted
from pgslate.slices.slice import Slice

if TYPE_CHECKING:
    from pgslate.schema.difference import Difference
    from pgslate.verbs.verify import VerifyResult


_NOUNS: dict[str, tuple[str, str]] = {
    "table": ("table", "tables"),
    "table column": ("column", "columns"),
    "index": ("index", "indexes"),
    "table constraint": ("constraint", "constraints"),
    "trigger": ("trigger", "triggers"),
    "policy": ("policy", "policies"),
    "function": ("function", "functions"),
    "procedure": ("procedure", "procedures"),
    "view": ("view", "views"),
    "materialized view": ("materialized view", "materialized views"),
    "type": ("type", "types"),
    "sequence": ("sequence", "sequences"),
    "extension": ("extension", "extensions"),
}


def text(result: VerifyResult, chosen: Slice, label: str) -> str:
    """The result for people; ``label`` says where."""
    if result.ok:
        return f"{label}: {contents(chosen)}, as they should be"
    head = f"{label}: {counted(len(result.differences), 'difference')}"
    return "\n".join([head, *differences(result.differences)])


def differences(found: Iterable[Difference]) -> Iterable[str]:
    """A few lines for each: what it is about, expected and found, and the fix."""
    for each in found:
        yield f"  {each.kind} {each.object}"
        yield aligned(
            [("expected", each.expected), ("found", each.found), ("fix", each.fix)],
            indent="    ",
        )


def contents(chosen: Slice) -> str:
    """What the slice's schema holds, counted: ``3 tables, 12 indexes, 2 functions``."""
    kinds = Counter(each.kind for each in chosen.expected)
    return ", ".join(counted(kinds[kind], *noun) for kind, noun in _NOUNS.items() if kinds[kind]) or "nothing"
