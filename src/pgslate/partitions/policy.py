"""A partition policy: which windows of time a table should have partitions for, and what they are called.

    [partitions.audit_events]
    every = "month"                            # day, week (from Monday), month, year
    name = "{table}_y{year}m{month:02}"
    behind = 0                                 # windows before the current one
    ahead = 1                                  # windows after it
    default = false

Windows are half open and begin at midnight UTC. Nothing here talks to a database or looks at a clock.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal, TypeAlias, cast, get_args

from pgslate.errors import ConfigError

Every: TypeAlias = Literal["day", "week", "month", "year"]

MAX_NAME_BYTES = 63
_FIELDS = ("table", "year", "month", "day", "iso_year", "week")
_DEFAULT_NAMES: dict[Every, str] = {
    "day": "{table}_y{year}m{month:02}d{day:02}",
    "week": "{table}_y{iso_year}w{week:02}",
    "month": "{table}_y{year}m{month:02}",
    "year": "{table}_y{year}",
}
_PROBED: dict[Every, int] = {"day": 800, "week": 120, "month": 30, "year": 12}
"""How many windows in a row must have names of their own: enough for every field to turn over."""

_FORMAT = re.compile(r"(0?[1-9])?d?")
_LATEST = date(9998, 1, 1)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A stretch of time from midnight UTC of ``start`` up to, not including, midnight UTC of ``end``."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"[{self.start}, {self.end})"


@dataclass(frozen=True, slots=True)
class Planned:
    """A partition that the policy asks for."""

    name: str
    window: Window


@dataclass(frozen=True, slots=True)
class PartitionPolicy:
    """One table's policy; ``table`` is bare or ``schema.table``. Make it with ``parse``, which checks it."""

    table: str
    every: Every
    name: str
    behind: int = 0
    ahead: int = 1
    default: bool = False

    @classmethod
    def parse(cls, table: str, mapping: Mapping[str, Any]) -> PartitionPolicy:
        """The policy that ``[partitions.TABLE]`` says; only ``every`` has to be there.

        Raises ConfigError for an unknown key, a wrong value, and a name template with an unknown field,
        or that calls two windows the same, or gives names that PostgreSQL would cut (63 bytes).
        """
        where = f"[partitions.{table}]"
        known = ("every", "name", "behind", "ahead", "default")
        if unknown := sorted(set(mapping) - set(known)):
            raise ConfigError(f"{where}: {unknown[0]} is unknown", fix=f"use {', '.join(known)}")
        every = mapping.get("every")
        if every not in get_args(Every):
            raise ConfigError(
                f"{where}: every is {every!r}" if "every" in mapping else f"{where}: every is missing",
                fix='say every = "day", "week", "month" or "year"',
            )
        every = cast(Every, every)
        name = mapping.get("name", _DEFAULT_NAMES[every])
        policy = cls(
            table,
            every,
            name,
            _count(where, "behind", mapping.get("behind", 0)),
            _count(where, "ahead", mapping.get("ahead", 1)),
            mapping.get("default", False),
        )
        if not isinstance(policy.default, bool):
            raise ConfigError(f"{where}: default is {policy.default!r}", fix="say true or false")
        _check_template(policy, where)
        return policy

    @property
    def table_name(self) -> str:
        """The table's name without its schema."""
        return self.table.rpartition(".")[2]

    def is_of(self, schema: str, name: str) -> bool:
        """Whether it is the policy of a table, whose schema and name are given as they are, without quotes.

        >>> policy = PartitionPolicy.parse("app.Events", {"every": "month"})
        >>> policy.is_of("app", "Events"), policy.is_of("public", "Events")
        (True, False)
        """
        own_schema, _, own_name = self.table.rpartition(".")
        return own_name == name and own_schema in ("", schema)

    @property
    def default_name(self) -> str:
        """What the DEFAULT partition is called."""
        return f"{self.table_name}_default"

    def window_at(self, moment: datetime) -> Window:
        """The window that holds a moment; one without a timezone is taken as UTC."""
        day = utc(moment).date()
        if day > _LATEST:
            raise ConfigError(f"{day} is too late for partitions", fix=f"use a moment before {_LATEST}")
        match self.every:
            case "day":
                start = day
            case "week":
                start = day - timedelta(days=day.weekday())
            case "month":
                start = day.replace(day=1)
            case "year":
                start = day.replace(month=1, day=1)
        return Window(start, _step(start, self.every, 1))

    def windows(self, as_of: datetime) -> tuple[Window, ...]:
        """The windows that should have partitions at a moment, in order of time."""
        current = self.window_at(as_of).start
        starts = [_step(current, self.every, n) for n in range(-self.behind, self.ahead + 1)]
        return tuple(Window(start, _step(start, self.every, 1)) for start in starts)

    def plan(self, as_of: datetime) -> tuple[Planned, ...]:
        """The partitions that the table should have at a moment, in order of time."""
        return tuple(Planned(self.name_of(window), window) for window in self.windows(as_of))

    def name_of(self, window: Window) -> str:
        """What the partition of a window is called, without its schema.

        >>> policy = PartitionPolicy.parse("audit_events", {"every": "month"})
        >>> policy.name_of(Window(date(2025, 12, 1), date(2026, 1, 1)))
        'audit_events_y2025m12'
        """
        return self.name.format(**_values(self.table_name, window.start))

    def window_of(self, name: str) -> Window | None:
        """The window of the partition of that name (with or without a schema), or None: no partition of ours.

        >>> policy = PartitionPolicy.parse("audit_events", {"every": "month"})
        >>> str(policy.window_of("audit_events_y2025m12"))
        '[2025-12-01, 2026-01-01)'
        >>> policy.window_of("audit_events_y2025m13")
        """
        schema, _, bare = name.rpartition(".")
        own_schema = self.table.rpartition(".")[0]
        if schema and own_schema and schema != own_schema:
            return None
        found = re.fullmatch(_pattern(self.name, self.table_name), bare)
        if found is None:
            return None
        values = {field: int(digits) for field, digits in found.groupdict().items()}
        try:
            if "week" in values:
                start = date.fromisocalendar(values.get("iso_year", values.get("year", 0)), values["week"], 1)
            else:
                year = values.get("year", values.get("iso_year", 0))
                start = date(year, values.get("month", 1), values.get("day", 1))
            window = self.window_at(datetime(start.year, start.month, start.day, tzinfo=UTC))
        except (ValueError, ConfigError):
            return None
        return window if window.start == start and self.name_of(window) == bare else None


def utc(moment: datetime) -> datetime:
    """A moment in UTC; one without a timezone is taken as UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _step(start: date, every: Every, count: int) -> date:
    """The start of the window ``count`` windows after the one that begins at ``start``."""
    match every:
        case "day":
            return start + timedelta(days=count)
        case "week":
            return start + timedelta(weeks=count)
        case "month":
            months = start.year * 12 + start.month - 1 + count
            return date(months // 12, months % 12 + 1, 1)
        case "year":
            return start.replace(year=start.year + count)


def _values(table: str, start: date) -> dict[str, str | int]:
    iso_year, week, _ = start.isocalendar()
    return {
        "table": table,
        "year": start.year,
        "month": start.month,
        "day": start.day,
        "iso_year": iso_year,
        "week": week,
    }


def _count(where: str, key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise ConfigError(f"{where}: {key} is {value!r}", fix=f"say how many windows, 0 to 1000: {key} = 1")
    return value


def _check_template(policy: PartitionPolicy, where: str) -> None:
    if not isinstance(policy.name, str):
        raise ConfigError(
            f"{where}: name is {policy.name!r}", fix=f'say name = "{_DEFAULT_NAMES[policy.every]}"'
        )
    try:
        pieces = list(string.Formatter().parse(policy.name))
    except ValueError as error:
        raise ConfigError(
            f"{where}: name {policy.name!r}: {error}", fix="write a brace itself as {{ or }}"
        ) from None
    for _, field, form, conversion in pieces:
        if field is not None and field not in _FIELDS:
            raise ConfigError(
                f"{where}: name has the unknown field {{{field}}}", fix=f"use {', '.join(_FIELDS)}"
            )
        if conversion or (form and (field == "table" or not _FORMAT.fullmatch(form))):
            raise ConfigError(
                f"{where}: name formats {{{field}}} as {conversion or form!r}",
                fix="use {month:02} for two digits",
            )
    _check_names(policy, where)


def _check_names(policy: PartitionPolicy, where: str) -> None:
    window_of: dict[str, Window] = {policy.table_name: Window(date.min, date.min)}
    start = policy.window_at(datetime(2024, 1, 1, tzinfo=UTC)).start
    for _ in range(_PROBED[policy.every]):
        window = Window(start, _step(start, policy.every, 1))
        name = policy.name_of(window)
        if len(name.encode()) > MAX_NAME_BYTES or len(policy.default_name.encode()) > MAX_NAME_BYTES:
            raise ConfigError(
                f"{where}: the name {name} has {len(name.encode())} bytes,"
                f" and PostgreSQL cuts names at {MAX_NAME_BYTES}",
                fix="choose a shorter name, for example without {table}",
            )
        if name in window_of:
            raise ConfigError(
                f"{where}: name {policy.name!r} calls both {window_of[name]} and {window} {name}"
                if name != policy.table_name
                else f"{where}: name {policy.name!r} gives a partition the name of its table",
                fix=f'name what changes with every {policy.every}: "{_DEFAULT_NAMES[policy.every]}"',
            )
        window_of[name] = window
        start = window.end


def _pattern(template: str, table: str) -> str:
    """A regular expression for names that the template gives, with a group for each field."""
    pattern, fields = "", set()
    for text, field, _, _ in string.Formatter().parse(template):
        pattern += re.escape(text)
        if field == "table":
            pattern += re.escape(table)
        elif field in fields:
            pattern += f"(?P={field})"
        elif field is not None:
            fields.add(field)
            pattern += (
                rf"(?P<{field}>\d{{4}})" if field in ("year", "iso_year") else rf"(?P<{field}>\d{{1,2}})"
            )
    return pattern
