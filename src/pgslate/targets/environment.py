"""The target that the environment names; no driver is needed to know whether there is one."""

from __future__ import annotations

import os
from collections.abc import Mapping


def from_environment(environ: Mapping[str, str] = os.environ) -> str | None:
    """The DSN that the environment names: PGSLATE_DSN, or "" where libpq's own variables name a server.

    An empty DSN lets libpq read its variables; PGPORT, PGUSER or PGPASSWORD alone name no server.
    """
    if environ.get("PGSLATE_DSN"):
        return environ["PGSLATE_DSN"]
    names = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
    return "" if any(environ.get(name) for name in names) else None
