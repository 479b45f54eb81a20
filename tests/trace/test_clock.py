"""Names and bounds that migrations make from the current time, and traces that are of another day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.slices.judging import catalog_of, court

from pgslate.catalog.catalog import Catalog
from pgslate.slices import lockfile
from pgslate.slices.lockfile import Lock, locked_trace
from pgslate.targets.embedded.server import Server
from pgslate.trace import trace_cache
from pgslate.trace.clock import expiry
from pgslate.trace.effects import Effect, Trace
from pgslate.trace.trace_cache import trace_of

EVENTS = (
    "CREATE TABLE events (at timestamptz NOT NULL DEFAULT now()) PARTITION BY RANGE (at);"
    "CREATE FUNCTION make_partition(t timestamptz) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE"
    " format('CREATE TABLE events_%s PARTITION OF events FOR VALUES FROM (%L) TO (%L)',"
    " to_char(t, 'YYYYMMDD'), date_trunc('day', t), date_trunc('day', t) + interval '1 day'); END $$;"
)
TODAY = EVENTS + "SELECT make_partition(now());"
FIXED = EVENTS + "SELECT make_partition('2020-01-01');"
NOON = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)

Made = Callable[[str], int]


def test_partitions_of_today_depend_on_the_clock_and_partitions_of_a_date_do_not(server: Server) -> None:
    with court(server, TODAY) as case:
        assert [effect.clock for effect in case.trace.effects] == [False, False, True]
        assert "clock" in case.trace.uncertain[-1].what
        assert datetime.fromisoformat(case.trace.expires) - datetime.now(UTC) <= timedelta(days=1)
    with court(server, FIXED, "CREATE TABLE plain (id serial, at date DEFAULT now());") as case:
        assert not any(effect.clock for effect in case.trace.effects)
        assert case.trace.expires == ""


def test_a_do_block_that_names_a_table_after_the_day_depends_on_the_clock(server: Server) -> None:
    with court(
        server,
        "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (i int)',"
        " 'log_' || to_char(CURRENT_DATE, 'YYYY_MM_DD')); END $$;",
    ) as case:
        assert case.trace.effects[0].clock
        assert case.trace.expires


@pytest.mark.parametrize(
    ("taken", "end"),
    [
        ("partition:e FOR VALUES FROM ('2026-03-01') TO ('2026-03-02')", "2026-03-02T00:00:00+00:00"),
        ("partition:e FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')", "2026-04-01T00:00:00+00:00"),
        ("partition:public.e FOR VALUES FROM ('2026-03-01 12:00:00+00')", "2026-03-01T13:00:00+00:00"),
        ("partition:public.e FOR VALUES FROM ('2026-03-01 12:30:00+00')", "2026-03-01T12:31:00+00:00"),
        ("relation:public.e_20260301_1230", "2026-03-01T12:31:00+00:00"),
        ("relation:public.e_2026_03", "2026-03-02T00:00:00+00:00"),
    ],
)
def test_what_the_clock_made_holds_to_the_end_of_its_minute_hour_day_or_month(taken: str, end: str) -> None:
    assert expiry(NOON, [Effect(0, 0, 1, clock=True, takes=frozenset({taken}))]) == end


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Made:
    """How often a catalog of one file is traced when it is asked for twice, with an empty cache."""
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path))

    def count(source: str) -> int:
        lines: list[int] = []
        for _ in range(2):
            trace_of(catalog_of(source), progress=lambda *told: lines.append(told[3]))
        return lines.count(0)

    return count


def test_a_trace_whose_day_is_over_is_made_anew(monkeypatch: pytest.MonkeyPatch, traced: Made) -> None:
    assert traced(FIXED) == 1
    monkeypatch.setattr(trace_cache, "is_over", lambda trace, now: bool(trace.expires))
    assert traced(TODAY) == 2
    assert traced(FIXED.replace("2020", "2021")) == 1


def test_a_lock_whose_day_is_over_is_not_believed(server: Server, tmp_path: Path) -> None:
    with court(server, TODAY) as case:
        catalog: Catalog = case.catalog
        path = tmp_path / "pgslate.lock"

        def written(trace: Trace) -> Trace | None:
            path.write_text(lockfile.dumps(Lock(trace, {}, {}, {})))
            return locked_trace(catalog, (), path)

        tomorrow, yesterday = ((datetime.now(UTC) + timedelta(days=days)).isoformat() for days in (1, -1))
        assert written(replace(case.trace, expires=tomorrow)) is not None
        assert written(replace(case.trace, expires=yesterday)) is None
