"""Drizzle: ``0000_name.sql`` in the order of ``meta/_journal.json``, or, since 1.0, a folder a migration,
``20240131120000_name/migration.sql`` beside its ``snapshot.json``.

Source: drizzle-orm, ``src/migrator.ts``: the journal's entries in their order (since 1.0, the folders by
name), each file cut at ``--> statement-breakpoint``, wherever that stands; ``src/pg-core/dialect.ts``: all
that is pending runs in one transaction. The journal's ``when`` says only which migrations a database doesn't
get that holds a later one, and pgslate's ledger knows better.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of, place_at, source_line

name = "drizzle"

_JOURNAL = "meta/_journal.json"
_SQL = "/migration.sql"
_SNAPSHOT = "/snapshot.json"
_POSTGRES = ("postgresql", "pg")
_BREAKPOINT = "--> statement-breakpoint"
# A line comment ends at the breakpoint, which Drizzle cuts at before PostgreSQL sees the comment. It is
# a part of the breakpoint, for the semicolon can't stand behind it.
_PIECE = re.compile(
    rf"""
    (?P<breakpoint>
      (?:(?!{re.escape(_BREAKPOINT)})--(?:(?!{re.escape(_BREAKPOINT)})[^\n])*)?{re.escape(_BREAKPOINT)})
  | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
  | --[^\n]* | /\*.*?\*/
  | (?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)
    """,
    re.VERBOSE | re.DOTALL,
)


def recognise(listing: Listing) -> str | None:
    if _JOURNAL in listing.files:
        return f"there is {_JOURNAL}"
    folder = next((f for f in _folders(listing) if f + _SNAPSHOT in listing.files), None)
    return f"{folder}{_SQL} beside its snapshot.json" if folder else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    if _JOURNAL in listing.files:
        return _journaled(listing)
    return tuple(
        _migration(listing, folder, folder + _SQL, position)
        for position, folder in enumerate(_folders(listing))
    )


def _journaled(listing: Listing) -> tuple[Migration, ...]:
    tags = _tags(listing)
    for file in (*listing.sql(), *(folder + _SQL for folder in _folders(listing))):
        named = file.removesuffix(".sql") in tags
        if not named and not naming.is_undo(file) and not naming.is_bystander(file):
            raise CatalogError(
                f"{_JOURNAL} doesn't name {file}, and Drizzle would not run it",
                fix='have drizzle-kit generate it with its entry, or leave it out: ignore = ["'
                f'{file}"] in pgslate.toml',
            )
    return tuple(_migration(listing, tag, f"{tag}.sql", position) for position, tag in enumerate(tags))


def _tags(listing: Listing) -> tuple[str, ...]:
    """The tags of the journal, in its order, each with its file."""
    text = listing.text(_JOURNAL)
    try:
        journal = json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(_JOURNAL, error.lineno, error.colno, source_line(text, min(error.pos, len(text) - 1)))
        raise CatalogError(f"not JSON: {error.msg}", place=place, fix="correct the file") from None
    except (RecursionError, ValueError) as error:
        raise _beyond_reading(text, error) from None
    entries = journal.get("entries") if isinstance(journal, dict) else None
    if not isinstance(entries, list) or not all(_is_entry(entry) for entry in entries):
        raise CatalogError(
            f"{_JOURNAL} has no entries that each have a tag",
            place=Place(_JOURNAL, 1),
            fix="restore it as drizzle-kit wrote it",
        )
    dialect = journal.get("dialect", "postgresql")
    if dialect not in _POSTGRES:
        raise CatalogError(
            f"these migrations are for {dialect}, not for PostgreSQL",
            place=_where(text, f'"{dialect}"'),
            fix="point --catalog at the folder of the PostgreSQL schema",
        )
    tags = tuple(entry["tag"] for entry in entries)
    for position, tag in enumerate(tags):
        if tag in tags[:position]:
            raise CatalogError(
                f"{tag} is named twice", place=_where(text, f'"{tag}"', last=True), fix="remove one entry"
            )
        if f"{tag}.sql" not in listing.files:
            raise CatalogError(
                f"there is no file {tag}.sql, which the journal names",
                place=_where(text, f'"{tag}"'),
                fix="restore the file, or remove the entry",
            )
    return tags


def _beyond_reading(text: str, error: RecursionError | ValueError) -> CatalogError:
    """The error for JSON that is nested deeper, or has a longer number, than Python takes."""
    number = max(re.finditer(r"\d+", text), key=lambda found: len(found.group()), default=None)
    if isinstance(error, RecursionError) or number is None:
        message, at = "nested too deep for a journal", 0
    else:
        message, at = f"a number of {len(number.group())} digits", number.start()
    place = Place(_JOURNAL, line_of(text, at), at - text.rfind("\n", 0, at))
    return CatalogError(message, place=place, fix="restore it as drizzle-kit wrote it")


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("tag"), str)


def _where(text: str, quoted: str, *, last: bool = False) -> Place:
    """The place in the journal of a string that it holds."""
    at = max(0, text.rfind(quoted) if last else text.find(quoted))
    return place_at(text, at, _JOURNAL)


def _folders(listing: Listing) -> tuple[str, ...]:
    return tuple(f.removesuffix(_SQL) for f in listing.files if f.count("/") == 1 and f.endswith(_SQL))


def _migration(listing: Listing, tag: str, file: str, position: int) -> Migration:
    """Its version is the whole tag: a prefix may be a number, a time, or missing."""
    number, _, rest = tag.partition("_")
    return Migration(
        version=tag,
        name=rest if number.isdigit() and rest else tag,
        file=file,
        source=_cut(listing.text(file), file),
        order=(position,),
    )


def _cut(text: str, file: str) -> str:
    """``text`` with a semicolon for each breakpoint, which ends a statement even where none stands before it.

    A line comment before it is blanked, and all else stays at its line and column.
    Raises CatalogError where a string, a comment or a body would be cut in two.
    """
    plain = {found.end() - len(_BREAKPOINT) for found in _PIECE.finditer(text) if found["breakpoint"]}
    for found in re.finditer(re.escape(_BREAKPOINT), text):
        if found.start() not in plain:
            raise CatalogError(
                f"a {_BREAKPOINT!r} inside a comment, a string or a body, which Drizzle cuts in two there",
                place=place_at(text, found.start(), file),
                fix="remove it; around what drizzle-kit pull wrote, remove the /* and the */",
            )
    return _PIECE.sub(
        lambda found: ";".ljust(len(found.group())) if found["breakpoint"] else found.group(), text
    )
