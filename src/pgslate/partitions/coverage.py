"""Which windows of a policy are covered by the partitions that stand, by bounds and never by names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Literal

from pgslate.partitions.existing import Partition, PartitionedTable
from pgslate.partitions.policy import PartitionPolicy, Planned, Window, utc


@dataclass(frozen=True, slots=True)
class Coverage:
    """How one window stands: ``covered`` by partitions, ``missing``, or ``blocked``.

    Blocked is a window that partitions overlap and don't cover, or whose only partition is being detached;
    ``by`` names them.
    """

    planned: Planned
    state: Literal["covered", "missing", "blocked"]
    by: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        window = self.planned.window
        return {
            "name": self.planned.name,
            "from": window.start.isoformat(),
            "to": window.end.isoformat(),
            "state": self.state,
            "by": list(self.by),
        }


@dataclass(frozen=True, slots=True)
class Survey:
    """What a policy asks of a table at a moment, and what the table has."""

    table: PartitionedTable
    policy: PartitionPolicy
    as_of: datetime
    windows: tuple[Coverage, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is missing, blocked, or half detached."""
        lacks_default = self.policy.default and self.table.default is None
        return (
            all(w.state == "covered" for w in self.windows) and not lacks_default and not self.table.detaching
        )

    @property
    def off_grid(self) -> tuple[Partition, ...]:
        """Partitions whose bounds are not those of windows of the policy: they will be in its way one day."""
        return tuple(each for each in self.table.partitions if not each.default and not self._on_grid(each))

    def _on_grid(self, each: Partition) -> bool:
        return all(
            end is not None and instant(self.policy.window_at(end).start) == end
            for end in (each.lower, each.upper)
        )

    def as_json(self) -> dict[str, Any]:
        """The survey for programs; bounds in ISO 8601, null where there is no end."""
        return {
            "table": self.table.qualified,
            "every": self.policy.every,
            "as_of": self.as_of.isoformat(),
            "ok": self.ok,
            "partitions": [
                {
                    "name": each.qualified,
                    "from": each.lower.isoformat() if each.lower else None,
                    "to": each.upper.isoformat() if each.upper else None,
                    "default": each.default,
                    "detaching": each.detaching,
                }
                for each in self.table.partitions
            ],
            "windows": [each.as_json() for each in self.windows],
        }


def survey_of(
    table: PartitionedTable,
    policy: PartitionPolicy,
    *,
    as_of: datetime | None = None,
    also: Iterable[Window] = (),
) -> Survey:
    """How the table stands against its policy, at ``as_of`` or else at the server's own time.

    ``also`` are windows that are wanted besides the policy's.
    """
    moment = table.now if as_of is None else utc(as_of)
    windows = sorted({*policy.windows(moment), *also})
    planned = (Planned(policy.name_of(window), window) for window in windows)
    return Survey(table, policy, moment, tuple(_coverage(each, table.partitions) for each in planned))


def _coverage(planned: Planned, partitions: tuple[Partition, ...]) -> Coverage:
    lower, upper = instant(planned.window.start), instant(planned.window.end)
    over = [each for each in partitions if each.overlaps(lower, upper)]
    names = tuple(each.qualified for each in over)
    if not over:
        return Coverage(planned, "missing")
    reached: datetime | None = lower
    for each in over:
        if each.detaching or reached is None or (each.lower is not None and each.lower > reached):
            continue
        reached = each.upper if each.upper is None else max(reached, each.upper)
    whole = reached is None or reached >= upper
    return Coverage(planned, "covered" if whole else "blocked", names)


def instant(day: date) -> datetime:
    """Midnight UTC of a day."""
    return datetime.combine(day, time(), UTC)
