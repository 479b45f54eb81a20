"""From what the observer saw of a statement, and from its text, to its effect on the units of the schema."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pgslate.schema.identifiers import parts
from pgslate.trace import references
from pgslate.trace.catalog_rows import Row
from pgslate.trace.changes import Changes
from pgslate.trace.clock import is_made_of_clock
from pgslate.trace.effects import Effect, Link, Unit
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.loops import NO_TIES, Thing, Ties
from pgslate.trace.names_in_use import KINDS_WITH_TYPE, RELATIONS
from pgslate.trace.observer import Observer
from pgslate.trace.session_counters import Counters
from pgslate.trace.system_catalogs import PG_CLASS, PG_PROC

_RELATION_KINDS = (*KINDS_WITH_TYPE, "sequence")


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed of one statement: the rows it wrote, the counters around it, what it ties together.

    ``locks`` are to be used instead of those in ``after``, where the counters can't be believed.
    """

    rows: list[Row]
    before: Counters
    after: Counters
    tied: Ties = NO_TIES
    locks: dict[int, tuple[bool, int]] | None = None


def effect_of(
    live: LiveObjects,
    observer: Observer,
    observed: Observation,
    *,
    text: str,
    place: tuple[int, int, int],
    at: int,
) -> Effect:
    """The effect of a statement; ``live`` takes in what it did.

    Args:
        live: The objects that were alive before it.
        observer: Is asked for objects that are gone.
        observed: What was observed of the statement.
        text: The statement.
        place: Its migration, its number in the file, its line.
        at: Its number in the trace.

    Returns:
        The effect, without the statement's digest.
    """
    named = _names(live, text, observed.after.path)
    # Code may drop what it names, itself too: it is read before that is forgotten, and after it was made.
    ran = _functions_that_ran(live, observed)
    mentioned_before = _words_and_mentioned(live, named, ran)[1] if ran or named.functions else set()
    called = named.functions | _called_by(live, ran, observed.after.path)
    changes = live.take(
        observed.rows,
        observer,
        observer.deleted(observed.before, observed.after),
        more_dependencies=(
            observer.more_edges(observed.before, observed.after) if observed.locks is None else None
        ),
        at=at,
    )
    ran |= _functions_that_ran(live, observed)
    words, mentioned = _words_and_mentioned(live, named, ran)
    always = observed.tied.always
    mentioned |= mentioned_before
    writes, opened = _rows_written_and_read(live, observed, mentioned, words)
    mentioned |= always
    if "truncate" in words:
        writes |= named.written
    writes |= changes.rewritten - changes.redefined
    numbered = live.before_numbered(changes.takes, words)
    reads = named.relations | called | ran | opened | live.fired_by(ran) | numbered | always
    reads |= live.enums_with_value_in(text, named.relations)
    reads |= live.altered_types_of(reads | writes | mentioned)
    reads |= live.types.resolved_in(text, live.units)
    reads |= {unit for unit in mentioned if live.units[unit].kind.startswith("text search")}
    changed = {unit for unit in changes.changes if unit in named.relations or unit in mentioned}
    drops = {u for u in changes.dropped if u in named.relations or u in called or u in mentioned}
    marked = changes.marks - changes.redefined - writes - named.functions - ran - numbered
    relations_made = (live.units[unit] for unit in changes.creates if live.units[unit].kind in RELATIONS)
    clock = is_made_of_clock(
        [parts(info.name)[-1].lower() for info in relations_made],
        [name for name in changes.takes if name.startswith("partition:")],
        words=words,
        text=text,
    )
    live.storage.set_positions(observed.after.positions)
    return Effect(
        migration=place[0],
        statement=place[1],
        line=place[2],
        creates=frozenset(changes.creates),
        changes=frozenset(changed),
        sweeps=frozenset(changes.changes - changed),
        drops=frozenset(drops),
        cascades=frozenset(changes.dropped - drops),
        writes=frozenset(writes - changes.creates - changes.dropped),
        reads=frozenset(reads - changes.creates - changes.dropped - changes.changes - writes),
        marks=frozenset(unit for unit in marked & changed if live.units[unit].kind in _RELATION_KINDS),
        links=frozenset(changes.links),
        ties=frozenset(_ties_of_units(live, observed.tied, changes)),
        calls=observed.tied.calls,
        unlinks=frozenset(changes.unlinks),
        attaches=frozenset(changes.attaches),
        takes=frozenset(changes.takes - changes.frees),
        frees=frozenset(changes.frees - changes.takes),
        clock=clock,
        passes=frozenset(live.taken_and_freed(words, changes.frees) if named.is_code or ran else ()),
    )


def unnamed(
    live: LiveObjects, observed: Observation, outcome: Iterable[Thing], *, text: str
) -> tuple[tuple[Unit, ...], tuple[Unit, ...]] | None:
    """The relations that neither a statement nor the functions that it calls name.

    Args:
        live: The objects that were alive before the statement; what it wrote is not taken in.
        observed: What was observed of the statement.
        outcome: What it changed and made.
        text: The statement.

    Returns:
        Those that it changed or locked, and the others; None where it changed and made only what is named.
    """
    named = _names(live, text, observed.after.path)
    words, mentioned = _words_and_mentioned(live, named, _functions_that_ran(live, observed))
    mentioned |= named.relations
    changed = {thing for thing in outcome if isinstance(thing, int)}
    made = {parts(thing[1])[-1].lower() for thing in outcome if not isinstance(thing, int)}
    if changed <= mentioned and made <= words:
        return None
    locked = observed.after.locks.keys() - observed.before.locks.keys()
    touched = changed | {live.unit((PG_CLASS, oid)) for oid in locked}
    others = (unit for unit in live.alive() if unit not in mentioned and not live.is_temporary(unit))
    relations = [unit for unit in others if live.units[unit].kind in RELATIONS]
    return tuple(u for u in relations if u in touched), tuple(u for u in relations if u not in touched)


def turns_off_counters(live: LiveObjects, text: str) -> bool:
    """Whether a statement, or a function that it may call, speaks of the setting that the counters need."""
    return live.functions.may_hide_counts() or "track_counts" in text.lower()


@dataclass(frozen=True, slots=True)
class _Names:
    """The units that a statement's text names, by what it does with them, and every word of it.

    ``mentioned`` are the units that one of the words is a name of. ``is_code``: it is a DO block.
    """

    relations: set[Unit]
    functions: set[Unit]
    written: set[Unit]
    words: frozenset[str]
    mentioned: set[Unit]
    is_code: bool


def _names(live: LiveObjects, text: str, path: Iterable[str]) -> _Names:
    def relations(found: Iterable[references.Name]) -> set[Unit]:
        return {unit for name in found if (unit := live.relation(name, path)) is not None}

    def functions(found: Iterable[references.Name]) -> set[Unit]:
        return {unit for name in found for unit in live.functions_named(name, path)}

    names = references.of_statement(text)
    named = relations(names.relations | names.types)
    called = functions(names.functions)
    if "CREATE" in text[:400].upper():
        body = references.of_body(text)
        named |= relations(body.declared)
        called |= functions(body.checked)
    if names.code:
        called |= functions(references.called(text))
    words = references.words(text)
    return _Names(named, called, relations(names.writes), words, live.mentioned(words), names.code)


def _functions_that_ran(live: LiveObjects, observed: Observation) -> set[Unit]:
    before = observed.before.calls
    called = (oid for oid, count in observed.after.calls.items() if count != before.get(oid, 0))
    return {unit for oid in called if (unit := live.unit((PG_PROC, oid))) is not None}


def _called_by(live: LiveObjects, ran: Iterable[Unit], path: Sequence[str]) -> set[Unit]:
    """The functions that the bodies of those that ran name: they must be there, though no row led to them."""
    names = {name for unit in ran for name in live.functions.calls(unit)}
    return {unit for name in names for unit in live.functions_named(name, path)}


def _words_and_mentioned(
    live: LiveObjects, named: _Names, ran: set[Unit]
) -> tuple[frozenset[str], set[Unit]]:
    """The words of a statement and of the functions that it called, and the units they may be naming."""
    words = named.words.union(*map(live.functions.words, named.functions | ran))
    return words, named.mentioned | live.mentioned(words)


def _rows_written_and_read(
    live: LiveObjects, observed: Observation, mentioned: set[Unit], words: frozenset[str]
) -> tuple[set[Unit], set[Unit]]:
    """The units whose rows were written, and those whose rows may have been read.

    The latter are the ``mentioned`` that were locked, and what was locked to read them: partitions and
    inheritance children of a table, the tables of a view.
    """
    writes: set[Unit] = set()
    opened: set[Unit] = set()
    for unit, wrote, went_on in uses(live, observed, may_set="setval" in words):
        if unit is None:
            continue
        if wrote or went_on:
            writes.add(unit)
        opened.add(unit)
    if observed.locks is not None:  # what was locked for writing before may have been written again
        held = {live.unit((PG_CLASS, oid)) for oid, (for_writing, _) in observed.locks.items() if for_writing}
        writes |= mentioned & held
    return writes, live.read_through(mentioned & opened, opened)


def uses(
    live: LiveObjects, observed: Observation, *, may_set: bool
) -> Iterator[tuple[Unit | None, bool, bool]]:
    """Each locked relation: its unit, whether rows were written, whether it is a sequence that went on.

    The unit is None for what the statement has just made. With ``may_set`` it may have called setval: that a
    sequence is to begin at another number can't be observed before it gives one out.
    """
    locks = observed.after.locks if observed.locks is None else observed.locks
    for oid, (for_writing, count) in locks.items():
        obj = (PG_CLASS, oid)
        unit = live.unit(obj)
        was_for_writing, count_before = observed.before.locks.get(oid, (False, 0))
        went_on = False
        if unit is not None and live.units[unit].kind == "sequence":
            if oid in observed.after.positions:
                position = observed.after.positions[oid]
                went_on = position != live.storage.position(obj) or (may_set and position is None)
            else:  # this role may not read it
                went_on = for_writing and not was_for_writing
        yield unit, count != count_before, went_on


def _ties_of_units(live: LiveObjects, tied: Ties, changes: Changes) -> Iterable[Link]:
    """The ties as pairs of units, now that what was made anew on every run has numbers."""
    made = {(live.units[unit].kind, live.units[unit].name): unit for unit in changes.creates}
    for thing, unit in tied.ties:
        source = thing if isinstance(thing, int) else made.get(thing)
        if source is not None and source != unit:
            yield (source, unit)
