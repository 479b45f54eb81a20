"""Diesel: a folder a migration, ``2024-01-31-120000_name/up.sql``, with ``down.sql`` and perhaps
``metadata.toml``.

Source: diesel_migrations, ``file_based_migrations.rs``: the version is the folder's name up to ``_``
without its hyphens, and versions sort as text. A migration runs in a transaction unless
``run_in_transaction = false``.
"""

from __future__ import annotations

import tomllib

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats.listing import Listing, Options

name = "diesel"


def recognise(listing: Listing) -> str | None:
    files = [f for f in listing.files if f.count("/") == 1 and f.endswith("/up.sql")]
    return files[0] if files else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    folders = sorted({f.split("/")[0] for f in listing.files if f.count("/") == 1})
    return tuple(_migration(listing, folder) for folder in folders if _holds_migration(listing, folder))


def _holds_migration(listing: Listing, folder: str) -> bool:
    if f"{folder}/up.sql" in listing.files:
        return True
    if f"{folder}/down.sql" in listing.files:
        raise CatalogError(f"{folder} holds no up.sql", fix=f"add {folder}/up.sql, or remove the folder")
    return False


def _migration(listing: Listing, folder: str) -> Migration:
    number, _, rest = folder.partition("_")
    file = f"{folder}/up.sql"
    return Migration(
        version=number.replace("-", ""),
        name=rest or folder,
        file=file,
        source=listing.text(file),
        order=(number.replace("-", ""),),
        transactional=_runs_in_transaction(listing, f"{folder}/metadata.toml"),
    )


def _runs_in_transaction(listing: Listing, file: str) -> bool:
    if file not in listing.files:
        return True
    try:
        return bool(tomllib.loads(listing.text(file)).get("run_in_transaction", True))
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(
            f"{file} is not TOML: {error}", place=Place(file, 1), fix="correct the file"
        ) from None
