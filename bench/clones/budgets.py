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
        wait = {one.contender: one.wait for one in found if one.setting == setting}
        whole = {one.contender: one.median for one in found if one.setting == setting}
        until = wait[CLONE] / min(wait[BARE], wait[AT_BEST])
        in_all = whole[CLONE] / min(whole[BARE], whole[AT_BEST])
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
            f"{wait[POOL_LONG]:.1f} ms",
        )
        if setting.tables >= 250:
            floor = f"; {wait[CLONE_OF_SLICE] / wait[EMPTY]:.2f} x an empty database"
            faster = f"{wait[CLONE] / wait[CLONE_OF_SLICE]:.1f} x faster{floor}"
            yield setting, f"a clone of {SLICE} tables, to one of all", "10 x faster", faster
