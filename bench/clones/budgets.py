"""The design's budgets for clones, read off what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.clones.contenders import (
    AT_BEST,
    BARE,
    CLONE,
    CLONE_OF_SLICE,
    EMPTY,
    LONG,
    POOL_LONG,
    SLICE,
)
from bench.clones.measuring import Measured, Setting


def budgets(found: Sequence[Measured]) -> Iterator[tuple[Setting, str, str, str]]:
    """For each setting: what, the budget, and what was measured, in words."""
    for setting in dict.fromkeys(one.setting for one in found):
        here = {one.contender: one for one in found if one.setting == setting}
        clone = here[CLONE]
        plain, best = clone.wait / here[BARE].wait, clone.wait / here[AT_BEST].wait
        in_all = clone.median / min(here[BARE].median, here[AT_BEST].median)
        yield (
            setting,
            "a clone until DSN, to a bare CREATE DATABASE ... TEMPLATE",
            "1.1 x",
            f"{plain:.2f} x; {best:.2f} x to the fastest strategy there; {in_all:.2f} x with dropping",
        )
        yield (
            setting,
            f"from the pool, in tests of {LONG} s, until DSN",
            "2 ms",
            f"{here[POOL_LONG].wait:.1f} ms",
        )
        if setting.tables >= 250:
            of_slice = here[CLONE_OF_SLICE].wait
            bare, own, floor = (one.wait / of_slice for one in (here[BARE], clone, here[EMPTY]))
            yield (
                setting,
                f"a clone of {SLICE} tables, to one of all",
                "10 x faster",
                f"{bare:.1f} x faster than CREATE DATABASE, {own:.1f} x than a clone of all; an empty"
                f" database takes {floor:.2f} x its time",
            )
