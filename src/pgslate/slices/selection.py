"""From the names that a user gives to the units of a trace."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from pgslate.catalog.catalog import Catalog
from pgslate.errors import UnknownTableError
from pgslate.schema.identifiers import parts
from pgslate.trace.effects import RELATIONS, Trace, Unit, relations


def select(catalog: Catalog, trace: Trace, tables: Iterable[str]) -> tuple[Unit, ...]:
    """The units that ``tables`` name: ``schema.table`` or, where only one schema has it, just ``table``.

    Names are as PostgreSQL would read them, or written exactly as they are. Raises UnknownTableError, which
    says what the name may have been meant for, or which migration drops the table.
    """
    return tuple(_find(catalog, trace, table) for table in tables)


def _find(catalog: Catalog, trace: Trace, table: str) -> Unit:
    wanted = parts(table)
    matching = [unit for unit in relations(trace) if _matches(wanted, table, trace.units[unit].name)]
    if len(matching) > 1:
        public = [unit for unit in matching if parts(trace.units[unit].name)[0] == "public"]
        exact = public if len(wanted) == 1 else [u for u in matching if parts(trace.units[u].name) == wanted]
        if len(exact) != 1:
            found = ", ".join(trace.units[unit].name for unit in matching)
            raise UnknownTableError(
                f"{table!r} could be any of {found}", fix="give it with its schema", table=table
            )
        matching = exact
    if matching:
        return matching[0]
    raise _unknown(catalog, trace, table, wanted)


def _matches(wanted: Sequence[str], given: str, name: str) -> bool:
    found = parts(name)
    if len(wanted) == 1:
        return found[-1] in (wanted[0], given, given.lower())
    return found == list(wanted) or [p.lower() for p in wanted] == found


def _unknown(catalog: Catalog, trace: Trace, table: str, wanted: Sequence[str]) -> UnknownTableError:
    for info in reversed(trace.units):
        if info.dropped is not None and info.kind in RELATIONS and _matches(wanted, table, info.name):
            effect = trace.effects[info.dropped]
            migration = catalog.migrations[effect.migration]
            return UnknownTableError(
                f"{info.kind} {info.name} is dropped by {migration.file}:{effect.line}",
                fix="leave it out; at the end of the catalog it does not exist",
                table=table,
            )
    known = [trace.units[unit].name for unit in relations(trace)]
    bare = {parts(name)[-1]: name for name in known}
    close = difflib.get_close_matches(wanted[-1], list(bare), n=3, cutoff=0.6)
    meant = f"did you mean {', '.join(close)}?" if close else "`pgslate why` lists the tables there are"
    return UnknownTableError(
        f"no migration of {Path(catalog.root).name} makes a table {table!r}", fix=meant, table=table
    )
