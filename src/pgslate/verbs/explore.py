"""The catalog as a page: each table with its slice and the reasons for it, gathered for the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgslate.catalog.statements import Statement
from pgslate.errors import ConfigError, without_passwords
from pgslate.plain_text import plain
from pgslate.project.project import Project
from pgslate.slices.reasons import chain_of_effect, chain_of_unit
from pgslate.slices.slice import Slice, slice_of
from pgslate.trace.effects import Unit, relations

_SHOWN = 4000
"""Characters of a statement that the page holds: a seed of a megabyte tells nobody anything."""


@dataclass(frozen=True, slots=True)
class ExploreResult:
    """The page that was written."""

    page: Path

    def as_json(self) -> dict[str, Any]:
        """``page``, its path."""
        return {"page": str(self.page)}


def explore(project: Project, path: str | Path = "catalog.html") -> ExploreResult:
    """Write the catalog as one HTML page that needs no network and no server.

    It has every table with its slice (files, statements, objects) and the reasons, a matrix of files by
    tables, and a search box. Raises ConfigError where the file can't be written, and what tracing raises.
    """
    target = Path(path)
    try:
        target.write_text(page_of(project), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{target} can't be written: {error.strerror}", fix="give a path in a folder that is there"
        ) from None
    return ExploreResult(target)


def page_of(project: Project) -> str:
    """The page itself, as HTML."""
    from pgslate.report.explore import page

    return page(gathered(project))


def gathered(project: Project) -> dict[str, Any]:
    """What the page shows, as JSON.

    ``name`` is the catalog's folder, ``format`` its layout, ``server`` the version that it was traced on.
    ``files`` are what migrations are called; ``statements`` ``[file, line, text]``; ``reasons`` are chains of
    phrases; ``tables`` have ``name``, ``kind``, ``columns``, ``required`` (``[kind, name, reason]``),
    ``needed`` (``[statement, reason]``) and ``along`` (statements that only come with their file), each a
    number in those lists. ``contracts`` are tables by contract, ``unseen`` ``[file, line, what]``.
    """
    catalog, trace = project.catalog, project.trace
    reasons: dict[tuple[str, ...], int] = {}
    tables = [
        _table(project, unit, reasons) for unit in relations(trace) if trace.units[unit].kind != "sequence"
    ]
    statements = [
        [
            effect.migration,
            effect.line,
            _shown(catalog.migrations[effect.migration].statements[effect.statement]),
        ]
        for effect in trace.effects
    ]
    return {
        "name": catalog.root.resolve().name,
        "format": catalog.format,
        "server": trace.server,
        "files": [migration.shown for migration in catalog],
        "statements": statements,
        "reasons": [[plain(link) for link in chain] for chain in reasons],
        "tables": tables,
        "contracts": {name: list(each.tables) for name, each in sorted(project.config.contracts.items())},
        "unseen": [[each.migration, each.line, each.what] for each in trace.uncertain],
    }


def _shown(statement: Statement) -> str:
    return without_passwords(statement.text)[:_SHOWN]


def _table(project: Project, unit: Unit, reasons: dict[tuple[str, ...], int]) -> dict[str, Any]:
    trace = project.trace
    info = trace.units[unit]
    chosen = _slice(project, unit)
    there = trace.schema.get(info.kind, info.name)

    def number(chain: tuple[str, ...]) -> int:
        return reasons.setdefault(chain, len(reasons))

    columns = []
    for part in trace.schema.parts.get((info.kind, info.name), ()):
        if part.kind.endswith("column") and part.get("type"):
            columns.append([part.name.removeprefix(f"{info.name}."), str(part.get("type"))])
    return {
        "name": plain(info.name),
        "kind": info.kind,
        "partition": plain(str(there.get("partition_of") or "")) if there else "",
        "columns": columns,
        "required": [
            [trace.units[u].kind, plain(trace.units[u].name), number(chain_of_unit(chosen, u))]
            for u in sorted(chosen.required)
        ],
        "needed": [[index, number(chain_of_effect(chosen, index))] for index in sorted(chosen.needed)],
        "along": sorted(chosen.effects - chosen.needed),
    }


def _slice(project: Project, unit: Unit) -> Slice:
    from pgslate.errors import ProofError

    name = project.trace.units[unit].name
    try:
        return slice_of(project.catalog, project.trace, [unit], tables=(name,))
    except ProofError:  # it can't be used, and still be looked at
        from dataclasses import replace

        return slice_of(project.catalog, replace(project.trace, unproved={}), [unit], tables=(name,))
