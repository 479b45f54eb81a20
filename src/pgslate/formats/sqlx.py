"""sqlx: ``NNN_name.sql``, or ``NNN_name.up.sql`` with ``NNN_name.down.sql``.

Source: sqlx-core, ``migrate/migration_type.rs``: what ends in ``.down.sql`` is a way back, and nothing else;
``migrate/source.rs``: a file that begins with ``-- no-transaction`` runs outside of one.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options

name = "sqlx"

_NAMED = re.compile(r"(?P<version>\d+)_(?P<name>.+?)(?:\.up)?\.sql$")
_NO_TRANSACTION = "-- no-transaction"


def recognise(listing: Listing) -> str | None:
    files = [f for f in listing.sql() if _NAMED.match(f)]
    if not files:
        return None
    cargo = listing.above("Cargo.toml")
    if cargo and "sqlx" in cargo.read_text("utf-8", errors="replace"):
        return f"{files[0]} is named by its number, and {cargo} uses sqlx"
    alone = next((f for f in files if listing.text(f).startswith(_NO_TRANSACTION)), None)
    return f"{alone} begins with {_NO_TRANSACTION!r}" if alone else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(
        _migration(listing, file)
        for file in listing.sql()
        if not file.endswith(".down.sql") and not naming.is_bystander(file)
    )


def _migration(listing: Listing, file: str) -> Migration:
    named = _NAMED.match(file)
    if named is None:
        raise naming.not_named(file, "042_add_users.sql")
    text = listing.text(file)
    return Migration(
        version=named["version"],
        name=named["name"],
        file=file,
        source=text,
        order=(int(named["version"]),),
        transactional=not text.startswith(_NO_TRANSACTION),
    )
