"""What a policy asks for, without a database and without a clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgslate.errors import ConfigError
from pgslate.partitions.policy import PartitionPolicy, Window

MONTHLY = PartitionPolicy.parse(
    "audit_events", {"every": "month", "name": "{table}_y{year}m{month:02}", "behind": 0, "ahead": 1}
)


def names(policy: PartitionPolicy, as_of: datetime) -> list[str]:
    return [each.name for each in policy.plan(as_of)]


def test_a_month_and_the_next_are_planned() -> None:
    assert names(MONTHLY, datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)) == [
        "audit_events_y2025m12",
        "audit_events_y2026m01",
    ]


def test_bounds_are_half_open_and_meet() -> None:
    first, second = MONTHLY.windows(datetime(2025, 12, 10, tzinfo=UTC))
    assert first == Window(date(2025, 12, 1), date(2026, 1, 1))
    assert second == Window(date(2026, 1, 1), date(2026, 2, 1))


def test_a_moment_is_taken_in_utc_wherever_it_was_said() -> None:
    in_tokyo = datetime(2026, 1, 1, 8, 30, tzinfo=timezone(timedelta(hours=9)))
    assert MONTHLY.window_at(in_tokyo).start == date(2025, 12, 1)


def test_windows_behind_reach_back_over_a_leap_day() -> None:
    policy = PartitionPolicy.parse("t", {"every": "day", "behind": 2, "ahead": 0})
    assert names(policy, datetime(2024, 3, 1, tzinfo=UTC)) == [
        "t_y2024m02d28",
        "t_y2024m02d29",
        "t_y2024m03d01",
    ]


def test_weeks_begin_on_monday_and_belong_to_their_iso_year() -> None:
    policy = PartitionPolicy.parse("t", {"every": "week", "ahead": 0})
    (planned,) = policy.plan(datetime(2025, 1, 1, tzinfo=UTC))
    assert planned.window == Window(date(2024, 12, 30), date(2025, 1, 6))
    assert planned.name == "t_y2025w01"


def test_years_are_planned() -> None:
    policy = PartitionPolicy.parse("t", {"every": "year", "behind": 1})
    assert names(policy, datetime(2026, 6, 1, tzinfo=UTC)) == ["t_y2025", "t_y2026", "t_y2027"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "every is missing"),
        ({"every": "fortnight"}, "every is 'fortnight'"),
        ({"every": "month", "aheed": 1}, "aheed is unknown"),
        ({"every": "month", "ahead": -1}, "ahead is -1"),
        ({"every": "month", "behind": "2"}, "behind is '2'"),
        ({"every": "month", "ahead": True}, "ahead is True"),
        ({"every": "month", "default": "yes"}, "default is 'yes'"),
        ({"every": "month", "name": 3}, "name is 3"),
        ({"every": "month", "name": "{table}_{yeer}"}, "unknown field {yeer}"),
        ({"every": "month", "name": "{}_{year}{month}"}, "unknown field {}"),
        ({"every": "month", "name": "{table.x}_{year}{month}"}, "unknown field {table.x}"),
        ({"every": "month", "name": "{table}_{year"}, "expected '}'"),
        ({"every": "month", "name": "{table}_{year!r}m{month}"}, "formats {year} as 'r'"),
        ({"every": "month", "name": "{table}_{year}m{month:x}"}, "formats {month} as 'x'"),
        ({"every": "month", "name": "{table}_m{month}"}, "calls both"),
        ({"every": "month", "name": "{table}_{year}{month}"}, ""),
        ({"every": "day", "name": "{table}_{year}{month}{day}"}, "calls both"),
        ({"every": "week", "name": "{table}_y{year}w{week:02}"}, "calls both"),
        ({"every": "month", "name": "{table}" + "x" * 50 + "{year}{month:02}"}, "cuts names at 63"),
    ],
)
def test_what_a_policy_may_not_say_is_an_error_with_a_fix(said: dict[str, Any], words: str) -> None:
    if not words:
        assert PartitionPolicy.parse("audit_events", said).every == "month"
        return
    with pytest.raises(ConfigError) as raised:
        PartitionPolicy.parse("audit_events", said)
    assert words in raised.value.message
    assert "[partitions.audit_events]" in raised.value.message
    assert raised.value.fix


def test_a_name_that_fits_in_bytes_is_measured_in_bytes_not_characters() -> None:
    with pytest.raises(ConfigError, match="bytes"):
        PartitionPolicy.parse("é" * 30, {"every": "month"})


@pytest.mark.parametrize("name", ["audit_events_y2025m12", "public.audit_events_y2025m12"])
def test_a_partition_that_is_asked_for_by_name_gives_its_window(name: str) -> None:
    assert MONTHLY.window_of(name) == Window(date(2025, 12, 1), date(2026, 1, 1))


@pytest.mark.parametrize(
    "name",
    ["audit_events", "audit_events_y2025m13", "audit_events_y2025m1", "audit_events_2025_12", "x_y2025m12",
     "audit_events_y2025m12x", "audit_events_y0000m01", "audit_events_y2025m00"],
)  # fmt: skip
def test_a_name_that_the_policy_would_never_give_has_no_window(name: str) -> None:
    assert MONTHLY.window_of(name) is None


@given(
    every=st.sampled_from(["day", "week", "month", "year"]),
    day=st.dates(min_value=date(1005, 1, 10), max_value=date(9990, 1, 1)),
)
def test_every_name_leads_back_to_its_window(every: str, day: date) -> None:
    policy = PartitionPolicy.parse("t", {"every": every, "behind": 2, "ahead": 2})
    planned = policy.plan(datetime(day.year, day.month, day.day, tzinfo=UTC))
    assert [policy.window_of(each.name) for each in planned] == [each.window for each in planned]
    assert all(one.window.end == other.window.start for one, other in pairwise(planned))
