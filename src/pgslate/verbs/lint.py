"""``pgslate lint``: what will hurt, as far as a trace of the catalog knows it.

One file a family of rules; to add a rule, write a function that takes a ``Case`` and yields ``Finding``s, and
give it its line in ``RULES``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence

from pgslate.errors import UsageError
from pgslate.lint_rules import (
    breaking_changes,
    coupling,
    downs,
    partition_windows,
    squawk,
    table_design,
    table_locks,
)
from pgslate.lint_rules.finding import Case, Finding, Findings
from pgslate.project.configuration import suggestion
from pgslate.project.project import Project

__all__ = ["RULES", "Finding", "Findings", "lint"]

RULES: Mapping[str, Callable[[Case], Iterator[Finding]]] = {
    "down": downs.check,
    "mega-migration": coupling.check,
    "no-primary-key": table_design.without_primary_key,
    "foreign-key-index": table_design.foreign_keys_without_index,
    "duplicate-index": table_design.duplicate_indexes,
    "partition-window": partition_windows.check,
    "lock-on-rows": table_locks.check,
    breaking_changes.RULE: breaking_changes.check,
    "squawk": squawk.check,
}
"""The rules by name; those of squawk are called ``squawk/NAME``."""


def lint(
    project: Project,
    *,
    rules: Sequence[str] = (),
    ignore: Sequence[str] = (),
    as_of: dt.datetime | None = None,
    months: int = 3,
) -> Findings:
    """What is wrong, or will hurt one day, with the project's migrations and the tables that they make.

    ``rules`` (none: all) and ``ignore`` are names out of ``RULES``, or of squawk's (``squawk/NAME``).
    ``months`` is how far ahead of ``as_of`` (default: now) partitions have to reach. Raises UsageError for an
    unknown rule, and what tracing raises.
    """
    for name in (*rules, *ignore):
        if name.partition("/")[0] not in RULES or ("/" in name and not name.startswith("squawk/")):
            raise UsageError(f"there is no rule {name!r}", fix=suggestion(name, RULES))
    case = Case(project, as_of or dt.datetime.now(dt.UTC), months)
    asked = {name.partition("/")[0] for name in rules} or set(RULES)
    checked = [name for name in RULES if name in asked and name not in ignore]
    found = [
        finding
        for name in checked
        for finding in RULES[name](case)
        if not _is_in(finding.rule, ignore) and (not rules or _is_in(finding.rule, rules))
    ]
    order = {migration.file: index for index, migration in enumerate(project.catalog)}
    found = list(dict.fromkeys(found))
    found.sort(key=lambda each: (order.get(each.file, len(order)), each.line, each.rule, each.object))
    not_asked = [name for name in checked if name == "squawk" and not squawk.is_installed()]
    checked = [name for name in checked if name not in not_asked]
    return Findings(tuple(found), tuple(checked), tuple(not_asked))


def _is_in(rule: str, names: Sequence[str]) -> bool:
    return rule in names or rule.partition("/")[0] in names
