"""A migration: one version of a catalog, its SQL, and how it is run."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from pgslate.catalog.blocks import Block, blocks
from pgslate.catalog.statements import Statement, split
from pgslate.errors import CatalogError, Place

Order = tuple[int | str, ...]


@dataclass(frozen=True)
class Migration:
    """One version of a catalog.

    ``version`` is as the format writes it, ``order`` what it sorts by, ``file`` the path below the catalog's
    folder, ``source`` the SQL to run (never the Down part) and ``first_line`` the line of the file it begins
    on; ``origin`` gives the file's line for each line of a source that was put together from several files.
    ``transactional`` is false where the format says that the file must not run in a transaction.
    ``repeatable`` migrations run again whenever they change. ``checksum`` covers ``source`` and how it is
    run, normalised for line ends. ``alone`` is false where the file holds other migrations too.
    ``made_by_line`` is set where the file is a program that made the source: the line of the file that every
    statement's place is.
    """

    version: str
    name: str
    file: str
    source: str = field(repr=False)
    order: Order = field(repr=False)
    first_line: int = field(default=1, repr=False)
    transactional: bool = True
    repeatable: bool = False
    origin: tuple[int, ...] = field(default=(), repr=False)
    made_by_line: int | None = field(default=None, repr=False)
    alone: bool = field(default=True, repr=False, compare=False)

    @property
    def shown(self) -> str:
        """Its name in messages and on the command line: the file, or the version if the file has more."""
        return self.file if self.alone else self.version

    @cached_property
    def statements(self) -> tuple[Statement, ...]:
        """The migration's statements; raises SqlSyntaxError with the place."""
        try:
            found = split(self.source, file=self.file, first_line=self.first_line)
        except CatalogError as error:
            if self.made_by_line is not None and error.place:
                error.place = Place(self.file, self.made_by_line)
            elif self.origin and error.place:
                error.place = replace(error.place, line=self.origin[error.place.line - 1])
            raise
        if self.made_by_line is not None:
            return tuple(replace(s, line=self.made_by_line, column=1) for s in found)
        return tuple(replace(s, line=self.origin[s.line - 1]) for s in found) if self.origin else found

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The migration's statements as they are run: in transactions, or alone."""
        return blocks(self.statements, transactional=self.transactional)

    @cached_property
    def checksum(self) -> str:
        """SHA-256, 64 hexadecimal digits; line ends, and blanks at the ends of lines, don't count."""
        normalised = "\n".join(line.rstrip() for line in self.source.splitlines()).strip()
        how = "" if self.transactional else "\0no transaction"
        return hashlib.sha256((normalised + how).encode()).hexdigest()

    def __str__(self) -> str:
        return self.shown


def shown(files: Mapping[str, str]) -> dict[str, str]:
    """The name that messages give to each of these versions, which come with their files.

    >>> shown({"1": "1_users.sql", "a.sql::1::ann": "a.sql", "a.sql::2::ann": "a.sql"})
    {'1': '1_users.sql', 'a.sql::1::ann': 'a.sql::1::ann', 'a.sql::2::ann': 'a.sql::2::ann'}
    """
    held = Counter(files.values())
    return {version: file if held[file] == 1 else version for version, file in files.items()}
