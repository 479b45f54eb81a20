"""dbmate: ``NNN_name.sql`` with ``-- migrate:up`` and ``-- migrate:down`` blocks, several a file if need be.

Source: dbmate, ``pkg/dbmate/migration.go``: ``transaction:false`` is an option of each block.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of, only

name = "dbmate"

_NAMED = re.compile(r"(?P<version>\d+)(?P<name>.*)\.sql$")
_BLOCK = re.compile(r"^--\s*migrate:(?P<way>up|down)(?P<options>[ \t]*$|[ \t]+\S[^\n]*)", re.MULTILINE)
_ALONE = re.compile(r"\btransaction:false(?!\S)")
_SQL = re.compile(r"^(?!\s*(--|$))", re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _BLOCK.search(listing.text(file))
        if found:
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_migration(listing, f) for f in listing.sql() if not naming.is_bystander(f))


def _migration(listing: Listing, file: str) -> Migration:
    named = _NAMED.match(file)
    if named is None:
        raise naming.not_named(file, "20240131120000_add_users.sql")
    source, transactional = _up(listing.text(file), file)
    return Migration(
        version=named["version"],
        name=named["name"].lstrip("_-. ") or named["version"],
        file=file,
        source=source,
        order=(int(named["version"]),),
        transactional=transactional,
    )


def _up(text: str, file: str) -> tuple[str, bool]:
    """(the SQL of the up blocks, whether they run in a transaction).

    Where only some do, each of those stands between a BEGIN and a COMMIT in the place of its comments.
    """
    found = list(_BLOCK.finditer(text))
    ups = [block for block in found if block["way"] == "up"]
    if not ups:
        raise CatalogError(
            f"{file} has no '-- migrate:up'", place=Place(file, 1), fix="add '-- migrate:up' above its SQL"
        )
    if found[0]["way"] == "down":
        place = Place(file, line_of(text, found[0].start()), 1, found[0].group())
        raise CatalogError(
            "'-- migrate:down' comes before '-- migrate:up'", place=place, fix="put the up block first"
        )
    stray = _SQL.search(text, 0, found[0].start())
    if stray and stray.start() < found[0].start():
        line = line_of(text, stray.start())
        raise CatalogError(
            "SQL stands above '-- migrate:up'",
            place=Place(file, line, 1, text.splitlines()[line - 1]),
            fix="move it below the comment",
        )
    spans = []
    for index, block in enumerate(found):
        if block["way"] == "up":
            end = found[index + 1].start() if index + 1 < len(found) else len(text)
            spans.append((block.end(), end))
    alone = [bool(_ALONE.search(block["options"])) for block in ups]
    source = only(text, spans)
    if any(alone) and not all(alone):
        for (start, end), one in reversed(list(zip(spans, alone, strict=True))):
            if not one:
                body = source[start:end] if source[start:end].endswith("\n") else source[start:end] + "\n"
                source = f"{source[: start - 6]}BEGIN;{body};COMMIT;{source[end:]}"
    return source, not any(alone)
