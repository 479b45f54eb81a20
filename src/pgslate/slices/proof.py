"""Proving a slice: applied to an empty database, every required object comes out as after the whole catalog:
with the same definition, the same rows, and each sequence at the same position.

A slice that fails its proof is widened by what the failure names, and tried again; the last resort is every
statement there is. So a slice that was proved is never wrong, only larger than it might be.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.dump.kept_snapshot import snapshot_of
from pgslate.errors import FormUnavailableError
from pgslate.slices.prover import Prover
from pgslate.slices.row_digests import Reference
from pgslate.slices.shared_replay import Step, steps
from pgslate.slices.slice import FORMS, Form, Slice, known_widening, slice_of
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening
from pgslate.trace.scratch_server import scratch_server

_TRIES = 12

_PART = 40
"""Groups of slices that one prover takes at once."""


@dataclass(frozen=True)
class Proof:
    """A slice and its proof.

    ``server`` is the major version that it was proved on, ``failures`` has the message of each failed try,
    and ``widening`` the effects and units that the failures added to the slice. ``unproved`` says why not
    even the whole catalog's outcome is the same twice; it is empty where the slice is proved.
    ``is_unavailable`` marks a form that PostgreSQL can't make these tables in: ``unproved`` says why.
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


@dataclass(frozen=True)
class Proofs:
    """The proofs in the order in which they were asked for, and what they were compared with, if anything."""

    proofs: tuple[Proof, ...]
    reference: Reference | None


def prove(prover: Prover, catalog: Catalog, trace: Trace, asked: Sequence[Unit], form: Form) -> Proof:
    """The proved slice for the units ``asked``, as much wider as its proof needs."""
    names = tuple(trace.units[unit].name for unit in asked)
    major = prover.server.major
    widening = known_widening(trace, asked, form)
    failures: list[str] = []
    for _ in range(_TRIES):
        attempt = slice_of(catalog, trace, asked, tables=names, form=form, widening=widening)
        try:
            failure = prover.check(attempt)
        except FormUnavailableError as error:
            return Proof(attempt, major, unproved=error.cause, is_unavailable=True)
        if failure is None:
            return Proof(attempt, major, tuple(failures), widening)
        failures.append(failure.what)
        effects, units = failure.effects - attempt.effects, failure.units - attempt.required
        if not (effects or units):
            break
        widening = Widening(widening.effects | effects, widening.units | units, (*widening.why, failure.what))
    everything = Widening(
        frozenset(range(len(trace.effects))),
        frozenset(u for u, info in enumerate(trace.units) if info.dropped is None),
        (*widening.why, "the whole catalog"),
    )
    attempt = slice_of(catalog, trace, asked, tables=names, form=form, widening=everything)
    try:
        last = prover.check(attempt)
    except FormUnavailableError:  # of other tables: these ones' own failure says more
        return Proof(attempt, major, tuple(failures), everything, failures[-1])
    return Proof(attempt, major, tuple(failures), everything, last.what if last else "")


def prove_one(
    catalog: Catalog,
    prelude: Sequence[PreludeFile],
    trace: Trace,
    asked: Sequence[Unit],
    form: Form,
    *,
    reference: Reference | None = None,
) -> tuple[Proof, Reference]:
    """Prove a slice on a scratch server; gives what it was compared with, too.

    Args:
        catalog: The migrations.
        prelude: What is run before the first migration.
        trace: Their trace.
        asked: The units asked for.
        form: The slice's form.
        reference: What an earlier proof of the catalog was compared with; else the catalog is replayed twice.

    Raises:
        TargetError: No server can be started.
    """
    with (
        scratch_server(catalog, prelude, like=trace.server) as server,
        Prover(server, prelude=prelude, settings=catalog.settings, reference=reference) as prover,
    ):
        return prove(prover, catalog, trace, asked, form), prover.reference_for(catalog)


def prove_many(
    catalog: Catalog,
    trace: Trace,
    asked: Sequence[tuple[tuple[Unit, ...], Form]],
    *,
    prelude: Sequence[PreludeFile] = (),
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Proofs:
    """Prove a slice for each of ``asked`` (units and form).

    Slices that replay the same statements are proved together.

    Args:
        catalog: The migrations.
        trace: Their trace.
        asked: For each slice the units asked for, and its form.
        prelude: What is run before the first migration.
        workers: On how many servers at once slices are proved.
        progress: Called after each proof with how many are done and how many there are.
    """
    if not asked:
        return Proofs((), None)  # and no server is started
    groups = _alike(catalog, trace, asked)
    found: list[Proof | None] = [None] * len(asked)
    done = itertools.count(1)

    def some(provers: SimpleQueue[Prover], chunk: Sequence[_Group]) -> None:
        prover = provers.get()
        try:
            together = [_together(catalog, trace, asked, group) for group in chunk]
            left: list[_Group] = []
            for group, holds in zip(chunk, prover.holding(together), strict=True):
                if holds:
                    keep(group, [known(prover, index) for index in group.members])
                else:
                    left.append(group)
            for group in left:  # now: what a shared transaction holds, a role's name, would be waited for
                keep(group, [prove(prover, catalog, trace, *asked[index]) for index in group.members])
        finally:
            provers.put(prover)

    def known(prover: Prover, index: int) -> Proof:
        units, form = asked[index]
        names = tuple(trace.units[unit].name for unit in units)
        own = slice_of(catalog, trace, units, tables=names, form=form)
        return Proof(own, prover.server.major, (), known_widening(trace, units, form))

    def keep(group: _Group, proofs: Sequence[Proof]) -> None:
        for index, proof in zip(group.members, proofs, strict=True):
            found[index] = proof
            if progress:
                progress(next(done), len(asked))

    wants_objects = any(form == "objects" for _, form in asked)
    with ExitStack() as stack, ThreadPoolExecutor(1) as aside, ThreadPoolExecutor(max(1, workers)) as pool:
        snapshot = (
            aside.submit(snapshot_of, catalog, prelude=prelude, major=trace.server) if wants_objects else None
        )
        servers = [
            stack.enter_context(scratch_server(catalog, prelude, like=trace.server))
            for _ in range(max(1, min(workers, len(groups))))
        ]
        open_prover = partial(Prover, prelude=prelude, settings=catalog.settings)
        first = stack.enter_context(open_prover(servers[0]))
        reference = first.reference_for(catalog)
        first.snapshot = final = snapshot.result() if snapshot else None
        provers: SimpleQueue[Prover] = SimpleQueue()
        provers.put(first)
        all_provers = [first]
        for server in servers[1:]:
            prover = stack.enter_context(open_prover(server, snapshot=final, reference=reference))
            all_provers.append(prover)
            provers.put(prover)
        tasks = [pool.submit(some, provers, chunk) for chunk in _chunks(groups, workers)]
        try:
            for task in tasks:
                task.result()
        except BaseException:  # Ctrl-C, or a server that went away: nothing more is begun
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        latest = max((p.reference_for(catalog) for p in all_provers), key=lambda r: len(r.changing))
    return Proofs(tuple(proof for proof in found if proof is not None), latest)


@dataclass(frozen=True)
class _Group:
    """Indexes of slices that replay the same; their form, and what they replay of each file, to sort by."""

    form: Form
    steps: tuple[Step, ...]
    members: tuple[int, ...]


def _alike(catalog: Catalog, trace: Trace, asked: Sequence[tuple[tuple[Unit, ...], Form]]) -> list[_Group]:
    """The slices in groups that replay the same; groups that begin alike stand together."""
    members: dict[tuple[Form, frozenset[int]], list[int]] = {}
    paths: dict[tuple[Form, frozenset[int]], tuple[Step, ...]] = {}
    for index, (units, form) in enumerate(asked):
        attempt = slice_of(catalog, trace, units, form=form)
        key = (form, attempt.required if form == "objects" else attempt.effects)
        members.setdefault(key, []).append(index)
        if key not in paths:
            paths[key] = () if form == "objects" else steps(attempt)
    groups = [_Group(key[0], paths[key], tuple(indexes)) for key, indexes in members.items()]
    return sorted(groups, key=lambda group: (group.form, group.steps))


def _together(
    catalog: Catalog, trace: Trace, asked: Sequence[tuple[tuple[Unit, ...], Form]], group: _Group
) -> Slice:
    """The slice for all units of a group."""
    units = tuple(dict.fromkeys(unit for index in group.members for unit in asked[index][0]))
    names = tuple(trace.units[unit].name for unit in units)
    return slice_of(catalog, trace, units, tables=names, form=group.form)


def _chunks(groups: Sequence[_Group], workers: int) -> Iterator[Sequence[_Group]]:
    """The groups in parts of one form each, a few for each worker."""
    for form in FORMS:
        those = [group for group in groups if group.form == form]
        size = max(1, min(_PART, -(-len(those) // max(1, workers))))
        for at in range(0, len(those), size):
            yield those[at : at + size]
