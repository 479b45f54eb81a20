"""Proofs that no lock has: made when a slice is first asked for, and kept in the user's cache.

A slice is proved before it is trusted. Who commits a lock has its proofs; for everybody else a slice is
proved once on this machine, which takes as long as applying it. The first proof of a catalog replays all of
it twice, too, and the outcome is kept for the proofs of other slices.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import TargetError
from pgslate.slices.row_digests import Reference
from pgslate.slices.slice import Form
from pgslate.targets.embedded.folders import cache_folder
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening
from pgslate.trace.trace_cache import is_used, key_of, oldest, write_cached

_KEPT = 1000
"""Proofs kept in the cache; the ones longest unused go first. Each is a line."""

_KEPT_REFERENCES = 40
"""Outcomes of whole catalogs kept in the cache."""


Changing = Mapping[str, tuple[str, ...]]
"""By table, the columns whose values hang on time or chance."""


def kept_proof(
    catalog: Catalog,
    prelude: Sequence[PreludeFile],
    trace: Trace,
    asked: Sequence[Unit],
    form: Form,
    *,
    telling: Callable[[], None] = lambda: None,
) -> tuple[Widening, Changing]:
    """What the slice for ``asked`` needs besides what it was cut to, and what its proof left out.

    Nothing where no server can be started here, and where not even the whole catalog comes out the same
    twice: then there is no proof to be had, and who applies the slice verifies it all the same. ``telling``
    is called before a proof is made.
    """
    path = _path(catalog, prelude, trace, asked, form)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        widening = Widening(frozenset(found["effects"]), frozenset(found["units"]), tuple(found["why"]))
        changing = {table: tuple(columns) for table, columns in found["changing"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    else:
        is_used(path)
        return widening, changing
    telling()
    from pgslate.slices.proof import prove_one  # needs a driver, and a plan that finds its proof needs none

    known = _kept_reference(catalog, prelude, trace)
    try:
        proof, reference = prove_one(catalog, prelude, trace, asked, form, reference=known)
    except TargetError:
        return NOTHING, {}
    if reference is not known:
        _keep(_reference_path(catalog, prelude, trace), reference.as_document(), at_most=_KEPT_REFERENCES)
    widening = NOTHING if proof.unproved else proof.widening
    document = {
        "effects": sorted(widening.effects),
        "units": sorted(widening.units),
        "why": widening.why,
        "changing": reference.changing,
    }
    _keep(path, document, at_most=_KEPT)
    return widening, reference.changing


def _path(
    catalog: Catalog, prelude: Sequence[PreludeFile], trace: Trace, asked: Sequence[Unit], form: Form
) -> Path:
    names = sorted(str(trace.units[unit]) for unit in asked)
    digest = hashlib.sha256("\0".join([key_of(catalog, prelude, len(catalog)), form, *names]).encode())
    return cache_folder() / "proofs" / f"{digest.hexdigest()[:32]}.json"


def _kept_reference(catalog: Catalog, prelude: Sequence[PreludeFile], trace: Trace) -> Reference | None:
    """The outcome of the whole catalog that an earlier proof was compared with.

    Values that hang on the day may be others by now. The prover notices: it replays the whole once more where
    a slice's rows differ.
    """
    path = _reference_path(catalog, prelude, trace)
    try:
        found = Reference.of_document(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    is_used(path)
    return found


def _reference_path(catalog: Catalog, prelude: Sequence[PreludeFile], trace: Trace) -> Path:
    key = f"{key_of(catalog, prelude, len(catalog))}\0{trace.server}"
    return cache_folder() / "references" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _keep(path: Path, document: Mapping[str, object], *, at_most: int) -> None:
    """Keep a document in its folder of the cache, and forget those that were longest unused."""
    write_cached(path, json.dumps(document))
    for surplus in oldest(path.parent, kept=at_most):
        with contextlib.suppress(OSError):  # it is not ours to remove
            surplus.unlink(missing_ok=True)
