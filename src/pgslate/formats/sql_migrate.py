"""sql-migrate: ``NNN_name.sql`` with ``-- +migrate Up`` and ``-- +migrate Down`` sections.

Source: rubenv/sql-migrate. ``sqlparse/sqlparse.go``: ``notransaction`` is an option of each section, and
StatementBegin and StatementEnd hold a statement together. ``migrate.go``: a migration's id is the whole name
of its file, so that several may begin with one number; they run by that number, then by name
(``Migration.Less``), and those that begin with none come last.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import only

name = "sql-migrate"

_SECTION = re.compile(r"^[ \t]*--[ \t]*\+migrate[ \t]+(?P<way>Up|Down)\b(?P<options>[^\n]*)", re.MULTILINE)
_NUMBER = re.compile(r"[0-9]+")
_ALONE = re.compile(r"\bnotransaction\b")


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _SECTION.search(listing.text(file))
        if found:
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_migration(listing, f) for f in listing.sql() if not _is_bystander(listing, f))


def _is_bystander(listing: Listing, file: str) -> bool:
    """A file that is named ``seeds.sql`` and has sections is a migration like others."""
    return naming.is_bystander(file) and not _SECTION.search(listing.text(file))


def _migration(listing: Listing, file: str) -> Migration:
    number = _NUMBER.match(file)
    named = naming.version_and_name(file[: -len(".sql")])
    text = listing.text(file)
    found = list(_SECTION.finditer(text))
    ups = [section for section in found if section["way"] == "Up"]
    if not ups:
        raise CatalogError(
            f"{file} has no '-- +migrate Up'",
            place=Place(file, 1),
            fix="add '-- +migrate Up' above its SQL; or, where these files are not sql-migrate's, write"
            ' format = "plain" into pgslate.toml',
        )
    ends = [section.start() for section in found[1:]] + [len(text)]
    spans = [(s.end(), end) for s, end in zip(found, ends, strict=True) if s["way"] == "Up"]
    return Migration(
        version=file,
        name=named[1] if named else file[: -len(".sql")],
        file=file,
        source=only(text, spans),
        order=(int(number.group()), file) if number else (file,),
        transactional=not any(_ALONE.search(section["options"]) for section in ups),
    )
