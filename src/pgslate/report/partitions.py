"""`partitions` for people: which windows a policy asks for, and which partitions stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pgslate.plain_text import aligned, counted

if TYPE_CHECKING:
    from pgslate.partitions.coverage import Survey
    from pgslate.partitions.ensure import Ensured


def text(surveys: Sequence[Survey]) -> str:
    """How each table stands against its policy."""
    return "\n".join(line for survey in surveys for line in _table(survey))


def ensured(done: Sequence[Ensured]) -> str:
    """What was made for each table."""
    lines = []
    for each in done:
        made = f"made {', '.join(each.made)}" if each.made else "nothing was missing"
        lines.append(f"{each.survey.table.qualified}: {made}")
        lines += [f"  finished the interrupted detaching of {name}" for name in each.finished]
    return "\n".join(lines)


def _table(survey: Survey) -> Iterable[str]:
    states = [window.state for window in survey.windows]
    lacking = sum(state != "covered" for state in states)
    verdict = (
        "as the policy asks"
        if survey.ok
        else counted(lacking, "window lacks", "windows lack") + " a partition"
    )
    yield f"{survey.table.qualified}, by {survey.policy.every}, as of {survey.as_of:%Y-%m-%d}: {verdict}"
    stands = [
        (
            each.qualified,
            "DEFAULT" if each.default else f"{_day(each.lower)} to {_day(each.upper)}",
            "half detached" if each.detaching else "stands",
        )
        for each in survey.table.partitions
    ]
    missing = [
        (
            each.planned.name,
            f"{each.planned.window.start} to {each.planned.window.end}",
            each.state + (f" by {', '.join(each.by)}" if each.by else ""),
        )
        for each in survey.windows
        if each.state != "covered"
    ]
    yield aligned([*stands, *missing])
    if missing:
        yield "fix: pgslate partitions ensure"


def _day(moment: object) -> str:
    return f"{moment:%Y-%m-%d}" if moment is not None else "..."
