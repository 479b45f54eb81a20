"""How many events went where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counts:
    """A snapshot: every event that was ``recorded`` here is sent, refused, in memory or spooled.

    ``spooled`` counts what is on disk now, and with it what an earlier process left there. ``retries`` are
    requests that had to be made again.
    """

    recorded: int = 0
    sent: int = 0
    refused: int = 0
    in_memory: int = 0
    spooled: int = 0
    retries: int = 0
