"""golang-migrate: ``NNN_name.up.sql`` with ``NNN_name.down.sql``.

Source: golang-migrate, ``source/parse.go``; its postgres driver sends a file as one message, which is one
transaction unless the file has BEGIN and COMMIT of its own. Pop names its files alike, and ``.autocommit.``
in a name says that it must not run in a transaction.
"""

from __future__ import annotations

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options

name = "golang-migrate"

_UP = ".up.sql"


def recognise(listing: Listing) -> str | None:
    ups = [f for f in listing.sql() if f.lower().endswith(_UP) and naming.version_and_name(f)]
    return f"{ups[0]} is named by its number and direction" if ups else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(naming.code_migrations(listing.top), options)
    return tuple(
        migration(listing, file)
        for file in listing.sql()
        if not naming.is_undo(file) and not naming.is_bystander(file)
    )


def migration(listing: Listing, file: str) -> Migration:
    """The migration in the file ``NNN_name.up.sql``."""
    named = naming.version_and_name(file[: -len(_UP)])
    if not file.lower().endswith(_UP):
        raise CatalogError(
            f"{file} says no direction, and golang-migrate would not run it",
            fix="name it like 042_add_users.up.sql, or move it out of the folder, or give the format: sqlx",
        )
    if named is None:
        raise naming.not_named(file, "042_add_users.up.sql")
    return Migration(
        version=named[0],
        name=named[1],
        file=file,
        source=listing.text(file),
        order=naming.order_of(named[0]),
        transactional=".autocommit." not in file,
    )
