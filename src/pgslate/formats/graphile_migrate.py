"""graphile-migrate: committed files, ``committed/000001.sql`` or ``committed/000001-message.sql``.

Source: graphile-migrate, ``src/migration.ts`` and ``src/header.ts``: headers ``--! Previous:``, ``--!
Hash:`` and ``--! Message:``, a body that may begin with ``--! no-transaction``, placeholders such as
``:DATABASE_OWNER``. Each file names the hash of the one before it.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import templates
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of

name = "graphile-migrate"
substitutes = True

_NAMED = re.compile(r"(?:committed/)?(?P<version>\d{6,})(?:-(?P<name>[^/]*))?\.sql$")
_HEADER = re.compile(r"--! (?P<key>[A-Z][A-Za-z0-9_]*)(?::(?P<value>[^\n]*))?(?:\n|$)")
_NO_TRANSACTION = re.compile(r"\s*--!\s*no-transaction\b")
_PLACEHOLDER = re.compile(r"(?<![:\w]):(?P<name>[A-Z][A-Z0-9_]+)\b")


def recognise(listing: Listing) -> str | None:
    for file in _files(listing):
        if listing.text(file).startswith("--! Previous:"):
            return f"{file} begins with '--! Previous:'"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    found = []
    before, hashed = "", "-"
    for file in _files(listing):
        text = listing.text(file)
        headers, body = _headers(text)
        previous = headers.get("Previous", "")
        if previous != hashed:
            raise CatalogError(
                f"{file} follows {previous or 'nothing'}, but "
                + (f"{before} before it is {hashed}" if before else "it is the first"),
                place=Place(file, 1, 1, text.split("\n", 1)[0]),
                fix="restore the file that is missing, or commit the migrations again with graphile-migrate",
            )
        before, hashed = file, headers.get("Hash", "")
        found.append(_migration(file, text, body, headers, options))
    return tuple(found)


def _migration(file: str, text: str, body: int, headers: dict[str, str], options: Options) -> Migration:
    named = _NAMED.match(file)
    assert named is not None
    source, first_line = text[body:], line_of(text, body)
    filled = templates.fill(
        source, _PLACEHOLDER, lambda m: _value(m, source, options), file=file, first_line=first_line
    )
    return Migration(
        version=named["version"],
        name=named["name"] or headers.get("Message") or named["version"],
        file=file,
        source=filled,
        order=(int(named["version"]),),
        first_line=first_line,
        transactional=not _NO_TRANSACTION.match(source),
    )


def _value(found: re.Match[str], source: str, options: Options) -> str | None:
    """A placeholder's value; None where it has none, though in a string or a comment it may be none."""
    given = options.defines.get(found["name"], options.defines.get(":" + found["name"]))
    if given is None and not templates.stands_plainly(source, found.start()):
        return found.group()
    return given


def _files(listing: Listing) -> tuple[str, ...]:
    return tuple(f for f in listing.files if _NAMED.match(f))


def _headers(text: str) -> tuple[dict[str, str], int]:
    """The headers, and the offset of the body behind them."""
    headers: dict[str, str] = {}
    at = 0
    while found := _HEADER.match(text, at):
        headers[found["key"]] = (found["value"] or "").strip()
        at = found.end()
    return headers, at
