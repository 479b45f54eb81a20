"""Plain folders: ``NNN_name.sql``, one file a version, the whole file is the migration.

What stands behind a file's undo mark (``-- //@UNDO``) and files that undo are left out. Comments of two
tools say that a file must not run in a transaction: ``-- postgres-migrations disable-transaction`` and ``--
atlas:txmode none``.
"""

from __future__ import annotations

import re

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming, templates
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of

name = "plain"

_ALONE = re.compile(r"^--[ \t]*(postgres-migrations disable-transaction|atlas:txmode none)\b", re.MULTILINE)
_UP = re.compile(
    r"^[ \t]*--+[ \t]*[@+!#\[(]*(\w+[ :])?(up|do|apply)\b[\])]*[ \t:=-]*$", re.IGNORECASE | re.MULTILINE
)
_DOWN = re.compile(
    r"^[ \t]*--+[ \t]*(//)?[@+!#\[(]*(\w+[ :])?(down|undo|rollback|revert)\b[\])]*[ \t:=-]*$",
    re.IGNORECASE | re.MULTILINE,
)
_SQL = re.compile(r"(?:\s|--[^\n]*|/\*.*?\*/)*(?P<sql>\S)?", re.DOTALL)


def recognise(listing: Listing) -> str | None:
    for file in _candidates(listing):
        if not naming.is_undo(file) and naming.version_and_name(_stem(file)):
            return f"{file} is named by its number"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(naming.code_migrations(listing.top), options)
    files = _candidates(listing)
    return tuple(
        migration(listing, file, options)
        for file in files
        if not naming.takes_back(file, files) and not naming.is_bystander(file)
    )


def migration(listing: Listing, file: str, options: Options) -> Migration:
    """The migration that is the whole of ``file``; its version is in its name, or is its name."""
    named = naming.version_and_name(_stem(file))
    if named is None:
        raise naming.not_named(file, "042_add_users.sql")
    text = listing.text(file)
    source = templates.fill_psql(_without_undo(text, file), options.defines, file=file)
    return Migration(
        version=named[0],
        name=named[1],
        file=file,
        source=source,
        order=naming.order_of(named[0]),
        transactional=not _ALONE.search(text),
    )


def undo_mark(text: str) -> re.Match[str] | None:
    """What the way back stands below, in the text of a migration; None where no SQL does."""
    mark = _DOWN.search(text)
    below = _SQL.match(text, mark.end()) if mark else None
    return mark if below and below["sql"] else None


def _candidates(listing: Listing) -> tuple[str, ...]:
    """The SQL files of the folder, or of its ``up`` folder where it has none itself."""
    return listing.sql() or tuple(f for f in listing.files if re.match(r"ups?/[^/]+\.sql$", f, re.IGNORECASE))


def _stem(file: str) -> str:
    return file.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _without_undo(text: str, file: str) -> str:
    """``text`` up to its undo mark. Raises CatalogError where that mark is ambiguous."""
    mark = undo_mark(text)
    if mark is None:
        return text
    if "//@" in mark.group() or _UP.search(text, 0, mark.start()):
        return text[: mark.start()]
    raise CatalogError(
        f"what stands below {mark.group().strip()!r} looks like the way back, which pgslate never runs",
        place=Place(file, line_of(text, mark.start()), 1, mark.group()),
        fix=f"move it to a file of its own, {_stem(file)}.down.sql, or reword the comment if it isn't",
    )
