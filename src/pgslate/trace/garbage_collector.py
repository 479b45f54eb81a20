"""Python's garbage collector, held off while much is made at once that stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_off() -> Iterator[None]:
    """No collection in here: it would look at all that there is, again and again, and find nothing.

    A trace of 400 migrations takes a third less time to load.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
