"""Every table of the catalogs written by hand, in each form, judged by pg_dump."""

from __future__ import annotations

import pytest
from tests.catalogs.samples import SAMPLES, Sample
from tests.slices.judging import Court

from pgslate.slices.slice import FORMS
from pgslate.targets.embedded.server import Server


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_every_table_comes_out_as_after_the_whole_catalog(server: Server, sample: Sample) -> None:
    case = Court(server, sample.catalog(), [sample.prelude] if sample.prelude else [])
    try:
        tables = [
            info.name
            for info in case.trace.units
            if info.kind == "table" and info.dropped is None and info.made is not None
        ]
        assert tables
        different = {
            (table, form): difference
            for table in tables
            for form in FORMS
            if (difference := case.difference(table, form))
        }
        assert different == {}
    finally:
        case.close()
