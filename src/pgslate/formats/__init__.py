"""The layouts of migration folders that pgslate reads; one file per layout.

A layout looks at a folder's listing and says by what evidence it recognises it, or None; ``recognise`` asks
each in turn, the most particular first. To add one, copy ``plain.py`` and put it into ``_MODULES``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Protocol

from pgslate.catalog import Migration
from pgslate.errors import CatalogError, UsageError
from pgslate.formats.listing import Listing, Options

__all__ = ["Layout", "Listing", "Options", "names", "recognise"]

# The most particular first: each later layout would also accept the folders of those before it.
_MODULES = ("goose", "plain")


class Layout(Protocol):
    """What every module of this package offers."""

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
    for layout in _all():
        evidence = layout.recognise(listing)
        if evidence:
            return layout, evidence
    raise CatalogError(
        f"{listing.root} holds no migrations in a format that pgslate knows",
        fix=f"point --catalog at the folder that holds the SQL files, or give --catalog-format: "
        f"{', '.join(names())}",
    )


def _all() -> Iterable[Layout]:
    return map(_load, _MODULES)


def _load(module: str) -> Layout:
    layout: Layout = importlib.import_module(f"pgslate.formats.{module}")  # type: ignore[assignment]  # a module
    return layout
