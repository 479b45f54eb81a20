"""tern: ``NNN_name.sql``, SQL above and below ``---- create above / drop below ----``, Go templates.

Source: tern, ``migrate/migrate.go``: numbers count up from 1 without a gap; ``---- tern: disable-tx ----``
runs each statement alone; files in folders below are for ``{{ template "shared/x.sql" . }}``.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, DuplicateVersionError, Place
from pgslate.formats import templates
from pgslate.formats.listing import Listing, Options

name = "tern"
substitutes = True

_NAMED = re.compile(r"(?P<version>\d+)_(?P<name>.+)\.sql$")
_SEPARATOR = "---- create above / drop below ----"
_DISABLE_TX = re.compile(r"^---- tern: disable-tx ----$", re.MULTILINE)
_INCLUDE = re.compile(r'\{\{-?\s*template\s+"')


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        if _NAMED.match(file) and _SEPARATOR in listing.text(file):
            return f"{file} has {_SEPARATOR!r}"
    conf = "tern.conf"
    if conf in listing.top and any(_NAMED.match(f) for f in listing.sql()):
        return f"{conf} and numbered files"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    files = sorted((f for f in listing.sql() if _NAMED.match(f)), key=_number)
    for expected, file in enumerate(files, start=1):
        if _number(file) == expected:
            continue
        if _number(file) < expected:
            before = files[expected - 2]
            raise DuplicateVersionError(
                f"version {_number(file)} is claimed by two files: {before} and {file}",
                fix="give one of them a number of its own",
                files=(before, file),
            )
        raise CatalogError(
            f"migration {expected} is missing: {file} is the next there is",
            fix="restore it, or number the files without a gap, as tern demands",
        )
    return tuple(_migration(listing, file, options) for file in files)


def _number(file: str) -> int:
    return int(file.split("_", 1)[0])


def _migration(listing: Listing, file: str, options: Options) -> Migration:
    number, _, rest = file[: -len(".sql")].partition("_")
    text = listing.text(file)
    up = text.split(_SEPARATOR, 1)[0]
    source, origin = _filled(up, listing, options, file)
    if not any(line.strip() and not line.strip().startswith("--") for line in source.split("\n")):
        raise CatalogError(
            f"{file} holds no SQL to run", place=Place(file, 1), fix="write it, or remove the file"
        )
    return Migration(
        version=number,
        name=rest,
        file=file,
        source=source,
        order=(int(number),),
        transactional=not _DISABLE_TX.search(up),
        origin=origin,
    )


def _filled(text: str, listing: Listing, options: Options, file: str) -> tuple[str, tuple[int, ...]]:
    """(the template filled in, the file's line for each line of that; () where nothing was included)."""

    def include(path: str) -> str | None:
        if path not in listing.files or "/" not in path:
            return None
        return templates.fill_go(listing.text(path), options.defines, file=path, include=include)

    if not _INCLUDE.search(text):
        return templates.fill_go(text, options.defines, file=file), ()
    lines: list[str] = []
    origin: list[int] = []
    for number, line in enumerate(text.split("\n"), start=1):
        filled = templates.fill_go(line, options.defines, file=file, first_line=number, include=include)
        lines += filled.split("\n")
        origin += [number] * (filled.count("\n") + 1)
    return "\n".join(lines), tuple(origin)
