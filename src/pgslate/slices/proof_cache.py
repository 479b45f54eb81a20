"""Proofs that no lock has: made when a slice is first asked for, and kept in the user's cache.

A slice is proved before it is trusted. Who commits a lock has its proofs; for everybody else a slice is
proved once on this machine, which takes as long as applying it.
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
from pgslate.slices.slice import Form
from pgslate.targets.embedded.folders import cache_folder
from pgslate.trace.effects import NOTHING, Trace, Unit, Widening
from pgslate.trace.trace_cache import is_used, key_of, oldest, write_cached

_KEPT = 1000
"""Proofs kept in the cache; the ones longest unused go first. Each is a line."""


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

    try:
        proof, reference = prove_one(catalog, prelude, trace, asked, form)
    except TargetError:
        return NOTHING, {}
    widening = NOTHING if proof.unproved else proof.widening
    document = {
        "effects": sorted(widening.effects),
        "units": sorted(widening.units),
        "why": widening.why,
        "changing": reference.changing,
    }
    write_cached(path, json.dumps(document))
    for surplus in oldest(path.parent, kept=_KEPT):
        with contextlib.suppress(OSError):  # it is not ours to remove
            surplus.unlink(missing_ok=True)
    return widening, reference.changing


def _path(
    catalog: Catalog, prelude: Sequence[PreludeFile], trace: Trace, asked: Sequence[Unit], form: Form
) -> Path:
    names = sorted(str(trace.units[unit]) for unit in asked)
    digest = hashlib.sha256("\0".join([key_of(catalog, prelude, len(catalog)), form, *names]).encode())
    return cache_folder() / "proofs" / f"{digest.hexdigest()[:32]}.json"
