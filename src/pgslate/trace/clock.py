"""Definitions that depend on the clock: what makes them, and until when a trace of them holds. Pure.

A migration that makes the partitions of today makes others tomorrow. The trace marks its statements, and says
when the month (or the day, hour, minute) is over for which its names and bounds were made.

Source: PostgreSQL manual, "Date/Time Functions and Operators".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pgslate.trace.effects import Effect, Trace

WORDS = frozenset(
    """
    now current_date current_time current_timestamp localtime localtimestamp clock_timestamp today tomorrow
    yesterday statement_timestamp transaction_timestamp timeofday
    """.split()  # noqa: SIM905
)
"""What SQL reads the clock by, in lower case; some of it stands in strings."""

_DIGITS = re.compile(r"\d{2,}")  # of a date, in a name
_LITERAL = re.compile(r"'([^']*)'")
_TIME = re.compile(r"\b(\d\d):(\d\d)(?::(\d\d))?")
_DAY = re.compile(r"\b\d{4}-\d\d-(\d\d)\b")
_MINUTE_IN_NAME = re.compile(r"\d{8}[_t]?\d{4}")


def is_made_of_clock(names: Iterable[str], places: Iterable[str], words: frozenset[str], text: str) -> bool:
    """Whether a statement made up numbers in names, or bounds, while it read the clock.

    Args:
        names: The bare names, in lower case, of the relations that it made.
        places: The places of the partitions that it made, with their bounds.
        words: Its words, and those of the functions that it called, in lower case.
        text: The statement.

    >>> is_made_of_clock(["log_2026"], [], words=frozenset({"now", "log_"}), text="SELECT f(now())")
    True
    >>> is_made_of_clock(["log"], [], words=frozenset({"now", "log"}), text="CREATE TABLE log (at ...)")
    False
    """
    if words.isdisjoint(WORDS):
        return False
    digits = {run for name in names if name not in words for run in _DIGITS.findall(name)}
    bounds = {literal for place in places for literal in _LITERAL.findall(place)}
    return any(made not in text for made in digits | bounds)


def expiry(began: datetime, effects: Iterable[Effect]) -> str:
    """When what the clock made would come out otherwise: ISO 8601, UTC; empty where it made nothing.

    ``began`` is the time at which the trace began, in the server's time zone.

    >>> effect = Effect(0, 0, 1, clock=True, takes=frozenset({"relation:public.log_2026_12_01"}))
    >>> expiry(datetime(2026, 12, 1, 15, 30, tzinfo=UTC), [effect])
    '2026-12-02T00:00:00+00:00'
    """
    taken = [name for effect in effects if effect.clock for name in effect.takes or ("",)]
    if not taken:
        return ""
    times = [time for name in taken for time in _TIME.findall(name)]
    if any(minute != "00" or second not in ("", "00") for _, minute, second in times) or any(
        map(_MINUTE_IN_NAME.search, taken)
    ):
        end = began.replace(second=0, microsecond=0) + timedelta(minutes=1)
    elif any(hour != "00" for hour, _, _ in times):
        end = began.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    else:
        end = began.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        days = [day for name in taken for day in _DAY.findall(name)]
        if days and set(days) == {"01"}:  # bounds from month to month
            end = (began.replace(day=1) + timedelta(days=32)).replace(
                day=1, hour=0, minute=0, second=0, microsecond=0
            )
    return end.astimezone(UTC).isoformat()


def is_over(trace: Trace, now: datetime) -> bool:
    """Whether the time is over for which a trace was made."""
    return bool(trace.expires) and now >= datetime.fromisoformat(trace.expires)
