"""Growing: a file that runs below others that are applied already meets what these have left, which may lack
what it uses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection

from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import means_a_changed_object
from pgslate.errors import PgslateError
from pgslate.slices.slice import Slice
from pgslate.trace.effects import Effect

_TAKES_AWAY = re.compile(r"\b(drop|rename)\b", re.IGNORECASE)


def explain(
    error: PgslateError, slice_: Slice, migration: Migration, statement: int, applied: Collection[str]
) -> PgslateError:
    """The error, with what it comes from where the migration is older than some of those ``applied``.

    ``statement`` is its index in the file.
    """
    state = getattr(error, "sqlstate", "")
    catalog = slice_.catalog
    at = catalog.migrations.index(migration)
    later = {index for index, one in enumerate(catalog) if index > at and one.version in applied}
    if not later or not means_a_changed_object(state):
        return error
    found = _changed_since(slice_, at, statement, later)
    if found is None:
        return error
    index, verb = found
    own, other = migration.shown, catalog.migrations[index].shown
    error.message += (
        f"\n{own} is older than {other}, which was applied before it and {verb} something that it uses."
    )
    error.fix = (
        "in the files form a database takes more tables as long as older files still run on what newer ones"
        " left: apply all the tables together to an empty database, as `pgslate clone` and a new `pgslate up`"
        f" do; or, if nothing of it is needed, pass it over with --assume-applied {shlex.quote(own)}"
    )
    return error


def _changed_since(
    slice_: Slice, migration: int, statement: int, later: Collection[int]
) -> tuple[int, str] | None:
    """Which of the ``later`` migrations took away what a statement uses, and what it did to it."""
    trace = slice_.trace
    own = next((i for i in trace.by_migration[migration] if trace.effects[i].statement == statement), None)
    if own is None:
        return None
    effect = trace.effects[own]
    uses = effect.touches | effect.reads | effect.drops | frozenset(target for _, target in effect.links)
    since = [each for each in trace.effects[own + 1 :] if each.migration in later]
    for each in since:
        if uses & (each.drops | each.cascades):
            return each.migration, "drops"
    for each in since:
        if uses & each.changes and each.frees:
            return each.migration, "renames"
    changing = [each for each in since if uses & (each.changes - each.marks)]
    telling = [each for each in changing if _TAKES_AWAY.search(_text(slice_, each))]
    return next(((each.migration, "changes") for each in telling or changing), None)


def _text(slice_: Slice, effect: Effect) -> str:
    return slice_.catalog.migrations[effect.migration].statements[effect.statement].text
