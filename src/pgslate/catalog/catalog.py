"""A catalog: a folder of versioned SQL migrations, in order.

Reading a catalog finds its format, reads every file and checks names, versions and annotations. The SQL
itself is split and parsed when a migration's ``statements`` are first asked for, since a plan that finds
everything in the lock never needs them; ``Catalog.parse`` does it for all at once.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from pgslate.catalog.migration import Migration, shown
from pgslate.errors import CatalogError, DuplicateVersionError

VERSIONS = ("numbers", "names")
"""The two kinds of version: the number that its file's name begins with, or that whole name."""


@dataclass(frozen=True)
class Catalog:
    """Migrations in order; ``root`` is their folder, ``evidence`` what the format was recognised by.

    ``bookkeeping`` is the SQL that makes the tool's own table, where a migration takes it for granted.
    ``passed_over`` are files that are numbered like migrations, and are none in this format.
    ``adds_anywhere`` says that its tool runs whatever hasn't run, also below what has.
    ``settings`` are what every migration's session begins with, by name: ``{"search_path": "app"}``."""

    root: Path
    format: str
    migrations: tuple[Migration, ...]
    evidence: str = ""
    bookkeeping: str = ""
    adds_anywhere: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    passed_over: tuple[str, ...] = ()

    @staticmethod
    def load(
        path: str | Path,
        *,
        format: str | None = None,  # the word the configuration uses
        defines: Mapping[str, str] | None = None,
        skip_code: bool = False,
        ignore: Iterable[str] = (),
        versions: str = "numbers",
    ) -> Catalog:
        """Read the folder ``path``.

        ``format`` is one of ``pgslate.formats.names()``, or None to find it by looking. ``defines`` gives the
        values of template variables. ``skip_code`` leaves out migrations written in a programming language,
        ``ignore`` the files it names: paths below the folder, or patterns like ``drafts/*``. ``versions`` are
        the "numbers" that names begin with, or "names" as a whole, where files may share a number.
        Raises CatalogError and its kinds, and ValueError for other ``versions``; nothing is run.
        """
        from pgslate import formats
        from pgslate.formats.bookkeeping import bookkeeping

        if versions not in VERSIONS:
            raise ValueError(f"versions are one of {', '.join(VERSIONS)}, not {versions!r}")
        root = Path(path)
        listing = formats.Listing.of(root, ignore)
        layout, evidence = formats.recognise(listing, format)
        migrations = formats.read(layout, listing, formats.Options(dict(defines or {}), skip_code))
        if not migrations:
            raise CatalogError(
                f"{root} holds no migrations in {layout.name} format",
                fix="point --catalog at the folder that holds the SQL files, or give the format",
            )
        used = [migration.file for migration in migrations]
        rest = formats.left_out(listing, used)
        if rest:
            evidence += f"; left out: {rest}"
        ordered = _in_order(map(_named_whole, migrations) if versions == "names" else migrations)
        called = shown({migration.version: migration.file for migration in ordered})
        ordered = tuple(replace(m, alone=called[m.version] == m.file) for m in ordered)
        own = bookkeeping(layout.name, (migration.source for migration in ordered))
        anywhere = getattr(layout, "adds_anywhere", False)
        others = formats.passed_over(listing, used)
        return Catalog(root, layout.name, ordered, evidence, own, anywhere, passed_over=others)

    def parse(self) -> Catalog:
        """Parse every migration's SQL now, so that a syntax error is raised before anything is run."""
        for migration in self.migrations:
            migration.blocks  # noqa: B018  the property parses
        return self

    @cached_property
    def by_version(self) -> Mapping[str, Migration]:
        return {migration.version: migration for migration in self.migrations}

    @cached_property
    def checksum(self) -> str:
        """SHA-256 over every migration's version and checksum, in order."""
        digest = hashlib.sha256()
        for migration in self.migrations:
            digest.update(f"{migration.version}\0{migration.checksum}\0".encode())
        return digest.hexdigest()

    def find(self, name: str) -> Migration | None:
        """The migration of this version, or whose file, folder, name or number this is where only one has it.

        Leading zeros of a number don't matter.
        """
        if name in self.by_version:
            return self.by_version[name]
        found = [m for m in self.migrations if m.file == name]
        found = found or [m for m in self.migrations if name and name in _names(m)]
        if not found and name.strip("0").isdigit():
            found = [m for m in self.migrations if _number(m).lstrip("0") == name.lstrip("0")]
        return found[0] if len(found) == 1 else None

    def __iter__(self) -> Iterator[Migration]:
        return iter(self.migrations)

    def __len__(self) -> int:
        return len(self.migrations)


def _named_whole(migration: Migration) -> Migration:
    """The migration with its number and its name as its version."""
    if migration.version == migration.file:  # sql-migrate's is the file's name already
        return replace(migration, version=Path(migration.file).stem)
    version = "_".join(dict.fromkeys((migration.version, migration.name)))
    return replace(migration, version=version, order=(*migration.order, migration.name))


def _in_order(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    ordered = sorted(migrations, key=lambda m: tuple(_comparable(part) for part in m.order))
    for before, after in pairwise(ordered):
        if before.order == after.order and before.repeatable == after.repeatable:
            raise DuplicateVersionError(
                f"version {after.version} is claimed by two files: {before.file} and {after.file}",
                fix="give one of them a version of its own; or, where their tool runs both in the order of"
                ' their names, say so in pgslate.toml: versions = "names"',
                files=(before.file, after.file),
            )
    return tuple(ordered)


def _names(migration: Migration) -> tuple[str, ...]:
    """The names by which a user may choose a migration, besides its version."""
    file = Path(migration.file)
    return (migration.file, migration.name, file.name, file.stem, file.parent.name, _number(migration))


def _number(migration: Migration) -> str:
    """The number with which a version begins.

    >>> [_number(Migration(v, "", v, "", ())) for v in ("007", "20240101_users", "1-a.sql", "1.2")]
    ['007', '20240101', '1', '1.2']
    """
    return re.split(r"[_-]", migration.version.removesuffix(".sql"), maxsplit=1)[0]


def _comparable(part: int | str) -> tuple[int, int, str]:
    """Numbers by value and before words, so that 22 < 1000 < 'a'.

    >>> sorted(["a", 1000, 22], key=_comparable)
    [22, 1000, 'a']
    """
    return (0, part, "") if isinstance(part, int) else (1, 0, part)
