"""Where a migration's Down is: a section of its file, or a file of its own. Read for lint alone.

A catalog keeps no Downs, so that ``apply`` can't run one. Formats without a way back have none here, and so
has a migration whose file says nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.formats import Listing, Options, liquibase, plain, sqitch
from pgslate.formats.sections import line_of, only
from pgslate.formats.templates import fill_plainly, fill_psql
from pgslate.project.project import Project


@dataclass(frozen=True, slots=True)
class Down:
    """The SQL that takes a migration back; ``first_line`` is the line of ``file`` that ``text`` begins on."""

    file: str
    text: str
    first_line: int = 1
    transactional: bool = True


@dataclass(frozen=True, slots=True)
class _Marks:
    """How a format with sections writes them: where a Down begins, where an Up does, what runs it alone."""

    down: re.Pattern[str]
    up: re.Pattern[str]
    alone: re.Pattern[str]


_SECTIONS = {
    "goose": _Marks(
        re.compile(r"^--[^\n]*\+goose[ \t]+down[ \t]*$", re.I | re.M),
        re.compile(r"^--[^\n]*\+goose[ \t]+up[ \t]*$", re.I | re.M),
        re.compile(r"^--[^\n]*\+goose[ \t]+no transaction[ \t]*$", re.I | re.M),
    ),
    "dbmate": _Marks(
        re.compile(r"^--\s*migrate:down[^\n]*", re.M),
        re.compile(r"^--\s*migrate:up[^\n]*", re.M),
        re.compile(r"^--\s*migrate:down[^\n]*\btransaction:false(?!\S)", re.M),
    ),
    "sql-migrate": _Marks(
        re.compile(r"^[ \t]*--[ \t]*\+migrate[ \t]+Down\b[^\n]*", re.M),
        re.compile(r"^[ \t]*--[ \t]*\+migrate[ \t]+Up\b[^\n]*", re.M),
        re.compile(r"^[ \t]*--[ \t]*\+migrate[ \t]+Down\b[^\n]*\bnotransaction\b", re.M),
    ),
    "tern": _Marks(  # which cuts a file where it first stands, be it in the middle of a line
        re.compile(r"---- create above / drop below ----"),
        re.compile(r"(?!)"),
        re.compile(r"^---- tern: disable-tx ----$", re.M),
    ),
    "node-pg-migrate": _Marks(
        re.compile(r"^\s*--[\s-]*down\s+migration\b[^\n]*", re.I | re.M),
        re.compile(r"^\s*--[\s-]*up\s+migration\b[^\n]*", re.I | re.M),
        re.compile(r"(?!)"),
    ),
}
_UNDONE_BY = re.compile(r"^V(?P<version>.+?)__")


def downs_of(project: Project) -> dict[str, Down]:
    """The Downs of those migrations that have one, by version.

    Raises CatalogError for an unset template variable.
    """
    catalog, defines = project.catalog, project.config.defines
    if catalog.format in ("liquibase", "sqitch"):  # whose own variables are in it
        listing = Listing.of(catalog.root, project.config.ignore)
        options = Options(defines, skip_code=True)
        own = _rollbacks if catalog.format == "liquibase" else _reverts
        return own(listing, options, catalog.migrations)
    found: dict[str, Down] = {}
    for migration in catalog:
        down = _down(catalog, migration, defines)
        if down is not None:
            (filled,) = fill_plainly([replace(migration, source=down.text)], defines)
            found[migration.version] = replace(down, text=filled.source)
    return found


def _down(catalog: Catalog, migration: Migration, defines: Mapping[str, str]) -> Down | None:
    marks = _SECTIONS.get(catalog.format)
    if marks and (down := _section(catalog.root, migration, marks)):
        return down
    if catalog.format == "plain" and (down := _below_undo(catalog.root, migration, defines)):
        return down
    if marks and catalog.format != "node-pg-migrate":  # which knows both
        return None
    return _beside(catalog.root, migration)


def _rollbacks(listing: Listing, options: Options, migrations: Iterable[Migration]) -> dict[str, Down]:
    """Liquibase's ``--rollback``, of a changeset in formatted SQL."""
    texts = liquibase.rollbacks(listing, options)
    return {
        m.version: Down(m.file, texts[m.version], m.first_line, m.transactional)
        for m in migrations
        if m.version in texts
    }


def _reverts(listing: Listing, options: Options, migrations: Iterable[Migration]) -> dict[str, Down]:
    """Sqitch's ``revert/name.sql``."""
    found = {m.version: sqitch.revert(listing, m.file, options) for m in migrations}
    return {
        version: Down(file=each[0], text=each[1], transactional=False)
        for version, each in found.items()
        if each is not None
    }


def _section(root: Path, migration: Migration, marks: _Marks) -> Down | None:
    text = _text(root / migration.file)
    begins = marks.down.search(text)
    if begins is None:
        return None
    spans: list[tuple[int, int]] = []
    for begin in marks.down.finditer(text):
        if spans and begin.start() < spans[-1][1]:  # a second one in the same section
            continue
        end = marks.up.search(text, begin.end())
        spans.append((begin.end(), end.start() if end else len(text)))
    start = begins.start()
    section = only(text, spans)[start:]
    return Down(migration.file, section, line_of(text, start), not marks.alone.search(text))


def _below_undo(root: Path, migration: Migration, defines: Mapping[str, str]) -> Down | None:
    """What stands below the undo mark of a plain file."""
    text = _text(root / migration.file)
    mark = plain.undo_mark(text)
    if mark is None:
        return None
    start, below = mark.start(), only(text, [(mark.end(), len(text))])
    filled = fill_psql(below, defines, file=migration.file)
    return Down(migration.file, filled[start:], line_of(text, start), migration.transactional)


def _beside(root: Path, migration: Migration) -> Down | None:
    """``x.down.sql`` beside ``x.up.sql`` (or ``x.sql``), ``down.sql`` in a folder, ``down/x.sql`` beside
    ``up/x.sql``, Flyway's ``U1__x.sql``, yoyo's ``x.rollback.sql``."""
    file = Path(migration.file)
    names = [file.with_name("down.sql")] if file.name in ("up.sql", "migration.sql") else []
    stem = re.sub(r"(\.up)?\.sql$", "", file.name, flags=re.I)
    names += [file.with_name(f"{stem}.{end}.sql") for end in ("down", "rollback")]
    names.append(file.parent / "down" / file.name)
    if file.parent.name.lower() in ("up", "ups"):
        names += [file.parent.with_name(folder) / file.name for folder in ("down", "downs")]
    flyway = _UNDONE_BY.match(file.name)
    if flyway:
        names.append(file.with_name("U" + file.name[1:]))
    for name in names:
        if (root / name).is_file() and name != file:
            return Down(str(name), _text(root / name), transactional=migration.transactional)
    return None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
