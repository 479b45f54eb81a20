"""`lint` as a list: each finding with its place and rule, and below it what to do."""

from __future__ import annotations

from collections.abc import Iterable

from pgslate.lint_rules.finding import Findings
from pgslate.plain_text import counted, plain


def text(found: Findings) -> str:
    """The findings for people."""
    return "\n".join(_lines(found))


def _lines(found: Findings) -> Iterable[str]:
    for each in found.findings:
        yield f"{plain(each.place)}: {plain(each.brief or each.message)} [{each.rule}]"
        yield from (f"    {plain(line)}".rstrip() for line in each.excerpt)
        yield f"    fix: {plain(each.fix)}"
    for tool in found.not_asked:
        yield f"{tool} is not installed: its rules were not asked"
    if found.ok:
        yield f"nothing to say: {counted(len(found.checked), 'rule')} checked"
        return
    by_rule: dict[str, int] = {}
    for each in found.findings:
        by_rule[each.rule] = by_rule.get(each.rule, 0) + 1
    yield f"{counted(len(found.findings), 'finding')}: " + ", ".join(
        f"{count} {rule}" for rule, count in sorted(by_rule.items(), key=lambda pair: (-pair[1], pair[0]))
    )
