"""Random histories: pg_dump says that each slice, in each form, comes out as the whole catalog leaves it."""

from __future__ import annotations

import os
import random

from hypothesis import HealthCheck, Phase, given, note, settings
from tests.histories.strategy import PRELUDE, catalogs
from tests.slicing.judging import Court

from pgslate.catalog import Catalog
from pgslate.slicing.slice import FORMS
from pgslate.targets.embedded.server import Server

HISTORIES = int(os.environ.get("PGSLATE_HISTORIES", "10000" if os.environ.get("PGSLATE_LONG") else "300"))
JUDGED = 2
"""Tables that pg_dump judges in each history; which, the history itself decides."""


@settings(
    max_examples=HISTORIES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    print_blob=True,
)
@given(catalog=catalogs())
def test_every_slice_is_exact(server: Server, catalog: Catalog) -> None:
    case = Court(server, catalog, [PRELUDE])
    try:
        tables = [
            info.name
            for info in case.trace.units
            if info.kind == "table" and info.dropped is None and info.made is not None
        ]
        chosen = random.Random(catalog.checksum).sample(tables, min(JUDGED, len(tables)))  # noqa: S311  no secret
        for table in chosen:
            for form in FORMS:
                difference = case.difference(table, form)
                if difference:
                    note(_told(catalog))
                assert difference == "", (table, form)
    finally:
        case.close()


def _told(catalog: Catalog) -> str:
    return "\n".join(f"-- {m.file}\n{m.source}" for m in catalog)
