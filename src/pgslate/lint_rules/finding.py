"""A finding, and what the rules look at."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pgslate.project.project import Project
from pgslate.trace.effects import Effect, Trace, Unit


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that will hurt: the ``rule`` that says so, where, what, and what to do.

    ``file`` and ``line`` are of the statement (empty and 0 where there is none), ``object`` is the name of
    what it is about (or empty). Where ``message`` is long, ``brief`` says it in a line, and ``excerpt`` shows
    a few lines of what it holds.
    """

    rule: str
    file: str
    line: int
    object: str
    message: str
    fix: str
    brief: str = ""
    excerpt: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """``file:line``, or as much of it as there is; else the object."""
        return f"{self.file}:{self.line}" if self.line else self.file or self.object

    def as_json(self) -> dict[str, Any]:
        """The finding for programs."""
        return {
            "rule": self.rule,
            "file": self.file or None,
            "line": self.line or None,
            "object": self.object or None,
            "message": self.message,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """All findings, in the order of the catalog, and the names of the rules that were ``checked``.

    ``not_asked`` are tools that have rules of their own and are not installed.
    """

    findings: tuple[Finding, ...]
    checked: tuple[str, ...]
    not_asked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The findings for programs."""
        return {
            "ok": self.ok,
            "findings": [each.as_json() for each in self.findings],
            "checked": list(self.checked),
            "not_asked": list(self.not_asked),
        }


@dataclass(frozen=True)
class Case:
    """What is linted: a project, and the day from which partitions have to reach ``months`` ahead."""

    project: Project
    as_of: dt.datetime
    months: int

    @property
    def trace(self) -> Trace:
        return self.project.trace

    @cached_property
    def units(self) -> dict[str, Unit]:
        """The tables there are at the end, by name."""
        return {
            info.name: unit
            for unit, info in enumerate(self.trace.units)
            if info.dropped is None and info.kind in ("table", "materialized view")
        }

    def place_of(self, unit: Unit, *, made_by: Callable[[Effect], bool] | None = None) -> tuple[str, int]:
        """(file, line) of the first statement on a unit that ``made_by`` knows, or of its maker."""
        trace = self.trace
        for index in trace.touching.get(unit, ()):
            effect = trace.effects[index]
            if made_by(effect) if made_by else unit in effect.creates:
                return self.project.catalog.migrations[effect.migration].file, effect.line
        return self.place_of(unit) if made_by else ("", 0)
