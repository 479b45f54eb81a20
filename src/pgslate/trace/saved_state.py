"""``LiveObjects`` as bytes, kept with the data of their server: a later trace goes on from there.

To read everything from the system catalogs again takes longer than to trace the migration that was added.

Source: Python manual, "pickle", "Restricting Globals".
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from pgslate.trace import garbage_collector
from pgslate.trace.altered_types import Types
from pgslate.trace.dependencies import Dependencies
from pgslate.trace.effects import UnitInfo
from pgslate.trace.functions import Functions
from pgslate.trace.live_objects import LiveObjects
from pgslate.trace.names_in_use import NamesInUse
from pgslate.trace.row_storage import RowStorage

_OWN = (Dependencies, Functions, NamesInUse, RowStorage, Types)
_CLASSES = {(each.__module__, each.__name__): each for each in (Counter, defaultdict, dict, set, *_OWN)}
"""The classes of the values in ``LiveObjects``, beside those that pickle knows by itself."""


def dumps(live: LiveObjects) -> bytes:
    """The live objects without their units, which are in the trace, too."""
    return pickle.dumps((_layout(), {**vars(live), "units": []}), protocol=5)


@garbage_collector.held_off()
def loads(kept: bytes, units: Iterable[UnitInfo]) -> LiveObjects | None:
    """The live objects that ``dumps`` gave, with their units; None if another version of pgslate kept them.

    ``kept`` has to be what ``dumps`` gave: whoever keeps it keeps its digest, too.
    """
    try:
        layout, state = _Reader(io.BytesIO(kept)).load()
    except (pickle.UnpicklingError, EOFError):
        return None
    if layout != _layout():
        return None
    live = LiveObjects()
    vars(live).update(state, units=list(units))
    return live


def _layout() -> list[list[str]]:
    return [sorted(vars(each)) for each in (LiveObjects(), *(each() for each in _OWN))]


class _Reader(pickle.Unpickler):
    """Makes objects of no other classes than these."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _CLASSES[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of live objects") from None
