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
        bare = (here[BARE], here[AT_BEST])
        until = here[CLONE].wait / min(one.wait for one in bare)
        in_all = here[CLONE].median / min(one.median for one in bare)
        yield (
            setting,
            "a clone until DSN, to the faster bare CREATE DATABASE",
            "1.1 x",
            f"{until:.2f} x; in all, with dropping, {in_all:.2f} x",
        )
        yield (
            setting,
            f"from the pool, in tests of {LONG} s, until DSN",
            "2 ms",
            f"{here[POOL_LONG].wait:.1f} ms",
        )
        if setting.tables >= 250:
            floor = f"; {here[CLONE_OF_SLICE].wait / here[EMPTY].wait:.2f} x an empty database"
            faster = f"{here[CLONE].wait / here[CLONE_OF_SLICE].wait:.1f} x faster{floor}"
            yield setting, f"a clone of {SLICE} tables, to one of all", "10 x faster", faster
