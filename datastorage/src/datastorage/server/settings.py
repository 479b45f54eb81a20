"""The settings that the service starts with: its database, who may call it, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one request may ask for; each is answered with 413 (body) or 422 (the others) when passed."""

    body_bytes: int = 8 * 1024 * 1024
    batch_events: int = 5_000
    page_events: int = 1_000
    #: How far ahead of the clock an event may be: a month beyond would need a partition nobody planned.
    ahead_days: int = 31
    #: How far back: the default retention, seven years.
    behind_days: int = 2_555


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """``dsn`` is for the role that may insert and select, ``owner_dsn`` for the owner, who makes partitions.

    Without ``owner_dsn`` a month that has no partition is answered with a 503 that says how to make it.
    ``tables`` are those whose presence makes the service ready. Without ``tokens_file`` everybody on this
    machine may do everything, and nobody else can connect.
    """

    dsn: str
    owner_dsn: str | None = None
    tables: tuple[str, ...] = ("audit_events",)
    tokens_file: Path | None = None
    limits: Limits = Limits()
    pool_size: int = 8
    statement_timeout_ms: int = 15_000
    #: Seconds for which an answer of /health/ready is given again without asking the database.
    ready_cache_s: float = 1.0
    telemetry: bool = False
