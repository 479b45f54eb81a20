"""A folder's files, read once, for the layouts to look at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path

from pgslate.errors import CatalogError, Place
from pgslate.formats.dialects import for_postgresql


@dataclass(frozen=True)
class Options:
    """How to read: values of template variables, and whether to leave out migrations written in code."""

    defines: Mapping[str, str]
    skip_code: bool = False


@dataclass(frozen=True)
class Listing:
    """The files below ``root``, as sorted paths relative to it; hidden files and folders are left out.

    ``misnamed`` are the folders in ``root`` itself that are named like SQL files.
    """

    root: Path
    files: tuple[str, ...]
    misnamed: tuple[str, ...] = ()

    @staticmethod
    def of(root: Path, ignore: Iterable[str] = ()) -> Listing:
        """The folder without what ``ignore`` names: paths below it, or patterns like ``drafts/*``.

        Raises CatalogError where the folder isn't there, isn't a folder, or can't be read, and where nothing
        in it is meant by one of ``ignore``.
        """
        try:
            found = _without(tuple(sorted(_walk(root, ""))), ignore)
        except FileNotFoundError:
            raise CatalogError(f"there is no folder {root}", fix="give the folder with --catalog") from None
        except NotADirectoryError:
            raise CatalogError(
                f"{root} is a file, not a folder of migrations", fix=f"give its folder: {root.parent}"
            ) from None
        except PermissionError as error:
            raise CatalogError(
                f"{error.filename} can't be read: permission denied", fix="make it readable"
            ) from None
        misnamed = tuple(
            sorted(f.name for f in root.iterdir() if f.is_dir() and _is_sql(f.name) and f.name[0] != ".")
        )
        return Listing(root, found, misnamed)

    def above(self, file: str, *, levels: int = 4) -> Path | None:
        """The nearest file of that name in the folders above ``root``, up to ``levels`` of them."""
        for folder in list(self.root.resolve().parents)[:levels]:
            if (folder / file).is_file():
                return folder / file
            if (folder / ".git").exists():
                return None
        return None

    @cached_property
    def top(self) -> tuple[str, ...]:
        """The files that lie in the folder itself."""
        return tuple(f for f in self.files if "/" not in f)

    def sql(self) -> tuple[str, ...]:
        """The top files that end in .sql and are for PostgreSQL.

        Raises CatalogError where a folder is named so.
        """
        if self.misnamed:
            raise CatalogError(
                f"{self.misnamed[0]} is a folder, and named as a migration",
                fix="rename it, or put the migration there as a file",
            )
        return for_postgresql(f for f in self.top if _is_sql(f))

    def text(self, file: str) -> str:
        """The file's text; a byte order mark is dropped.

        Raises CatalogError where the file can't be read or isn't UTF-8.
        """
        if file in self._texts:
            return self._texts[file]
        try:
            text = self.content(file).decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError as error:
            before = error.object[: error.start]
            line = before.count(b"\n") + 1
            start = before.rfind(b"\n") + 1
            shown = error.object[start:].split(b"\n", 1)[0].rstrip(b"\r").decode("latin-1")
            raise CatalogError(
                "not UTF-8 text",
                place=Place(file, line, error.start - start + 1, shown),
                fix="save the file as UTF-8",
            ) from None
        if "\0" in text:
            raise CatalogError(
                "a NUL character, which PostgreSQL can't take",
                place=Place(file, text.count("\n", 0, text.index("\0")) + 1),
                fix="save the file as UTF-8 without it",
            )
        self._texts[file] = text
        return text

    def content(self, file: str) -> bytes:
        """The file as it is. Raises CatalogError where it can't be read."""
        path = self.root / file
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise CatalogError(f"{file} can't be read: it is no file", fix="take it out of the folder")
        try:
            return path.read_bytes()
        except OSError as error:
            raise CatalogError(
                f"{file} can't be read: {error.strerror}", fix="make it a readable file"
            ) from None

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {}


# Folders that hold other people's files, and are large.
_PASSED_OVER = frozenset({"node_modules", "__pycache__"})


def _without(files: tuple[str, ...], ignore: Iterable[str]) -> tuple[str, ...]:
    for pattern in ignore:
        left = tuple(f for f in files if not fnmatchcase(f, pattern))
        if left == files:
            raise CatalogError(
                f"ignore names {pattern!r}, and there is no such file", fix="correct it, or take it out"
            )
        files = left
    return files


def _is_sql(name: str) -> bool:
    return name.lower().endswith(".sql")


def _walk(folder: Path, prefix: str, within: tuple[str, ...] = ()) -> list[str]:
    found = []
    real = os.path.realpath(folder)
    if real in within:  # a link back to a folder above
        return []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _PASSED_OVER:
                continue
            if entry.is_dir():
                found += _walk(Path(entry.path), f"{prefix}{entry.name}/", (*within, real))
            else:
                found.append(prefix + entry.name)
    return found
