"""Prisma Migrate: a folder a migration, ``20240131120000_name/migration.sql``, and ``migration_lock.toml``.

Source: Prisma, "Development and production" and schema-engine's ``list_migrations``: folders run in the
order of their names, and a file is sent as one message, which is one transaction unless it has BEGIN and
COMMIT of its own.
"""

from __future__ import annotations

import re
from collections import defaultdict

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options

name = "prisma"

_SQL = "migration.sql"
_LOCK = "migration_lock.toml"
_PROVIDER = re.compile(r"^\s*provider\s*=\s*\"(?P<provider>[^\"]*)\"", re.MULTILINE)
_POSTGRES = ("postgresql", "postgres", "cockroachdb")


def recognise(listing: Listing) -> str | None:
    files = [f for f in listing.files if f.count("/") == 1 and f.endswith("/" + _SQL)]
    if not files:
        return None
    return f"{_LOCK} and {files[0]}" if _LOCK in listing.top else f"{files[0]}"


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    _check_provider(listing)
    folders: dict[str, list[str]] = defaultdict(list)
    for file in listing.files:
        folder, slash, rest = file.partition("/")
        if slash:
            folders[folder].append(rest)
    code = tuple(
        f"{folder}/{file}"
        for folder, files in folders.items()
        for file in files
        if _SQL not in files and re.fullmatch(r"migration\.(ts|js|mjs|cjs)", file)
    )
    naming.refuse_code(code, options)
    found = []
    for folder, files in folders.items():
        if _SQL in files:
            found.append(_migration(listing, folder))
        elif folder[0].isdigit() and not any(f"{folder}/{file}" in code for file in files):
            raise CatalogError(
                f"{folder} holds no {_SQL}",
                fix=f"add {folder}/{_SQL}, or remove the folder, as Prisma demands",
            )
    return tuple(found)


def _migration(listing: Listing, folder: str) -> Migration:
    """Its version is the folder's whole name, as Prisma keeps it: two may have one timestamp."""
    number, _, rest = folder.partition("_")
    file = f"{folder}/{_SQL}"
    return Migration(
        version=folder,
        name=rest if number.isdigit() and rest else folder,
        file=file,
        source=listing.text(file),
        order=(folder,),
    )


def _check_provider(listing: Listing) -> None:
    if _LOCK not in listing.top:
        return
    text = listing.text(_LOCK)
    found = _PROVIDER.search(text)
    if found and found["provider"] not in _POSTGRES:
        raise CatalogError(
            f"these migrations are for {found['provider']}, not for PostgreSQL",
            place=Place(
                _LOCK, text.count("\n", 0, found.start("provider")) + 1, 1, found.group().strip("\n")
            ),
            fix="point --catalog at the folder of the PostgreSQL schema",
        )
