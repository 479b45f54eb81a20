"""The tables that a catalog makes, each with how much of the catalog it needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pgslate.project.project import Project
from pgslate.report.columns import aligned, counted
from pgslate.slices.selection import relations
from pgslate.slices.slice import slice_of


def text(project: Project) -> str:
    """The tables for people."""
    rows = [(kind, name, counted(needs, "migration")) for kind, name, needs in _tables(project)]
    return "\n".join(
        [
            f"{counted(len(rows), 'relation')}, each with what it needs of {len(project.catalog)}:",
            aligned(rows),
        ]
    )


def document(project: Project) -> dict[str, Any]:
    """The tables for programs."""
    found = [{"table": name, "kind": kind, "migrations": needs} for kind, name, needs in _tables(project)]
    return {"tables": found, "migrations": len(project.catalog)}


def _tables(project: Project) -> Iterator[tuple[str, str, int]]:
    trace = project.trace
    for unit in relations(trace):
        info = trace.units[unit]
        chosen = slice_of(project.catalog, trace, [unit], tables=(info.name,))
        yield info.kind, info.name, len(chosen.migrations)
