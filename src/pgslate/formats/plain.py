"""Plain folders: ``NNN_name.sql``, one file a version, the whole file is the migration."""

from __future__ import annotations

import re

from pgslate.catalog import Migration
from pgslate.errors import CatalogError
from pgslate.formats.listing import Listing, Options

name = "plain"

_VERSIONED = re.compile(r"[vV]?(?P<version>\d+(?:[._-]\d+)*)(?:[_.\- ]+(?P<name>.*))?\.sql$", re.IGNORECASE)
_UNDO = re.compile(r"(^|[._-])(down|undo|rollback|revert)\.sql$", re.IGNORECASE)


def recognise(listing: Listing) -> str | None:
    files = [f for f in listing.sql() if _VERSIONED.match(f)]
    return f"{files[0]} is named by its number" if files else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_migration(listing, file) for file in listing.sql() if not _UNDO.search(file))


def _migration(listing: Listing, file: str) -> Migration:
    named = _VERSIONED.match(file)
    if named is None:
        raise CatalogError(
            f"{file} has no version number in its name",
            fix="name it like 042_add_users.sql, or move it out of the folder",
        )
    version = named["version"]
    return Migration(
        version=version,
        name=named["name"] or version,
        file=file,
        source=listing.text(file),
        order=tuple(int(part) for part in re.split(r"[._-]", version)),
    )
