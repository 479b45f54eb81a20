"""Sqitch: ``deploy/name.sql`` in the order of ``sqitch.plan``; ``revert/`` and ``verify/`` are left out.

A change that is reworked stands twice in the plan: first as ``deploy/name@tag.sql``, with a tag that lies
between, then as ``deploy/name.sql``. The first keeps the version ``name``, the next are ``name#2`` and so on.

Source: Sqitch, ``lib/App/Sqitch/Plan.pm`` (the plan's lines, ``check_changes``), ``Plan/Change.pm`` (names of
files) and ``Engine/pg.pm``: a script is given to ``psql --file`` with ``ON_ERROR_STOP`` and the variable
``registry``, so each statement is a transaction of its own, but between BEGIN and COMMIT. A ``\\set`` gives
a variable its value; other backslash commands are errors, as elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import psql_variables
from pgslate.formats.listing import Listing, Options

name = "sqitch"
substitutes = True

_PLAN = "sqitch.plan"
_CONF = "sqitch.conf"
_NAME = r"[^\s@:#\\\[\]]+"
_LINE = re.compile(rf"\s*(?P<sign>[@+-])?\s*(?P<name>{_NAME})(?:\s+\[(?P<needs>[^\]]+)\])?(?:\s.*)?$")
_PRAGMA = re.compile(r"\s*%\s*(?P<key>[\w-]+)\s*(?:=\s*(?P<value>\S+))?")
_NEED = re.compile(rf"(?P<not>!)?(?:(?P<project>{_NAME}):)?(?P<change>{_NAME})?(?:@(?P<tag>{_NAME}))?$")
_ENGINE = re.compile(r"^\s*engine\s*=\s*(?P<engine>\w+)", re.MULTILINE)
_STOPS = re.compile(r"^[ \t]*\\set[ \t]+ON_ERROR_STOP\b[^\n]*$", re.MULTILINE | re.IGNORECASE)


@dataclass
class _Change:
    """A line of the plan; ``tags`` are those that lie between it and the change that reworks it."""

    name: str
    place: Place
    number: int
    tags: list[str] = field(default_factory=list)
    reworked: bool = False


def recognise(listing: Listing) -> str | None:
    return f"there is {_PLAN}" if _PLAN in listing.top else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    _check_engine(listing)
    if _PLAN not in listing.top:
        raise CatalogError(f"there is no {_PLAN}", fix="point --catalog at the folder that holds it")
    changes = _planned(listing)
    found = tuple(_migration(listing, c, position, options) for position, c in enumerate(changes))
    planned = {migration.file for migration in found}
    for file in listing.files:
        if file.startswith("deploy/") and file.endswith(".sql") and file not in planned:
            raise CatalogError(
                f"{_PLAN} doesn't name {file}, and Sqitch would not deploy it",
                fix=f'add it with sqitch add, or leave it out: ignore = ["{file}"] in pgslate.toml',
            )
    return found


def _migration(listing: Listing, change: _Change, position: int, options: Options) -> Migration:
    files = [f"deploy/{change.name}@{tag}.sql" for tag in change.tags] if change.reworked else []
    files = files or [f"deploy/{change.name}.sql"]
    file = next((f for f in files if f in listing.files), None)
    if file is None:
        raise CatalogError(
            f"there is no {files[0]}, which the plan names",
            place=change.place,
            fix="restore the file, or take the change out of the plan",
        )
    return Migration(
        version=change.name if change.number == 1 else f"{change.name}#{change.number}",
        name=change.name,
        file=file,
        source=_script(listing, file, options),
        order=(position,),
        transactional=False,
    )


def revert(listing: Listing, deployed: str, options: Options) -> tuple[str, str] | None:
    """The file that takes back what ``deployed`` does, and its SQL; None where there is none."""
    file = f"revert/{deployed.removeprefix('deploy/')}"
    return (file, _script(listing, file, options)) if file in listing.files else None


def _script(listing: Listing, file: str, options: Options) -> str:
    """A file's SQL, as psql sends it."""
    text = _STOPS.sub(lambda found: " " * len(found.group()), listing.text(file))
    return psql_variables.fill(text, {"registry": "sqitch", **options.defines}, file=file)


def _planned(listing: Listing) -> list[_Change]:
    """The plan's changes in order. Raises CatalogError where Sqitch would refuse the plan."""
    project = ""
    changes: list[_Change] = []
    tags: dict[str, int] = {}
    for number, line in enumerate(listing.text(_PLAN).split("\n"), start=1):
        text = line.split("#", 1)[0].rstrip()
        place = Place(_PLAN, number, 1, line)
        if not text:
            continue
        if pragma := _PRAGMA.match(text):
            project = pragma["value"] if pragma["key"] == "project" else project
            continue
        if not project:
            raise CatalogError(
                "the plan names no project, and Sqitch refuses it",
                place=place,
                fix="begin it with %project=NAME",
            )
        found = _LINE.match(text)
        if found is None or found["sign"] == "-":
            raise CatalogError("this is no change and no tag", place=place, fix="write the plan with sqitch")
        if found["sign"] == "@":
            if not changes or found["name"] in tags:
                raise CatalogError(
                    f"the tag @{found['name']} {'stands twice' if changes else 'has no change before it'}",
                    place=place,
                    fix="remove the line",
                )
            tags[found["name"]] = len(changes)
            for change in changes:
                if not change.reworked:
                    change.tags.insert(0, found["name"])
            continue
        before = [change for change in changes if change.name == found["name"]]
        _check_needs(found["needs"] or "", changes, tags, project, place)
        if before and not before[-1].tags:
            raise CatalogError(
                f"{found['name']} stands twice, and no tag lies between",
                place=place,
                fix="tag the plan before a change is reworked: sqitch tag, sqitch rework",
            )
        if before:
            before[-1].reworked = True
        changes.append(_Change(found["name"], place, len(before) + 1))
    return changes


def _check_needs(
    needs: str, changes: list[_Change], tags: dict[str, int], project: str, place: Place
) -> None:
    """Raise CatalogError for what a change needs, and is not before it; or must not have, and is.

    ``tags`` say how many changes stand before each: ``b@v1`` is the change b among those before the tag v1.
    """
    names = [change.name for change in changes]
    before = {"ROOT": 1, **tags, "HEAD": len(changes)}
    for each in needs.split():
        need = _NEED.match(each)
        if need is None:
            raise CatalogError(f"{each} names no change", place=place, fix="correct the dependency")
        is_elsewhere = need["project"] not in (None, project)
        if is_elsewhere or re.fullmatch(r"[0-9a-f]{40}", need["change"] or ""):
            continue
        upto = before.get(need["tag"] or "HEAD")
        there = upto is not None and (not need["change"] or need["change"] in names[:upto])
        if need["not"] and there:
            raise CatalogError(
                f"it conflicts with {each[1:]}, which the plan deploys before it",
                place=place,
                fix="take one of them out of the plan",
            )
        if not need["not"] and not there:
            raise CatalogError(
                f"it requires {each}, which the plan doesn't have before it",
                place=place,
                fix="move the change below what it requires, or correct the dependency",
            )


def _check_engine(listing: Listing) -> None:
    found = _ENGINE.search(listing.text(_CONF)) if _CONF in listing.top else None
    if found and found["engine"] not in ("pg", "cockroach"):
        text = listing.text(_CONF)
        raise CatalogError(
            f"these changes are for {found['engine']}, not for PostgreSQL",
            place=Place(_CONF, text.count("\n", 0, found.start("engine")) + 1, 1, found.group().strip("\n")),
            fix="point --catalog at the folder of the PostgreSQL changes",
        )
