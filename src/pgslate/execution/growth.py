"""Growing: a file that runs below others that are applied already meets what these have left, which may lack
what it uses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable, Sequence

from pgslate.catalog.migration import Migration
from pgslate.catalog.sqlstates import means_a_changed_object
from pgslate.errors import PgslateError
from pgslate.plain_text import plain
from pgslate.slices.slice import Slice
from pgslate.trace.effects import Effect, Unit

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
    found = _cause(slice_, at, statement, later)
    if found is None:
        return error
    own = migration.shown
    error.message += f"\n{_sentence(slice_, at, *found)}."
    error.fix = (
        "in the files form a database takes more tables as long as older files still run on what newer ones"
        " left: apply all the tables together to an empty database, as `pgslate clone` and a new `pgslate up`"
        f" do; or, if nothing of it is needed, pass it over with --assume-applied {shlex.quote(own)}"
    )
    return error


def collisions(slice_: Slice, pending: Iterable[int], applied: Collection[str]) -> tuple[str, ...]:
    """What may go wrong where pending migrations are older than applied ones: a sentence for each.

    A newer migration, which is applied already, has changed, renamed or dropped something that it uses.
    """
    catalog = slice_.catalog
    found = []
    for at in pending:
        later = {index for index, one in enumerate(catalog) if index > at and one.version in applied}
        uses = _uses(slice_, slice_.trace.by_migration[at])
        change = _changed_since(slice_, slice_.trace.by_migration[at], uses, later) if later else None
        if change is not None:
            found.append(_sentence(slice_, at, *change))
    return tuple(found)


def _sentence(slice_: Slice, migration: int, other: int, verb: str, unit: Unit | None = None) -> str:
    catalog, what = slice_.catalog, "something that it uses"
    if unit is not None:
        what = f"{plain(str(slice_.trace.units[unit]))}, which it uses"
    return (
        f"{catalog.migrations[migration].shown} is older than {catalog.migrations[other].shown}, which was"
        f" applied before it and {verb} {what}"
    )


def _uses(slice_: Slice, effects: Iterable[int]) -> frozenset[Unit]:
    """What the effects touch, read, drop or refer to."""
    found: set[Unit] = set()
    for index in effects:
        effect = slice_.trace.effects[index]
        found |= effect.touches | effect.reads | effect.drops | {target for _, target in effect.links}
    return frozenset(found)


def _cause(
    slice_: Slice, migration: int, statement: int, later: Collection[int]
) -> tuple[int, str, Unit | None] | None:
    """The later migration that changed what a statement uses, or what an earlier one of its file uses."""
    own = [i for i in slice_.trace.by_migration[migration] if slice_.trace.effects[i].statement <= statement]
    if not own:
        return None
    found = _changed_since(slice_, own, _uses(slice_, own[-1:]), later)
    return found or _changed_since(slice_, own, _uses(slice_, own), later)


def _changed_since(
    slice_: Slice, own: Sequence[int], uses: frozenset[Unit], later: Collection[int]
) -> tuple[int, str, Unit | None] | None:
    """Which of the ``later`` migrations took away or changed what is used, what it did, and to which unit."""
    trace = slice_.trace
    since = [each for each in trace.effects[own[-1] + 1 :] if each.migration in later] if own else []
    for each in since:
        if uses & (each.drops | each.cascades):
            return each.migration, "drops", None
    for each in since:
        if uses & each.changes and each.frees:
            return each.migration, "renames", None
    changing = [each for each in since if uses & (each.changes - each.marks)]
    telling = [each for each in changing if _TAKES_AWAY.search(_text(slice_, each))]
    for each in telling or changing:
        return each.migration, "changes", min(uses & (each.changes - each.marks))
    return None


def _text(slice_: Slice, effect: Effect) -> str:
    return slice_.catalog.migrations[effect.migration].statements[effect.statement].text
