"""How what a statement wrote, counted and said becomes its effect on the units of the world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pgslate.schema.identifiers import parts
from pgslate.trace import references
from pgslate.trace.effects import Effect, Link, Unit
from pgslate.trace.loops import NO_TIES, Thing, Ties
from pgslate.trace.names_in_use import KINDS_WITH_TYPE, RELATIONS
from pgslate.trace.observer import Counters, Observer
from pgslate.trace.system_catalogs import PG_CLASS, PG_PROC, Row
from pgslate.trace.world import Told, World

_RELATION_KINDS = (*KINDS_WITH_TYPE, "sequence")


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one statement: the rows it wrote, the counters around it, what it ties together.

    ``locks`` are what to judge by instead of those in ``after``, where the counters can't be believed.
    """

    rows: list[Row]
    before: Counters
    after: Counters
    tied: Ties = NO_TIES
    locks: dict[int, tuple[bool, int]] | None = None


def effect_of(
    world: World, observer: Observer, seen: Seen, *, text: str, place: tuple[int, int, int], at: int
) -> Effect:
    """The effect of the statement ``text``, number ``at`` of the trace; the world takes in what it wrote.

    ``place`` is (migration, statement, line). Objects that are gone are asked of ``observer``.
    """
    said = _said(world, text, seen.after.path)
    # Code may drop what it names, itself too: it is read before that is forgotten, and after it was made.
    ran = _ran(world, seen)
    met = _reached(world, said, ran)[1] if ran or said.called else set()
    called = said.called | _called_by(world, ran, seen.after.path)
    told = world.take(
        seen.rows,
        observer,
        observer.deleted(seen.before, seen.after),
        more_edges=observer.more_edges(seen.before, seen.after) if seen.locks is None else None,
        at=at,
    )
    ran |= _ran(world, seen)
    words, mentioned = _reached(world, said, ran)
    mentioned |= met
    writes, locked = _used(world, seen, mentioned, words)
    if "truncate" in words:
        writes |= said.writes
    writes |= told.rewritten - told.shapes
    numbered = world.before_numbered(told.takes, words)
    enums = world.enums_said(text, said.named)
    types = world.types_used(said.named | locked | writes | called | ran | mentioned)
    silent = world.resolved_silently(text) | {u for u in mentioned if _is_text_search(world, u)}
    always = seen.tied.always
    mentioned |= always
    reads = (
        said.named | called | ran | locked | world.fired_by(ran) | numbered | enums | always | types | silent
    )
    changes = {unit for unit in told.changes if unit in said.named or unit in mentioned}
    drops = {unit for unit in told.dropped if unit in said.named or unit in called or unit in mentioned}
    marked = told.marks - told.shapes - writes - said.called - ran - numbered
    world.set_positions(seen.after.positions)
    return Effect(
        migration=place[0],
        statement=place[1],
        line=place[2],
        creates=frozenset(told.creates),
        changes=frozenset(changes),
        sweeps=frozenset(told.changes - changes),
        drops=frozenset(drops),
        cascades=frozenset(told.dropped - drops),
        writes=frozenset(writes - told.creates - told.dropped),
        reads=frozenset(reads - told.creates - told.dropped - told.changes - writes),
        marks=frozenset(unit for unit in marked & changes if world.units[unit].kind in _RELATION_KINDS),
        links=frozenset(told.links),
        ties=frozenset(_tied(world, seen.tied, told)),
        calls=seen.tied.calls,
        unlinks=frozenset(told.unlinks),
        attaches=frozenset(told.attaches),
        takes=frozenset(told.takes - told.frees),
        frees=frozenset(told.frees - told.takes),
        passes=frozenset(world.passed(words, told.frees) if said.code or ran else ()),
    )


def unnamed(
    world: World, seen: Seen, outcome: Iterable[Thing], *, text: str
) -> tuple[tuple[Unit, ...], tuple[Unit, ...]] | None:
    """The relations that nothing names of what a statement says and calls: those met, and the others.

    ``outcome`` is what it changed and made; with the relations that it locked, these are met. None where it
    changed and made only what is named. The world has not taken in what the statement wrote.
    """
    said = _said(world, text, seen.after.path)
    words, mentioned = _reached(world, said, _ran(world, seen))
    named = said.named | mentioned
    changed = {thing for thing in outcome if isinstance(thing, int)}
    made = {parts(thing[1])[-1].lower() for thing in outcome if not isinstance(thing, int)}
    if changed <= named and made <= words:
        return None
    locked = seen.after.locks.keys() - seen.before.locks.keys()
    met = changed | {world.unit((PG_CLASS, oid)) for oid in locked}
    alive = (unit for unit in world.alive() if unit not in named and not world.is_temporary(unit))
    relations = [unit for unit in alive if world.units[unit].kind in RELATIONS]
    return tuple(u for u in relations if u in met), tuple(u for u in relations if u not in met)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the text of a statement names: units, those that it would ``writes``, and every word of it.

    ``mentioned`` are the units that one of the words is a name of. ``code``: it is a DO block.
    """

    named: set[Unit]
    called: set[Unit]
    writes: set[Unit]
    words: frozenset[str]
    mentioned: set[Unit]
    code: bool


def _said(world: World, text: str, path: Iterable[str]) -> _Said:
    def relations(found: Iterable[references.Name]) -> set[Unit]:
        return {unit for name in found if (unit := world.relation(name, path)) is not None}

    said = references.of_statement(text)
    named = relations(said.relations | said.types)
    called = {unit for name in said.functions for unit in world.functions(name, path)}
    if "CREATE" in text[:400].upper():
        body = references.of_body(text)
        named |= relations(body.declared)
        called |= {unit for name in body.checked for unit in world.functions(name, path)}
    if said.code:
        called |= {unit for name in references.called(text) for unit in world.functions(name, path)}
    words = references.words(text)
    return _Said(named, called, relations(said.writes), words, world.mentioned(words), said.code)


def _ran(world: World, seen: Seen) -> set[Unit]:
    """The functions that were called."""
    before = seen.before.calls
    called = (oid for oid, count in seen.after.calls.items() if count != before.get(oid, 0))
    return {unit for oid in called if (unit := world.unit((PG_PROC, oid))) is not None}


def _called_by(world: World, ran: Iterable[Unit], path: Sequence[str]) -> set[Unit]:
    """The functions that the bodies of those that ran name: they must be there, though no row led to them."""
    said = {name for unit in ran for name in world.function_calls(unit)}
    return {unit for name in said for unit in world.functions(name, path)}


def _reached(world: World, said: _Said, ran: set[Unit]) -> tuple[frozenset[str], set[Unit]]:
    """The words of a statement and of the functions that it called, and the units they may be naming."""
    words = said.words.union(*map(world.function_words, said.called | ran))
    return words, said.mentioned | world.mentioned(words)


def _used(
    world: World, seen: Seen, mentioned: set[Unit], words: frozenset[str]
) -> tuple[set[Unit], set[Unit]]:
    """The units whose rows were written, and those whose rows may have been read.

    These are the ``mentioned`` that were locked, and what was locked to read them: partitions and inheritance
    children of a table, the tables of a view.
    """
    writes: set[Unit] = set()
    opened: set[Unit] = set()
    may_set = "setval" in words
    for unit, wrote, went_on in uses(world, seen, may_set=may_set):
        if unit is None:
            continue
        if wrote or went_on:
            writes.add(unit)
        opened.add(unit)
    if seen.locks is not None:  # what was locked for writing before may have been written again
        held = {world.unit((PG_CLASS, oid)) for oid, (for_writing, _) in seen.locks.items() if for_writing}
        writes |= mentioned & held
    return writes, world.read_through(mentioned & opened, opened)


def uses(world: World, seen: Seen, *, may_set: bool) -> Iterator[tuple[Unit | None, bool, bool]]:
    """Each relation locked: its unit, whether rows were written, whether it is a sequence that went on.

    None is what the world doesn't know yet. With ``may_set`` a statement calls setval: that a sequence was
    set to begin at another number can't be seen before it gives one out.
    """
    for oid, (for_writing, count) in (seen.after.locks if seen.locks is None else seen.locks).items():
        obj = (PG_CLASS, oid)
        unit = world.unit(obj)
        was_for_writing, count_before = seen.before.locks.get(oid, (False, 0))
        went_on = False
        if unit is not None and world.units[unit].kind == "sequence":
            if oid in seen.after.positions:
                position = seen.after.positions[oid]
                went_on = position != world.position(obj) or (may_set and position is None)
            else:  # this role may not look at it
                went_on = for_writing and not was_for_writing
        yield unit, count != count_before, went_on


def _is_text_search(world: World, unit: Unit) -> bool:
    return world.units[unit].kind.startswith("text search")


def turns_off_counters(world: World, text: str) -> bool:
    """Whether a statement, or a function that it may call, speaks of the setting that the counters need."""
    return world.may_hide_counts() or "track_counts" in text.lower()


def _tied(world: World, tied: Ties, told: Told) -> Iterable[Link]:
    """The ties as pairs of units, now that what was made anew on every run has numbers."""
    made = {(world.units[unit].kind, world.units[unit].name): unit for unit in told.creates}
    for thing, unit in tied.ties:
        source = thing if isinstance(thing, int) else made.get(thing)
        if source is not None and source != unit:
            yield (source, unit)
