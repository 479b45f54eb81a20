"""Flyway: ``V1_2__name.sql``, repeatable ``R__name.sql``, baseline ``B5__name.sql``; undo
``U1_2__name.sql`` is ignored.

Source: Flyway, "Migrations", "Placeholders", "Script config files". Versions compare by their numbers,
without trailing zeros. On an empty database the newest baseline stands for the versions up to its own. A
migration is one transaction, except where it holds a statement that can't be in one, or
``executeInTransaction=false`` in its ``.conf``. Files in folders below count too.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError
from pgslate.formats import naming, templates
from pgslate.formats.listing import Listing, Options

name = "flyway"
substitutes = True

_VERSIONED = re.compile(r"(?P<kind>[VB])(?P<version>\d+(?:[._]\d+)*)__(?P<name>.*)\.sql$")
_REPEATABLE = re.compile(r"R__(?P<name>.*)\.sql$")
_MISNAMED = re.compile(r"(?:[VB]\d[\d._]*(?:_[^_].*)?|R(?:_[^_].*)?)\.sql$")
_SETTING = re.compile(r"^\s*(?P<key>\w+)\s*=\s*(?P<value>\S*)\s*$", re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    for file in listing.files:
        base = file.rsplit("/", 1)[-1]
        if _VERSIONED.match(base) or _REPEATABLE.match(base):
            return f"{file} is named as Flyway does"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(
        tuple(
            f
            for f in naming.code_migrations(listing.files)
            if re.match(r"[VRB][\w.]*__", f.rsplit("/", 1)[-1])
        ),
        options,
    )
    versioned: list[Migration] = []
    baselines: list[Migration] = []
    repeatable: list[Migration] = []
    for file in listing.files:
        base = file.rsplit("/", 1)[-1]
        if _MISNAMED.match(base) and not _VERSIONED.match(base) and not _REPEATABLE.match(base):
            raise CatalogError(
                f"{file} is not named as Flyway does, and would be passed over",
                fix="put two underscores between the version and the name: V1_2__name.sql",
            )
        settings = _settings(listing, file + ".conf")
        if settings.get("shouldExecute", "true").lower() == "false":
            continue
        if found := _VERSIONED.match(base):
            (versioned if found["kind"] == "V" else baselines).append(
                _migration(listing, file, found, settings, options)
            )
        elif found := _REPEATABLE.match(base):
            repeatable.append(_repeatable(listing, file, found["name"], settings, options))
    if baselines:
        newest = max(baselines, key=lambda m: m.order)
        versioned = [newest, *(m for m in versioned if m.order > newest.order)]
    return (*versioned, *repeatable)


def _migration(
    listing: Listing, file: str, found: re.Match[str], settings: dict[str, str], options: Options
) -> Migration:
    numbers = [int(part) for part in re.split(r"[._]", found["version"])]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return Migration(
        version=found["version"].replace("_", "."),
        name=found["name"],
        file=file,
        source=_source(listing, file, settings, options),
        order=tuple(numbers),
        transactional=settings.get("executeInTransaction", "true").lower() != "false",
    )


def _repeatable(
    listing: Listing, file: str, name: str, settings: dict[str, str], options: Options
) -> Migration:
    return Migration(
        version=f"R__{name}",
        name=name,
        file=file,
        source=_source(listing, file, settings, options),
        order=(name,),
        transactional=settings.get("executeInTransaction", "true").lower() != "false",
        repeatable=True,
    )


def _settings(listing: Listing, file: str) -> dict[str, str]:
    if file not in listing.files:
        return {}
    return {found["key"]: found["value"] for found in _SETTING.finditer(listing.text(file))}


def _source(listing: Listing, file: str, settings: dict[str, str], options: Options) -> str:
    text = listing.text(file)
    if settings.get("placeholderReplacement", "true").lower() == "false":
        return text
    known = {
        "flyway:filename": file.rsplit("/", 1)[-1],
        "flyway:table": "flyway_schema_history",
        "flyway:defaultSchema": "public",
        **options.defines,
    }

    def value(found: re.Match[str]) -> str | None:
        given = known.get(found["name"])
        return found.group() if given is None and _in_comment(text, found.start()) else given

    return templates.fill(text, templates.BRACED, value, file=file)


def _in_comment(text: str, offset: int) -> bool:
    """Whether the line is a comment up to ``offset``: nobody has to give a value for what is never run."""
    start = text.rfind("\n", 0, offset) + 1
    return text[start:offset].lstrip().startswith("--")
