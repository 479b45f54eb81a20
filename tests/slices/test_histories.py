"""Random histories: each slice, in each form, comes out as the whole catalog leaves it.

Definitions are judged by pg_dump, rows and the positions of sequences by the digests of a proof. With
PGSLATE_WIDENED set, slices that were wrong as they were cut are printed: the trace missed something.
"""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from tests.histories.strategy import PRELUDE, catalogs
from tests.slices.judging import Court

from pgslate.catalog.catalog import Catalog
from pgslate.slices.slice import FORMS, Form
from pgslate.targets.embedded.server import Server

HISTORIES = int(os.environ.get("PGSLATE_HISTORIES", "10000" if os.environ.get("PGSLATE_LONG") else "300"))
PART = 25
"""Histories in one test, all drawn from one seed: that of its number."""

PHASES = (Phase.generate, Phase.shrink) if os.environ.get("PGSLATE_SHRINK") else (Phase.generate,)
"""Shrinking takes minutes: it is for who looks into a failure."""


@pytest.mark.parametrize("number", range(-(-HISTORIES // PART)))
def test_every_slice_is_exact(server: Server, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=PART,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=PHASES,
        print_blob=True,
    )
    @given(catalog=catalogs())
    def check(catalog: Catalog) -> None:
        case = Court(server, catalog, [PRELUDE])
        try:
            for table in _some_table(case):
                for form in FORMS:
                    outcome = _judged(case, table, form)
                    if outcome:
                        note(_told(catalog))
                    assert outcome == "", (table, form)
        finally:
            case.close()

    check()


def _some_table(case: Court) -> list[str]:
    """One table, if there is one; which, the history itself decides, so that it is found again."""
    tables = [
        info.name
        for info in case.trace.units
        if info.kind == "table" and info.dropped is None and info.made is not None
    ]
    chosen = random.Random(case.catalog.checksum)  # noqa: S311  no secret
    return chosen.sample(tables, min(1, len(tables)))


def _judged(case: Court, table: str, form: Form) -> str:
    """What is wrong with the table's slice once it is proved: a slice may be widened, but never be wrong.

    Rows and sequences are judged by the proof, which says of none that it holds where its first cut doesn't.
    """
    proof = case.proof(table, form)
    if proof.is_unavailable:
        return ""
    if proof.unproved or proof.fell_back:
        return proof.unproved or f"fell back to the whole: {proof.failures[-1]}"
    if proof.failures and os.environ.get("PGSLATE_WIDENED"):
        print(f"widened {table} {form}: {proof.failures}")
    return case.difference_of(proof.slice, table)


def _told(catalog: Catalog) -> str:
    return "\n".join(f"-- {m.file}\n{m.source}" for m in catalog)
