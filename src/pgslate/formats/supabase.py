"""Supabase: ``supabase/migrations/20240131120000_name.sql``.

Source: Supabase CLI, ``pkg/migration/list.go`` and ``file.go``: files are ``<number>_<name>.sql``, run by
number, and none is a way back; the statements of one are sent in one batch, which is one transaction. Roles
and schemas such as ``anon`` and ``auth`` are there before: give them in a prelude.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options

name = "supabase"

_NAMED = re.compile(r"(?P<version>\d+)_(?P<name>.*)\.sql$")


def recognise(listing: Listing) -> str | None:
    stamped = [f for f in listing.sql() if re.match(r"\d{14}_", f)]
    if not stamped:
        return None
    folder = listing.root.resolve().parent
    config = folder / "config.toml"
    if config.is_file() and "project_id" in config.read_text("utf-8", errors="replace"):
        return f"{config} and {stamped[0]}"
    return f"the folder {folder.name} and {stamped[0]}" if folder.name == "supabase" else None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    return tuple(_migration(listing, f) for f in listing.sql() if not naming.is_bystander(f))


def _migration(listing: Listing, file: str) -> Migration:
    named = _NAMED.match(file)
    if named is None:
        raise naming.not_named(file, "20240131120000_add_users.sql")
    return Migration(
        version=named["version"],
        name=named["name"] or named["version"],
        file=file,
        source=listing.text(file),
        order=(int(named["version"]),),
    )
