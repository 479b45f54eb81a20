"""``pgslate.lock``: a catalog's trace, its slices and their proofs, committed beside the catalog.

The file is deterministic and written for review: see ``document`` for its trace; every table and contract has
a line with what each form of its slice replays, as ranges of statements (or of units, in the objects form),
and on which server's major version it was proved. ``rows`` has, of the whole catalog's outcome, the digest of
each table with rows and the position of each sequence; where columns hang on time or chance, it names them
and leaves them out of the digest. The last line is a digest of those above: a lock that was
edited, or that a merge put together of two, is none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import shown
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import CatalogError, LockVersionError
from pgslate.slices.row_digests import EVERY_COLUMN, NO_REFERENCE, Outcome, Reference, Rows
from pgslate.slices.selection import select
from pgslate.slices.slice import FORMS, Form, Slice, is_touched, slice_of
from pgslate.trace import document
from pgslate.trace.clock import is_over
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening, relations
from pgslate.trace.trace_cache import trace_of

if TYPE_CHECKING:
    from pgslate.slices.proof import Proof
    from pgslate.trace.tracer import Progress

NAME = "pgslate.lock"

_DIGEST = re.compile(r',\n"digest": "(?P<digest>[0-9a-f]{16})"\n\}\n\Z')
_CONFLICT = re.compile(r"^(?:<<<<<<<|>>>>>>>) ", re.MULTILINE)

Subject = str
"""What a slice is for: ``table public.users`` or ``contract gateway``."""


@dataclass(frozen=True, slots=True)
class Proved:
    """One form of one subject's slice: what it replays (effects; units in the objects form), and its proof.

    ``servers`` are the major versions it was proved on; ``whole`` says that nothing less than the whole
    catalog would do. ``unproved`` says why there is no proof, where there is none; ``is_unavailable`` marks
    a form that PostgreSQL can't make the subject in.
    """

    replays: frozenset[int]
    servers: tuple[int, ...]
    widening: Widening = NOTHING
    whole: bool = False
    unproved: str = ""
    is_unavailable: bool = False


@dataclass(frozen=True)
class Lock:
    """What a lock file says.

    ``surroundings`` stands for the prelude and the session's settings that the catalog was traced with.
    ``reference`` is what the rows of slices were compared with.
    """

    trace: Trace
    files: Mapping[str, str]
    slices: Mapping[Subject, Mapping[Form, Proved]]
    contracts: Mapping[str, tuple[str, ...]]
    surroundings: str = ""
    reference: Reference = NO_REFERENCE

    def stale(
        self, catalog: Catalog, contracts: Mapping[str, Sequence[str]], prelude: Sequence[PreludeFile] = ()
    ) -> list[str]:
        """What has changed since the lock was written, a sentence each; empty if it is up to date."""
        changes: list[str] = []
        locked = dict(self.trace.migrations)
        for migration in catalog:
            checksum = locked.pop(migration.version, None)
            if checksum is None:
                changes.append(f"{migration.shown} is new")
            elif checksum != migration.checksum:
                changes.append(f"{migration.shown} was edited")
        called = shown({**self.files, **{migration.version: migration.file for migration in catalog}})
        changes += [f"{called.get(version, version)} is gone" for version in locked]
        if not changes and not _same_order(self.trace, catalog):
            changes.append("the migrations are in another order")
        if self.surroundings != surroundings(catalog, prelude):
            changes.append("the prelude or the settings of [session] were edited")
        for name, tables in contracts.items():
            if name not in self.contracts:
                changes.append(f"contract {name} is new")
            elif self.contracts[name] != tuple(tables):
                changes.append(f"contract {name} names other tables")
        changes += [f"contract {name} is gone" for name in self.contracts if name not in contracts]
        return changes


def read(path: Path) -> Lock | None:
    """The lock at ``path``, or None if there is none.

    Raises CatalogError where the file is damaged, or was edited; LockVersionError where it is of another
    version of pgslate.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(str(path), str(error)) from None
    return loads(text, str(path))


def loads(text: str, name: str = NAME) -> Lock:
    """The lock that ``dumps`` gave; ``name`` is for the message.

    Raises CatalogError where the text isn't one, LockVersionError where another version of pgslate wrote it.
    """
    if _CONFLICT.search(text):
        raise _unreadable(name, "it has the conflict markers of a merge")
    try:
        trace, whole = document.loads(text)
        slices = {
            subject: {form: _to_proved(fields) for form, fields in forms.items()}
            for subject, forms in whole["slices"]
        }
        contracts = {name: tuple(tables) for name, tables in whole["contracts"]}
        files = {version: file for version, file, *_ in whole["migrations"]}
        around = "".join(whole["surroundings"])
        reference = _to_reference(whole["rows"])
    except document.OtherVersionError as error:
        raise LockVersionError(
            f"{name} can't be used: {error}", fix="write it anew with `pgslate lock`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(name, str(error)) from None
    sealed = _DIGEST.search(text)
    if sealed is None or sealed["digest"] != _digest(text[: sealed.start()]):
        raise _unreadable(name, "it was edited, or merged, after pgslate wrote it")
    return Lock(_with_proofs(trace, slices, reference), files, slices, contracts, around, reference)


def _unreadable(name: str, why: str) -> CatalogError:
    return CatalogError(f"{name} can't be read: {why}", fix="write it anew with `pgslate lock`")


def surroundings(catalog: Catalog, prelude: Sequence[PreludeFile]) -> str:
    """What stands for the prelude and the catalog's settings: 16 hexadecimal digits, or nothing for none."""
    if not prelude and not catalog.settings:
        return ""
    return _digest(json.dumps([[file.text for file in prelude], sorted(catalog.settings.items())]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dumps(lock: Lock) -> str:
    """The lock as text; equal locks give equal texts."""
    slices = [
        json.dumps(
            [subject, {form: _proved(forms[form]) for form in FORMS if form in forms}], ensure_ascii=False
        )
        for subject, forms in sorted(lock.slices.items())
    ]
    contracts = [
        json.dumps([name, list(tables)], ensure_ascii=False)
        for name, tables in sorted(lock.contracts.items())
    ]
    around = [json.dumps(lock.surroundings)] if lock.surroundings else []
    sections = {
        "surroundings": around,
        "rows": list(_rows(lock.reference)),
        "slices": slices,
        "contracts": contracts,
    }
    body = document.dumps(lock.trace, lock.files, sections).removesuffix("\n}\n")
    return f'{body},\n"digest": "{_digest(body)}"\n}}\n'


def lock(
    catalog: Catalog,
    *,
    path: Path,
    contracts: Mapping[str, Sequence[str]],
    prelude: Sequence[PreludeFile] = (),
    workers: int = 2,
    tracing: Progress | None = None,
    proving: Callable[[int, int], None] | None = None,
) -> Lock:
    """Trace ``catalog``, slice it for every table and contract in every form, prove the slices; the lock to
    write.

    ``contracts`` maps names to tables (``*``: all). Proofs of an earlier lock at ``path`` are kept where a
    slice replays what it did. Raises what tracing raises.
    """
    from pgslate.slices.proof import prove_many  # here: reading a lock needs no driver

    earlier = read_or_nothing(path)
    trace = trace_of(catalog, prelude=prelude, progress=tracing)
    subjects: dict[Subject, tuple[Unit, ...]] = {
        str(trace.units[unit]): (unit,) for unit in relations(trace) if is_touched(catalog, trace, unit)
    }
    for name, tables in contracts.items():
        subjects[f"contract {name}"] = units_of(catalog, trace, tables)
    if earlier is not None:
        trace = _keep_widenings(trace, earlier, subjects)
    wanted = [(subject, units, form) for subject, units in subjects.items() for form in FORMS]
    slices: dict[Subject, dict[Form, Proved]] = {subject: {} for subject in subjects}
    unproved: list[tuple[Subject, tuple[Unit, ...], Form]] = []
    for subject, units, form in wanted:
        kept = _kept(earlier, trace, subject, slice_of(catalog, trace, units, form=form))
        if kept is None:
            unproved.append((subject, units, form))
        else:
            slices[subject][form] = kept
    proofs = prove_many(
        catalog,
        trace,
        [(units, form) for _, units, form in unproved],
        prelude=prelude,
        workers=workers,
        progress=proving,
    )
    for (subject, _, form), proof in zip(unproved, proofs.proofs, strict=True):
        slices[subject][form] = _from_proof(proof)
    reference = proofs.reference or (earlier.reference if earlier is not None else NO_REFERENCE)
    return Lock(
        _with_proofs(trace, slices, reference),
        {migration.version: migration.file for migration in catalog},
        slices,
        {name: tuple(tables) for name, tables in contracts.items()},
        surroundings(catalog, prelude),
        reference,
    )


def units_of(catalog: Catalog, trace: Trace, tables: Sequence[str]) -> tuple[Unit, ...]:
    """The units that a contract's tables name; ``*`` is every relation. Raises UnknownTableError."""
    return relations(trace) if "*" in tables else select(catalog, trace, tables)


def read_or_nothing(path: Path) -> Lock | None:
    """The lock at ``path``, or None where there is none that can be read."""
    try:
        return read(path)
    except CatalogError:
        return None


def locked_trace(catalog: Catalog, prelude: Sequence[PreludeFile], path: Path) -> Trace | None:
    """The trace of the lock at ``path``, with what its proofs added; None where it isn't of this catalog.

    Raises CatalogError where the lock is damaged.
    """
    try:
        found = read(path)
    except LockVersionError:
        return None
    if found is None or found.trace.migrations != tuple((m.version, m.checksum) for m in catalog):
        return None
    if is_over(found.trace, datetime.now(UTC)):
        return None
    return found.trace if found.surroundings == surroundings(catalog, prelude) else None


# -- keeping what an earlier lock has


def _kept(earlier: Lock | None, trace: Trace, subject: Subject, now: Slice) -> Proved | None:
    """An earlier proof of just this slice: the same statements, and nothing before them changed."""
    if earlier is None:
        return None
    proved = earlier.slices.get(subject, {}).get(now.form)
    if proved is None or proved.replays != _replays(now) or proved.whole or proved.unproved:
        return None
    if now.form == "objects":  # the statements that made these units are those of the other form
        own = slice_of(now.catalog, trace, sorted(now.required), form="statements").effects
    else:
        own = now.effects
    same = all(
        index < len(earlier.trace.effects) and earlier.trace.effects[index] == trace.effects[index]
        for index in own
    )
    return proved if same else None


def _keep_widenings(trace: Trace, earlier: Lock, subjects: Mapping[Subject, Sequence[Unit]]) -> Trace:
    """The trace with the widenings that an earlier lock found, if the catalog has only grown since."""
    count = len(earlier.trace.effects)
    if earlier.trace.effects != trace.effects[:count]:
        return trace
    widenings = dict(trace.widenings)
    for subject, units in subjects.items():
        for form, proved in earlier.slices.get(subject, {}).items():
            if len(units) == 1 and proved.widening.why and not proved.whole:
                widenings[(form, units[0])] = proved.widening
    return replace(trace, widenings=widenings)


def _with_proofs(
    trace: Trace, slices: Mapping[Subject, Mapping[Form, Proved]], reference: Reference
) -> Trace:
    """The trace with what its proofs found out."""
    alive = {str(info): unit for unit, info in enumerate(trace.units) if info.dropped is None}
    of_units = [
        ((form, alive[subject]), proved)
        for subject, forms in slices.items()
        if subject in alive
        for form, proved in forms.items()
    ]
    return replace(
        trace,
        widenings={key: proved.widening for key, proved in of_units if proved.widening.why},
        unproved={key: proved.unproved for key, proved in of_units if proved.unproved},
        proved=frozenset(key for key, proved in of_units if not proved.unproved),
        changing=reference.changing,
    )


def _same_order(trace: Trace, catalog: Catalog) -> bool:
    return [version for version, _ in trace.migrations] == [m.version for m in catalog]


# -- one line


def _rows(reference: Reference) -> Iterable[str]:
    """A line for each table: its name, number of rows, digest, and the columns that are left out."""
    outcome, changing = reference.outcome, reference.changing
    for name in sorted(outcome.rows.keys() | outcome.positions.keys() | changing.keys()):
        left_out = changing.get(name, ())
        rows = outcome.rows.get(name)
        if EVERY_COLUMN in left_out or (rows is None and name not in outcome.positions):
            line: list[Any] = [name]
        elif rows is None:
            line = [name, outcome.positions[name]]
        else:
            line = [name, rows.count, rows.digest]
        yield json.dumps([*line, list(left_out)] if left_out else line, ensure_ascii=False)


def _to_reference(lines: Iterable[list[Any]]) -> Reference:
    rows: dict[str, Rows] = {}
    positions: dict[str, str] = {}
    changing: dict[str, tuple[str, ...]] = {}
    for line in lines:
        name, *rest = line
        if rest and isinstance(rest[-1], list):
            changing[name] = tuple(rest.pop())
        if len(rest) == 2:
            rows[name] = Rows(*rest)
        elif rest:
            positions[name] = rest[0]
    return Reference(Outcome(rows, positions), changing)


def _replays(slice_: Slice) -> frozenset[int]:
    return slice_.required if slice_.form == "objects" else slice_.effects


def _from_proof(proof: Proof) -> Proved:
    servers = () if proof.unproved else (proof.server,)
    return Proved(
        _replays(proof.slice), servers, proof.widening, proof.fell_back, proof.unproved, proof.is_unavailable
    )


def _proved(proved: Proved) -> dict[str, Any]:
    fields: dict[str, Any] = {"replays": ranges(proved.replays), "proved": list(proved.servers)}
    if proved.widening.why:
        fields["widened"] = {
            "effects": ranges(proved.widening.effects),
            "units": ranges(proved.widening.units),
            "why": list(proved.widening.why),
        }
    if proved.whole:
        fields["whole"] = True
    if proved.unproved:
        fields["unavailable" if proved.is_unavailable else "unproved"] = proved.unproved
    return fields


def _to_proved(fields: Mapping[str, Any]) -> Proved:
    widened = fields.get("widened")
    widening = NOTHING
    if widened:
        widening = Widening(
            from_ranges(widened["effects"]), from_ranges(widened["units"]), tuple(widened["why"])
        )
    return Proved(
        from_ranges(fields["replays"]),
        tuple(fields["proved"]),
        widening,
        bool(fields.get("whole", False)),
        fields.get("unavailable", fields.get("unproved", "")),
        "unavailable" in fields,
    )


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges.

    >>> ranges([7, 1, 2, 3, 9])
    '1-3 7 9'
    """
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


def from_ranges(text: str) -> frozenset[int]:
    """The numbers that ``ranges`` wrote.

    >>> sorted(from_ranges('1-3 7'))
    [1, 2, 3, 7]
    """
    numbers: set[int] = set()
    for part in text.split():
        low, _, high = part.partition("-")
        numbers |= set(range(int(low), int(high or low) + 1))
    return frozenset(numbers)
