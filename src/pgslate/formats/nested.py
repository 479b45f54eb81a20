"""Folders of versions: ``3/01_name.up.sql``, ``v3/01_name.sql``, ``v1.2/name.sql``, run folder by folder.

A file in such a folder that has no number is taken only where it is alone there: its order is not known
otherwise.
"""

from __future__ import annotations

import re
from collections import defaultdict

from pgslate.catalog.migration import Migration
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options

name = "nested"

_FOLDER = re.compile(r"(?:[vV]|version[_-]?|release[_-]?)?(?P<version>\d+(?:[._-]\d+)*)(?:[_-][^/]*)?$")


def recognise(listing: Listing) -> str | None:
    files = _files(listing)
    if listing.sql() or not files:
        return None
    return f"{files[0]} lies in a folder that is named by its number"


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(
        naming.code_migrations(
            f for f in listing.files if f.count("/") == 1 and _FOLDER.match(f.split("/")[0])
        ),
        options,
    )
    folders: dict[str, list[str]] = defaultdict(list)
    for file in _files(listing):
        folders[file.rpartition("/")[0]].append(file)
    found: list[Migration] = []
    for files in folders.values():
        unnumbered = [f for f in files if not naming.version_and_name(_stem(f))]
        if unnumbered and len(files) > 1:
            raise naming.not_named(unnumbered[0], "01_add_users.sql")
        found += [_migration(listing, file) for file in files]
    return tuple(found)


def _migration(listing: Listing, file: str) -> Migration:
    *folders, _ = file.split("/")
    named = naming.version_and_name(_stem(file)) or ("", _stem(file))
    parts: list[tuple[int | str, ...]] = []
    for folder in folders:
        found = _FOLDER.match(folder)
        assert found is not None
        parts.append(tuple(int(n) for n in re.split(r"[._-]", found["version"])))
    version = "/".join([*folders, named[0]] if named[0] else folders)
    return Migration(
        version=version,
        name=named[1],
        file=file,
        source=listing.text(file),
        order=_flat([*parts, naming.order_of(named[0]) if named[0] else (0,)]),
    )


def _flat(parts: list[tuple[int | str, ...]]) -> tuple[int | str, ...]:
    """Each part padded to eight numbers, so that 1.2/3 sorts before 1.10/1 and after 1/9."""
    return tuple(number for part in parts for number in (*part, *[-1] * (8 - len(part))))


def _files(listing: Listing) -> tuple[str, ...]:
    return tuple(
        f
        for f in listing.files
        if "/" in f
        and f.lower().endswith(".sql")
        and not naming.is_undo(f)
        and all(_FOLDER.match(folder) for folder in f.split("/")[:-1])
    )


def _stem(file: str) -> str:
    return re.sub(r"(\.up)?\.sql$", "", file.rsplit("/", 1)[-1], flags=re.IGNORECASE)
