"""The layouts of migration folders that pgslate reads; one file per layout.

A layout looks at a folder's listing and says by what evidence it recognises it, or None; ``recognise`` asks
each in turn, the most particular first. To add one, copy ``plain.py`` and put it into ``_MODULES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Protocol

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, UsageError
from pgslate.formats.listing import Listing, Options
from pgslate.formats.naming import code_migrations, left_out, passed_over
from pgslate.formats.templates import fill_plainly

__all__ = ["Layout", "Listing", "Options", "left_out", "names", "passed_over", "read", "recognise"]

# The most particular first: each later layout would also accept the folders of those before it.
_MODULES = (
    "alembic",
    "sqitch",
    "liquibase",
    "drizzle",
    "prisma",
    "diesel",
    "graphile_migrate",
    "goose",
    "sql_migrate",
    "dbmate",
    "tern",
    "node_pg_migrate",
    "flyway",
    "supabase",
    "sqlx",
    "golang_migrate",
    "nested",
    "yoyo",
    "plain",
)


class Layout(Protocol):
    """What every module of this package offers; its ``substitutes`` says that its tool fills in, and
    ``adds_anywhere`` that the tool runs whatever hasn't run, also below what has.
    """

    name: str

    def recognise(self, listing: Listing) -> str | None:
        """The evidence that the folder is in this layout, as words for the reader, or None."""

    def read(self, listing: Listing, options: Options) -> tuple[Migration, ...]:
        """The folder's migrations, in any order. Raises CatalogError and its kinds."""


def names() -> tuple[str, ...]:
    """The formats that can be given by name."""
    return tuple(module.replace("_", "-") for module in _MODULES)


def recognise(listing: Listing, name: str | None = None) -> tuple[Layout, str]:
    """The layout of a folder, found by looking or by ``name``, and the evidence for it.

    Raises UsageError for an unknown name, CatalogError where no layout fits.
    """
    if name is not None:
        module = name.replace("-", "_")
        if module not in _MODULES:
            raise UsageError(f"there is no format {name!r}", fix=f"use one of {', '.join(names())}")
        return _load(module), "given"
    found = _recognised(listing)
    if found is None:
        raise _unknown(listing)
    return found


def read(layout: Layout, listing: Listing, options: Options) -> tuple[Migration, ...]:
    """The folder's migrations, in any order, with their templates filled in."""
    migrations = layout.read(listing, options)
    return migrations if getattr(layout, "substitutes", False) else fill_plainly(migrations, options.defines)


def _recognised(listing: Listing) -> tuple[Layout, str] | None:
    for layout in map(_load, _MODULES):
        evidence = layout.recognise(listing)
        if evidence:
            return layout, evidence
    return None


def _unknown(listing: Listing) -> CatalogError:
    formats = ", ".join(names())
    fix = f"point --catalog at the folder that holds the SQL files, or give --catalog-format: {formats}"
    below = next(iter(_folders_with_migrations(listing)), None)
    code = code_migrations(listing.top)
    if below is not None:
        fix = f"point --catalog at {listing.root / below}"
    elif code:
        fix = f"pgslate reads SQL, and {code[0]} is a program; {fix}"
    return CatalogError(f"{listing.root} holds no migrations in a format that pgslate knows", fix=fix)


def _folders_with_migrations(listing: Listing) -> Iterable[str]:
    folders = {tuple(f.split("/")[:-1]) for f in listing.files if f.endswith(".sql") and "/" in f}
    folders |= {folder[:-1] for folder in folders if len(folder) > 1}
    for folder in ("/".join(parts) for parts in sorted(folders)):
        inside = tuple(f[len(folder) + 1 :] for f in listing.files if f.startswith(folder + "/"))
        found = _recognised(Listing(listing.root / folder, inside))
        if found:
            yield folder


def _load(module: str) -> Layout:
    layout: Layout = importlib.import_module(f"pgslate.formats.{module}")
    return layout
