"""``snapshot``: the final DDL of just what a slice requires."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pgslate.dump.kept_snapshot import definitions_of
from pgslate.slices.proved_slice import in_form
from pgslate.slices.slice import Slice


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """``sql`` is for one transaction on an empty database."""

    sql: str

    def as_json(self) -> dict[str, Any]:
        """``sql``."""
        return {"sql": self.sql}


def snapshot(slice_: Slice, *, major: int | None = None) -> SnapshotResult:
    """The final DDL, and the rows that migrations seeded, of what ``slice_`` requires.

    ``major`` is PostgreSQL's major version that the SQL is for; by default that of the newest server that is
    installed here. Raises TargetError where no server with pg_dump can be started.
    """
    chosen = in_form(slice_, "objects")
    return SnapshotResult(definitions_of(chosen, prelude=chosen.prelude, major=major))
