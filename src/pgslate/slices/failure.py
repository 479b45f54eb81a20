"""What a failed proof names, and what is taken into the slice because of it.

A failure is an error of a statement, a definition that came out otherwise, or rows or a sequence's position.
Each of them says names. The statements that touched, dropped or freed these names, and are not in the slice,
are what the next try adds.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg

from pgslate.schema.difference import Difference
from pgslate.schema.identifiers import parts
from pgslate.schema.model import Name
from pgslate.slices.replay import ReplayFailedError, located
from pgslate.slices.slice import Slice
from pgslate.trace.effects import Unit


@dataclass(frozen=True)
class Failure:
    """Why a proof failed, in words, and the effects and units that may mend it.

    ``of_rows`` says that definitions came out right, but rows or a sequence's position did not.
    """

    what: str
    effects: frozenset[int] = frozenset()
    units: frozenset[Unit] = frozenset()
    of_rows: bool = False


_NAMED = re.compile(r'"([^"]+)"')


def of_statement(attempt: Slice, failure: ReplayFailedError) -> Failure:
    """A statement of the slice failed."""
    trace = attempt.trace
    at = next(
        (
            index
            for index, effect in enumerate(trace.effects)
            if (effect.migration, effect.statement) == (failure.migration, failure.statement)
        ),
        len(trace.effects),
    )
    diag = failure.error.diag
    message = " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.context)))
    named = _names_in(message)
    what = str(located(failure, attempt)).split("\n", 1)[0]
    return Failure(what, _writers(attempt, named, before=at))


def of_script(attempt: Slice, error: psycopg.Error) -> Failure:
    """The script of the objects form failed."""
    message = " ".join(
        filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.context))
    )
    return Failure(str(error).split("\n", 1)[0], units=_alive_units(attempt, _names_in(message)))


def _names_in(message: str) -> set[str]:
    """What an error message may be naming: quoted names, and every word of some length."""
    quoted = [at for at, character in enumerate(message) if character == '"']
    # PostgreSQL doubles no quote inside of a name that it says.
    inside = {
        message[one + 1 : other] for one, other in itertools.combinations(quoted, 2) if other - one < 66
    }
    return (
        {parts(name)[-1].lower() for name in _NAMED.findall(message)}
        | {name.lower() for name in inside}
        | {word.lower() for word in re.findall(r"[\w$]+", message) if len(word) > 2}
    )


def _alive_units(attempt: Slice, named: set[str]) -> frozenset[Unit]:
    return frozenset(
        unit
        for unit, info in enumerate(attempt.trace.units)
        if info.dropped is None and unit not in attempt.required and parts(info.name)[-1].lower() in named
    )


def of_definitions(attempt: Slice, differences: Sequence[Difference]) -> Failure:
    """Definitions came out otherwise than after the whole catalog."""
    first = differences[0]
    what = f"{first.kind} {first.object}: expected {first.expected}, found {first.found}"
    named = {part.lower() for name in first.object.split(" on ") for part in parts(name)[-2:]}
    if attempt.form == "objects":
        return Failure(what, units=_alive_units(attempt, named))
    end = len(attempt.trace.effects)
    effects = (
        _writers(attempt, named, before=end)
        or _writers(attempt, {word for each in differences for word in _names_in(each.expected)}, before=end)
        or _swept_together(attempt, named)
    )
    return Failure(what, effects)


def of_rows(attempt: Slice, name: Name, how: str) -> Failure:
    """Rows of a table, or the position of a sequence, came out otherwise than after the whole catalog.

    The statements that wrote them read something that the slice makes otherwise. First everything is taken in
    that touched what they name, and what leans on that (as a partition leans on its table); then everything
    that wrote rows before them.
    """
    what = f"{name[0]} {name[1]} {how}"
    trace = attempt.trace
    units = {unit for unit in attempt.required if (trace.units[unit].kind, trace.units[unit].name) == name}
    writing = [index for index in sorted(attempt.effects) if trace.effects[index].touches & units]
    last = max(writing, default=len(trace.effects))
    near = set(units)
    for index in writing:
        effect = trace.effects[index]
        near |= effect.reads | effect.writes | effect.changes
    leaning = {source for e in trace.effects[:last] for source, target in e.links if target in near}
    touched = near | leaning
    effects = frozenset(
        index
        for index, effect in enumerate(trace.effects[: last + 1])
        if index not in attempt.effects and (effect.touches | effect.drops | effect.cascades) & touched
    )
    if not effects:
        effects = frozenset(index for index, effect in enumerate(trace.effects[: last + 1]) if effect.writes)
    return Failure(what, effects - attempt.effects, of_rows=True)


def _swept_together(attempt: Slice, named: Iterable[str]) -> frozenset[int]:
    """What made the other units that a statement swept together with a named one: a loop, say, over them all.

    What it did to the one may hang on the others' being there, by no name that anybody can read.
    """
    trace = attempt.trace
    names = frozenset(named)
    found: set[int] = set()
    for index in attempt.effects:
        swept = trace.effects[index].sweeps
        if any(parts(trace.units[unit].name)[-1].lower() in names for unit in swept):
            found |= {at for unit in swept for at in trace.touching.get(unit, ()) if at < index}
    return frozenset(found - attempt.effects)


def _writers(attempt: Slice, named: Iterable[str], *, before: int) -> frozenset[int]:
    """The statements before ``before`` that touched, dropped, freed or made what is named.

    What an extension's statement made are names that it took: its functions are no units of their own.
    """
    names = frozenset(named)
    trace = attempt.trace

    def is_named(unit: Unit) -> bool:
        return parts(trace.units[unit].name)[-1].lower() in names

    found: set[int] = set()
    for index, effect in enumerate(trace.effects[:before]):
        if index in attempt.effects:
            continue
        units = effect.touches | effect.drops | effect.cascades | {link[0] for link in effect.unlinks}
        held = {parts(name.split(":", 1)[1])[-1].lower() for name in effect.frees | effect.takes}
        if any(map(is_named, units)) or held & names:
            found.add(index)
    return frozenset(found)
