"""sql-migrate: ``NNN_name.sql`` with ``-- +migrate Up`` and ``-- +migrate Down`` sections.

Source: rubenv/sql-migrate, ``sqlparse/sqlparse.go``: ``notransaction`` is an option of each section, and
StatementBegin and StatementEnd hold a statement together.
"""

from __future__ import annotations

import re

from pgslate.catalog import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import only

name = "sql-migrate"

_SECTION = re.compile(r"^[ \t]*--[ \t]*\+migrate[ \t]+(?P<way>Up|Down)\b(?P<options>[^\n]*)", re.MULTILINE)
_ALONE = re.compile(r"\bnotransaction\b")


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _SECTION.search(listing.text(file))
        if found:
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_migration(listing, f) for f in listing.sql() if not naming.is_bystander(f))


def _migration(listing: Listing, file: str) -> Migration:
    named = naming.version_and_name(file[: -len(".sql")])
    if named is None:
        raise naming.not_named(file, "042_add_users.sql")
    text = listing.text(file)
    found = list(_SECTION.finditer(text))
    ups = [section for section in found if section["way"] == "Up"]
    if not ups:
        raise CatalogError(
            f"{file} has no '-- +migrate Up'", place=Place(file, 1), fix="add '-- +migrate Up' above its SQL"
        )
    ends = [section.start() for section in found[1:]] + [len(text)]
    spans = [(s.end(), end) for s, end in zip(found, ends, strict=True) if s["way"] == "Up"]
    return Migration(
        version=named[0],
        name=named[1],
        file=file,
        source=only(text, spans),
        order=naming.order_of(named[0]),
        transactional=not any(_ALONE.search(section["options"]) for section in ups),
    )
