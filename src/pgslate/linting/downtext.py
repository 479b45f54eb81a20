"""Where a migration's Down is: a section of its file, or a file beside it. Read for lint alone.

A catalog keeps no Downs, so that ``apply`` can't run one. Formats without a way back have none here, and so
has a migration whose file says nothing of it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from pgslate.catalog import Migration
from pgslate.formats.sections import line_of, only
from pgslate.formats.templates import fill_plainly
from pgslate.project import Project


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
    "tern": _Marks(
        re.compile(r"^---- create above / drop below ----[ \t]*$", re.M),
        re.compile(r"(?!)"),
        re.compile(r"^---- tern: disable-tx ----$", re.M),
    ),
}
_UNDONE_BY = re.compile(r"^V(?P<version>.+?)__")


def down_of(project: Project, migration: Migration) -> Down | None:
    """The migration's Down, or None where it has none. Raises CatalogError for an unset template variable."""
    root, catalog = project.catalog.root, project.catalog
    marks = _SECTIONS.get(catalog.format)
    found = _section(root, migration, marks) if marks else _beside(root, migration)
    if found is None:
        return None
    filled = fill_plainly([replace(migration, source=found.text)], project.config.defines)
    return replace(found, text=filled[0].source)


def _section(root: Path, migration: Migration, marks: _Marks) -> Down | None:
    text = _text(root / migration.file)
    begins = marks.down.search(text)
    if begins is None:
        return None
    spans = []
    for begin in marks.down.finditer(text):
        end = marks.up.search(text, begin.end())
        spans.append((begin.end(), end.start() if end else len(text)))
    start = begins.start()
    section = only(text, spans)[start:]
    return Down(migration.file, section, line_of(text, start), not marks.alone.search(text))


def _beside(root: Path, migration: Migration) -> Down | None:
    """``x.down.sql`` beside ``x.up.sql`` (or ``x.sql``), ``down.sql`` in a folder, Flyway's ``U1__x.sql``."""
    file = Path(migration.file)
    names = [file.with_name("down.sql")] if file.name in ("up.sql", "migration.sql") else []
    stem = re.sub(r"(\.up)?\.sql$", "", file.name, flags=re.I)
    names += [file.with_name(f"{stem}.down.sql"), file.parent / "down" / file.name]
    flyway = _UNDONE_BY.match(file.name)
    if flyway:
        names.append(file.with_name("U" + file.name[1:]))
    for name in names:
        if (root / name).is_file() and name != file:
            return Down(str(name), _text(root / name), transactional=migration.transactional)
    return None


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")
