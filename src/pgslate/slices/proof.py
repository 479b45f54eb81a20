"""Proving a slice: applied to an empty database, every required object comes out as after the whole catalog.

A slice that fails its proof is widened by what the failure names, and tried again; the last resort is every
statement there is. So a slice that was proved is never wrong, only larger than it might be.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import Any

import psycopg
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import Snapshot, script_of
from pgslate.dump.kept_snapshot import snapshot_of
from pgslate.errors import FormUnavailableError
from pgslate.schema.compare import compare
from pgslate.schema.difference import Difference
from pgslate.schema.identifiers import parts
from pgslate.schema.read import read
from pgslate.slices.replay import ReplayFailedError, replay, told
from pgslate.slices.slice import Form, Slice, known_widening, slice_of
from pgslate.targets.embedded.server import Server
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening
from pgslate.trace.scratch_server import scratch_server

_TRIES = 12

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Proof:
    """A slice and its proof: on which major version, what each failed try had said, and what that added.

    ``unproved`` says why not even the whole catalog's outcome is the same twice; empty where the slice is
    proved. ``is_unavailable`` marks a form that PostgreSQL can't make these tables in: ``unproved`` says why.
    """

    slice: Slice
    server: int
    failures: tuple[str, ...] = ()
    widening: Widening = NOTHING
    unproved: str = ""
    is_unavailable: bool = False

    @property
    def fell_back(self) -> bool:
        """Whether nothing less than the whole catalog would do."""
        return len(self.widening.effects) == len(self.slice.trace.effects) and bool(self.failures)


class Prover:
    """Proves slices of one catalog on one server; the databases that it makes are dropped again.

    ``prelude`` is run once, in a template, in a session that begins with ``settings``. Roles that a slice
    makes are dropped after its proof, since a role is there for the whole server. ``snapshot`` is for the
    objects form; it is made if none is given.
    """

    def __init__(
        self,
        server: Server,
        *,
        prelude: Sequence[PreludeFile] = (),
        settings: Mapping[str, str] | None = None,
        snapshot: Snapshot | None = None,
    ) -> None:
        self.server = server
        self._prelude = prelude
        self._snapshot = snapshot
        self._template = "template0"
        if prelude:
            self._template = f"pgslate_prelude_{next(_numbers)}"
            server.create_database(self._template, template="template0")
            with server.target(self._template).connect(settings=settings, autocommit=True) as connection:
                run_prelude(connection, prelude)
        self._admin = server.target().connect(autocommit=True)
        self._roles = self._all_roles()

    def close(self) -> None:
        self._admin.close()

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def prove(self, catalog: Catalog, trace: Trace, asked: Sequence[Unit], form: Form) -> Proof:
        """The proved slice for the units ``asked``, as much wider as its proof needs."""
        names = tuple(trace.units[unit].name for unit in asked)
        widening = known_widening(trace, asked, form)
        failures: list[str] = []
        for _ in range(_TRIES):
            attempt = slice_of(catalog, trace, asked, tables=names, form=form, widening=widening)
            try:
                failure = self.check(attempt)
            except FormUnavailableError as error:
                return Proof(attempt, self.server.major, unproved=error.cause, is_unavailable=True)
            if failure is None:
                return Proof(attempt, self.server.major, tuple(failures), widening)
            failures.append(failure.what)
            effects, units = failure.effects - attempt.effects, failure.units - attempt.required
            if not (effects or units):
                break
            widening = Widening(
                widening.effects | effects, widening.units | units, (*widening.why, failure.what)
            )
        everything = Widening(
            frozenset(range(len(trace.effects))),
            frozenset(u for u, info in enumerate(trace.units) if info.dropped is None),
            (*widening.why, "the whole catalog"),
        )
        attempt = slice_of(catalog, trace, asked, tables=names, form=form, widening=everything)
        failure = self.check(attempt)
        unproved = failure.what if failure else ""
        return Proof(attempt, self.server.major, tuple(failures), everything, unproved)

    def check(self, attempt: Slice) -> Failure | None:
        """Apply the slice to an empty database and compare; None if it holds."""
        name = f"pgslate_proof_{next(_numbers)}"
        self.server.create_database(name, template=self._template)
        try:
            with self.server.target(name).connect(
                settings=attempt.catalog.settings, autocommit=True, prepare_threshold=None
            ) as connection:
                try:
                    self._run(attempt, connection)
                except ReplayFailedError as failure:
                    return _apply_failed(attempt, failure)
                except psycopg.Error as error:
                    return _script_failed(attempt, error)
                return _differs(attempt, connection)
        finally:
            self.server.drop_database(name)
            self._drop_roles()

    def _run(self, attempt: Slice, connection: psycopg.Connection[Any]) -> None:
        if attempt.form != "objects":
            replay(attempt, connection)
            return
        if self._snapshot is None:
            self._snapshot = snapshot_of(attempt.catalog, prelude=self._prelude, major=self.server.major)
        with connection.transaction():
            connection.execute(script_of(attempt, self._snapshot).encode(), prepare=False)

    def _all_roles(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._admin.execute("SELECT rolname FROM pg_catalog.pg_roles"))

    def _drop_roles(self) -> None:
        for role in sorted(self._all_roles() - self._roles):
            self._admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def prove_one(
    catalog: Catalog, prelude: Sequence[PreludeFile], trace: Trace, asked: Sequence[Unit], form: Form
) -> Proof:
    """Prove a slice on a scratch server. Raises TargetError where none can be started."""
    with (
        scratch_server(catalog) as server,
        Prover(server, prelude=prelude, settings=catalog.settings) as prover,
    ):
        return prover.prove(catalog, trace, asked, form)


@dataclass(frozen=True)
class Failure:
    """Why a proof failed, in words, and the effects and units that may mend it."""

    what: str
    effects: frozenset[int] = frozenset()
    units: frozenset[Unit] = frozenset()
    differences: tuple[Difference, ...] = ()


def prove_many(
    catalog: Catalog,
    trace: Trace,
    asked: Sequence[tuple[tuple[Unit, ...], Form]],
    *,
    prelude: Sequence[PreludeFile] = (),
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> list[Proof]:
    """Prove a slice for each of ``asked`` (units and form), on as many servers at once as ``workers``.

    Slices that replay the same statements are proved together, in one database. ``progress`` is called with
    how many are done and how many there are. Proofs come back in the order of ``asked``.
    """
    if not asked:
        return []  # and no server is started
    groups: dict[tuple[Form, frozenset[int]], list[int]] = {}
    for index, (units, form) in enumerate(asked):
        attempt = slice_of(catalog, trace, units, form=form)
        key = (form, attempt.required if form == "objects" else attempt.effects)
        groups.setdefault(key, []).append(index)
    found: list[Proof | None] = [None] * len(asked)
    done = itertools.count(1)

    def one(provers: SimpleQueue[Prover], members: list[int]) -> None:
        prover = provers.get()
        try:
            units = tuple(dict.fromkeys(unit for index in members for unit in asked[index][0]))
            form = asked[members[0]][1]
            together = prover.prove(catalog, trace, units, form)
            for index in members:
                if together.failures:
                    found[index] = prover.prove(catalog, trace, asked[index][0], form)
                else:
                    names = tuple(trace.units[unit].name for unit in asked[index][0])
                    own = slice_of(catalog, trace, asked[index][0], tables=names, form=form)
                    found[index] = replace(together, slice=own)
                if progress:
                    progress(next(done), len(asked))
        finally:
            provers.put(prover)

    wants_objects = any(form == "objects" for _, form in asked)
    final = snapshot_of(catalog, prelude=prelude) if wants_objects else None
    with ExitStack() as stack:
        provers: SimpleQueue[Prover] = SimpleQueue()
        for _ in range(max(1, min(workers, len(groups)))):
            server = stack.enter_context(scratch_server(catalog))
            prover = Prover(server, prelude=prelude, settings=catalog.settings, snapshot=final)
            provers.put(stack.enter_context(prover))
        with ThreadPoolExecutor(max(1, workers)) as pool:
            tasks = [pool.submit(one, provers, members) for members in groups.values()]
            try:
                for task in tasks:
                    task.result()
            except BaseException:  # Ctrl-C, or a server that went away: nothing more is begun
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [proof for proof in found if proof is not None]


# -- what a failure names


_NAMED = re.compile(r'"([^"]+)"')


def _apply_failed(attempt: Slice, failure: ReplayFailedError) -> Failure:
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
    said = " ".join(filter(None, (diag.message_primary, diag.message_detail, diag.context)))
    named = _names_in(said)
    what = str(told(failure, attempt)).split("\n", 1)[0]
    return Failure(what, _writers(attempt, named, before=at))


def _script_failed(attempt: Slice, error: psycopg.Error) -> Failure:
    said = " ".join(filter(None, (error.diag.message_primary, error.diag.message_detail, error.diag.context)))
    return Failure(str(error).split("\n", 1)[0], units=_alive_units(attempt, _names_in(said)))


def _names_in(said: str) -> set[str]:
    """What an error message may be naming: quoted names, and every word of some length."""
    quoted = [at for at, character in enumerate(said) if character == '"']
    # PostgreSQL doubles no quote inside of a name that it says.
    inside = {said[one + 1 : other] for one, other in itertools.combinations(quoted, 2) if other - one < 66}
    return (
        {parts(name)[-1].lower() for name in _NAMED.findall(said)}
        | {name.lower() for name in inside}
        | {word.lower() for word in re.findall(r"[\w$]+", said) if len(word) > 2}
    )


def _alive_units(attempt: Slice, named: set[str]) -> frozenset[Unit]:
    return frozenset(
        unit
        for unit, info in enumerate(attempt.trace.units)
        if info.dropped is None and unit not in attempt.required and parts(info.name)[-1].lower() in named
    )


def _differs(attempt: Slice, connection: psycopg.Connection[Any]) -> Failure | None:
    wanted = [(u.kind, u.name) for u in (attempt.trace.units[r] for r in attempt.required)]
    found = read(connection, within=wanted)
    differences = compare(attempt.expected, found)
    if not differences:
        return None
    first = differences[0]
    what = f"{first.kind} {first.object}: expected {first.expected}, found {first.found}"
    named = {part.lower() for name in first.object.split(" on ") for part in parts(name)[-2:]}
    if attempt.form == "objects":
        return Failure(what, units=_alive_units(attempt, named), differences=tuple(differences))
    end = len(attempt.trace.effects)
    effects = (
        _writers(attempt, named, before=end)
        or _writers(attempt, {word for each in differences for word in _names_in(each.expected)}, before=end)
        or _swept_together(attempt, named)
    )
    return Failure(what, effects, differences=tuple(differences))


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
