"""Extensions that a plan needs, looked for on the server before anything is run."""

from __future__ import annotations

from typing import Any

import psycopg

from pgslate.catalog.migration import Migration
from pgslate.catalog.statements import extension_of
from pgslate.errors import MissingExtensionError
from pgslate.execution.planner import Plan
from pgslate.slices.slice import Slice


def created(plan: Plan) -> dict[str, Migration]:
    """The extensions that the plan's statements create, each with the first migration that does. Pure."""
    found: dict[str, Migration] = {}
    for step in plan.steps:
        for part in step.parts:
            for _, statement in part.statements:
                if name := extension_of(statement):
                    found.setdefault(name, step.migration)
    return found


def users(slice_: Slice, extension: str) -> tuple[Migration, ...]:
    """The slice's migrations that create or use an extension. Pure."""
    trace = slice_.trace
    units = {u for u, info in enumerate(trace.units) if (info.kind, info.name) == ("extension", extension)}
    found = set()
    for effect in trace.effects:
        touched = effect.touches | effect.reads | {target for _, target in effect.links}
        if units & touched:
            found.add(effect.migration)
    return tuple(slice_.catalog.migrations[index] for index in slice_.migrations if index in found)


def check(connection: psycopg.Connection[Any], slice_: Slice, plan: Plan) -> None:
    """Raise MissingExtensionError where the server can't install one, saying for which migrations."""
    wanted = created(plan)
    if not wanted:
        return
    rows = connection.execute(
        "SELECT name::text FROM pg_catalog.pg_available_extensions WHERE name = ANY (%s)", (list(wanted),)
    )
    there = {row[0] for row in rows}
    missing = [name for name in wanted if name not in there]
    if not missing:
        return
    lines: list[str] = []
    needing: list[Migration] = []
    for name in missing:
        migrations = users(slice_, name) or (wanted[name],)
        needing += migrations
        verb = "needs" if len(migrations) == 1 else "need"
        lines.append(f"the server has no extension {name}, which {', '.join(map(str, migrations))} {verb}")
    raise MissingExtensionError(
        "\n".join(lines) + "\nNothing was run.",
        fix=f"install {', '.join(missing)} on the server, or name only the tables that do without",
        extensions=tuple(missing),
        migrations=tuple(dict.fromkeys(m.version for m in needing)),
    )
