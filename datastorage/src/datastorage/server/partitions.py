"""Making months of audit_events by the policy in pgslate.toml, as the owner of the table."""

from __future__ import annotations

import datetime as dt

import psycopg

from datastorage.server.months import Maker
from datastorage.services import CONFIG


def policy_maker(owner_dsn: str) -> Maker:
    """A function that makes the partitions for some days, and those that the policy wants now.

    It raises pgslate's errors, which say what is in the way, and psycopg's.
    """
    from pgslate.partitions.ensure import ensure
    from pgslate.project.configuration import Config

    policy = Config.load(CONFIG).partitions["audit_events"]

    def make(days: frozenset[dt.date]) -> None:
        windows = {policy.window_at(dt.datetime.combine(day, dt.time(), dt.UTC)) for day in days}
        names = [policy.name_of(window) for window in sorted(windows)]
        with psycopg.connect(owner_dsn, autocommit=True, connect_timeout=5) as owner:
            ensure(owner, policy, also=names, timeout=10.0)

    return make
