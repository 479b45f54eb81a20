"""node-pg-migrate: ``1700000000000_name.sql`` with ``-- Up Migration`` and ``-- Down Migration``.

Source: node-pg-migrate, ``src/sqlMigration.ts``; ``src/migrationLoader.ts``: ``.down.sql`` is the way back of
``.up.sql``, and no other ending says so. Migrations in JavaScript or TypeScript among them are code.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import only

name = "node-pg-migrate"

_BACK = ".down.sql"
_UP = re.compile(r"^\s*--[\s-]*up\s+migration\b[^\n]*", re.IGNORECASE | re.MULTILINE)
_TITLE = re.compile(r"^\s*--[\s-]*(up|down)\s+migration[\s-]*$", re.IGNORECASE | re.MULTILINE)
_DOWN = re.compile(r"^\s*--[\s-]*down\s+migration\b[^\n]*", re.IGNORECASE | re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _TITLE.search(listing.text(file))
        if found and not file.endswith(_BACK):
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(naming.code_migrations(listing.top), options)
    return tuple(
        _migration(listing, file)
        for file in listing.sql()
        if not file.endswith(_BACK) and not naming.is_bystander(file)
    )


def _migration(listing: Listing, file: str) -> Migration:
    named = naming.version_and_name(file[: -len(".sql")].removesuffix(".up"))
    if named is None:
        raise naming.not_named(file, "1700000000000_add-users.sql")
    text = listing.text(file)
    up, down = _UP.search(text), _DOWN.search(text)
    start = up.end() if up else 0
    end = down.start() if down and down.start() >= start else len(text)
    return Migration(
        version=named[0],
        name=named[1],
        file=file,
        source=only(text, [(start, end)]),
        order=naming.order_of(named[0]),
    )
