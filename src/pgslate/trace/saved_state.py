"""A world as bytes, kept with the data of the server that it tells of: a later trace goes on from there.

To read all of it from the catalogs again takes longer than to trace the migration that was added.

Source: Python manual, "pickle", "Restricting Globals".
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from pgslate.trace import garbage_collector
from pgslate.trace.dependencies import Edges
from pgslate.trace.effects import UnitInfo
from pgslate.trace.names_in_use import Holders
from pgslate.trace.world import World

_KINDS = {(kind.__module__, kind.__name__): kind for kind in (Counter, defaultdict, set, Edges, Holders)}
"""What a world is made of, beside what pickle knows by itself."""


def dumps(world: World) -> bytes:
    """The world but for its units, which are its trace's, too."""
    return pickle.dumps((_layout(), {**vars(world), "units": []}), protocol=5)


@garbage_collector.held_off()
def loads(kept: bytes, units: Iterable[UnitInfo]) -> World | None:
    """The world that ``dumps`` gave, with its units; None where it is another version's.

    ``kept`` has to be what ``dumps`` gave: whoever keeps it keeps its digest, too.
    """
    try:
        layout, state = _Reader(io.BytesIO(kept)).load()
    except (pickle.UnpicklingError, EOFError):
        return None
    if layout != _layout():
        return None
    world = World()
    vars(world).update(state, units=list(units))
    return world


def _layout() -> list[list[str]]:
    return [sorted(vars(each)) for each in (World(), Edges(), Holders())]


class _Reader(pickle.Unpickler):
    """Makes nothing but what a world is made of."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KINDS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a world") from None
