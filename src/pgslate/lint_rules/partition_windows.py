"""Partitioned tables that run out of partitions within months, and have no policy that would make more."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator

from pgslate.lint_rules.finding import Case, Finding
from pgslate.schema.identifiers import qualified
from pgslate.schema.model import SchemaObject

_UPPER = re.compile(r"\bTO \('(?P<day>\d{4}-\d\d-\d\d)[^']*'\)")


def check(case: Case) -> Iterator[Finding]:
    """Tables partitioned by time whose last partition ends before ``months`` from the day asked for."""
    until = _months_after(case.as_of.date(), case.months)
    policies = case.project.policies.values()
    for table in case.trace.schema:
        if table.kind != "table" or not str(table.get("partition_key")).startswith("RANGE"):
            continue
        if any(policy.is_of(*qualified(table.name)) for policy in policies):
            continue
        partitions = [each for each in case.trace.schema if each.get("partition_of") == table.name]
        ends = _ends(partitions)
        if not ends or max(ends) > until or any(each.get("bound") == "DEFAULT" for each in partitions):
            continue
        file, line = case.place_of(case.units[table.name]) if table.name in case.units else ("", 0)
        when = "ended" if max(ends) <= case.as_of.date() else "ends"
        yield Finding(
            "partition-window",
            file,
            line,
            table.name,
            f"the last partition of {table.name} {when} on {max(ends)}, and rows from then on are refused",
            f"give it a policy, [partitions.{table.name.removeprefix('public.')}] in pgslate.toml, and run"
            " `pgslate partitions ensure` by the clock",
        )


def _ends(partitions: list[SchemaObject]) -> list[dt.date]:
    """The days on which the partitions end; none where one goes on without an end, or it isn't by day."""
    found = []
    for each in partitions:
        bound = str(each.get("bound"))
        if "TO (MAXVALUE" in bound:
            return []
        upper = _UPPER.search(bound)
        if upper:
            found.append(dt.date.fromisoformat(upper["day"]))
    return found


def _months_after(day: dt.date, months: int) -> dt.date:
    """The same day, months later; the first of the month after where there is no such day.

    >>> _months_after(dt.date(2026, 11, 30), 3)
    datetime.date(2027, 3, 1)
    """
    count = day.year * 12 + day.month - 1 + months
    try:
        return day.replace(year=count // 12, month=count % 12 + 1)
    except ValueError:
        return dt.date((count + 1) // 12, (count + 1) % 12 + 1, 1)
