"""The settings of a test run: from the command line, else the environment, else pytest's ini, else a default.

Each setting has one name, and with it an option (``--pgslate-keep``), a variable (``PGSLATE_KEEP``) and an
ini key (``pgslate_keep``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    import datetime as dt

Keep = Literal["failed", "all", "none"]
Isolation = Literal["database", "schema"]
YesNo = Literal["yes", "no"]

#: Name, what a value looks like, and what it is for; in the order in which people meet them.
NAMES: tuple[tuple[str, str, str], ...] = (
    ("dsn", "URL", "the server to make databases on (default: an embedded one, for this run)"),
    ("kube", "NAMESPACE[/SERVICE]", "the PostgreSQL server in a Kubernetes namespace"),
    ("catalog", "DIR", "the folder of migrations (default: as the nearest pgslate.toml says)"),
    ("major", "VERSION", "the major version of the embedded server (default: the newest installed)"),
    ("isolation", "database|schema", "a database for each test, or, without CREATEDB, a schema"),
    ("keep", "failed|all|none", "whose databases stay after the test, to be looked into (default: failed)"),
    ("keep_at_most", "N", "so many are kept on a server, the newest (default: 5)"),
    ("ahead", "N", "at most so many databases are made ahead of each kind (default: 4; 0: none)"),
    ("reuse", "yes|no", "put a database back that a test only wrote rows to, if it is proved (default: yes)"),
    ("as_of", "DAY", "the day from which partitions are counted (default: by the server's clock)"),
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a test run; from the folder ``start`` upward a configuration is looked for."""

    dsn: str | None = None
    kube: str | None = None
    catalog: str | None = None
    major: int | None = None
    isolation: Isolation = "database"
    keep: Keep = "failed"
    keep_at_most: int = 5
    ahead: int = 4
    reuse: bool = True
    as_of: dt.datetime | None = None
    start: str = "."


def option(name: str) -> str:
    """The command line option of a setting.

    >>> option("keep_at_most")
    '--pgslate-keep-at-most'
    """
    return f"--pgslate-{name.replace('_', '-')}"


def settings(
    *,
    given: Callable[[str], Any] = lambda name: None,
    ini: Callable[[str], Any] = lambda name: None,
    environ: Mapping[str, str] = os.environ,
    start: str = ".",
) -> Settings:
    """The settings, each from the first place that has it: ``given``, the environment, ``ini``.

    A server named in one place wins over one named, in whichever way, in a later place. Raises UsageError for
    a value that makes no sense.
    """
    places: tuple[tuple[str, Callable[[str], Any]], ...] = (
        ("option", given),
        ("variable", lambda name: environ.get(f"PGSLATE_{name.upper()}")),
        ("ini key", ini),
    )
    found: dict[str, str] = {}
    for place, says in places:
        here = {name: str(says(name)) for name, _, _ in NAMES if says(name) not in (None, "")}
        if "dsn" in found or "kube" in found:
            here.pop("dsn", None)
            here.pop("kube", None)
        elif "dsn" in here and "kube" in here:
            raise _wrong("dsn", "and kube name two servers", f"keep one {place}")
        found = {**here, **found}
    return Settings(
        dsn=found.get("dsn"),
        kube=found.get("kube"),
        catalog=found.get("catalog"),
        major=_number("major", found["major"]) if "major" in found else None,
        isolation=_one_of("isolation", found.get("isolation", "database"), Isolation),
        keep=_one_of("keep", found.get("keep", "failed"), Keep),
        keep_at_most=_number("keep_at_most", found.get("keep_at_most", "5")),
        ahead=_number("ahead", found.get("ahead", "4")),
        reuse=_one_of("reuse", found.get("reuse", "yes"), YesNo) == "yes",
        as_of=_moment("as_of", found["as_of"]) if "as_of" in found else None,
        start=start,
    )


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise _wrong(name, f"is {text!r}", "give a whole number from 0")
    return int(text)


def _one_of(name: str, text: str, among: Any) -> Any:
    if text not in get_args(among):
        raise _wrong(name, f"is {text!r}", f"use {', '.join(get_args(among))}")
    return text


def _moment(name: str, text: str) -> dt.datetime:
    import datetime as dt

    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(name, f"is {text!r}", "write 2026-07-01 or 2026-07-01T12:00:00Z") from None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _wrong(name: str, what: str, fix: str) -> Exception:
    from pgslate.errors import UsageError

    return UsageError(f"{option(name)} {what}", fix=fix)
