"""goose: ``NNN_name.sql`` with ``-- +goose Up`` and ``-- +goose Down`` sections.

Source: goose v3, ``internal/sqlparser/parser.go`` (annotations Up, Down, StatementBegin, StatementEnd, NO
TRANSACTION, ENVSUB ON, ENVSUB OFF) and ``migration.go`` (names). An annotation is a whole line, wherever it
stands, also in the middle of a string.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming, templates
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of

name = "goose"
substitutes = True

_NAMED = re.compile(r"(?P<version>0*[1-9]\d*)_(?P<name>.+)\.sql$")
_ANNOTATION = re.compile(r"^(?P<indent>[ \t]*)--[^\n]*\+goose(?P<words>[^\n]*)$", re.MULTILINE)
_MARK = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]*(up|down)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(
    r"(?P<escaped>\\\$)|(?P<quote>\$\$)|\$\{(?P<braced>[A-Za-z_]\w*)(?::?-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)"
)
_COMMENT_LINE = re.compile(r"^[ \t]*--[^\n]*\n?", re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _MARK.search(listing.text(file))
        if found:
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    naming.refuse_code(tuple(f for f in naming.code_migrations(listing.top) if f.endswith(".go")), options)
    return tuple(
        _migration(listing, file, options) for file in listing.sql() if not naming.is_bystander(file)
    )


def _migration(listing: Listing, file: str, options: Options) -> Migration:
    named = _NAMED.match(file)
    if named is None:
        raise CatalogError(
            f"{file} is not named like a goose migration",
            fix="name it like 042_add_users.sql, with a number above 0, or move it out of the folder",
        )
    text = listing.text(file)
    up = _Sections(file, text).read()
    source = text[up.begin : up.end]
    for start, stop in reversed(up.substituted):
        low, high = max(start, up.begin) - up.begin, min(stop, up.end) - up.begin
        if low < high:
            source = source[:low] + _substituted(source[low:high], text, start, file, options) + source[high:]
    return Migration(
        version=named["version"],
        name=named["name"],
        file=file,
        source=source,
        order=(int(named["version"]),),
        first_line=line_of(text, up.begin),
        transactional=up.transactional,
    )


@dataclass
class _Sections:
    """One pass over a file's annotations: where its Up section is, and how it runs."""

    file: str
    text: str
    begin: int = -1
    end: int = -1
    transactional: bool = True
    substituted: list[tuple[int, int]] = field(default_factory=list)
    _open: Place | None = None
    _substituting: int = -1

    def read(self) -> _Sections:
        for found in _ANNOTATION.finditer(self.text):
            self._annotation(found)
        if self._open:
            raise CatalogError(
                "StatementBegin is never closed", place=self._open, fix="add '-- +goose StatementEnd'"
            )
        if self.begin < 0:
            raise CatalogError(
                f"{self.file} has no '-- +goose Up'",
                place=Place(self.file, 1),
                fix="add '-- +goose Up' above its SQL; or, where these files are not goose's, write"
                ' format = "plain" into pgslate.toml',
            )
        if self._substituting >= 0:
            self.substituted.append((self._substituting, len(self.text)))
        if self.end < 0:
            self.end = len(self.text)
        return self

    def _annotation(self, found: re.Match[str]) -> None:
        place = Place(self.file, line_of(self.text, found.start()), 1, found.group())
        words = found["words"].strip().lower()
        if found["indent"]:
            raise CatalogError(
                "goose refuses an annotation that is indented", place=place, fix="remove the indent"
            )
        match words:
            case "up":
                if self.begin >= 0:
                    raise CatalogError(
                        "a second '-- +goose Up'", place=place, fix="keep one Up section a file"
                    )
                self.begin = min(found.end() + 1, len(self.text))
            case "down":
                self._down(found.start(), place)
            case "statementbegin":
                self._statement_begin(place)
            case "statementend":
                if not self._open:
                    raise CatalogError(
                        "StatementEnd without StatementBegin",
                        place=place,
                        fix="add the StatementBegin, or remove it",
                    )
                self._open = None
            case "no transaction":
                self.transactional = False
            case "envsub on":
                self._substituting = found.end()
            case "envsub off":
                if self._substituting >= 0:
                    self.substituted.append((self._substituting, found.start()))
                self._substituting = -1
            case _:
                raise CatalogError(
                    f"goose has no annotation {found['words'].strip()!r}",
                    place=place,
                    fix="use Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON or ENVSUB OFF",
                )

    def _down(self, start: int, place: Place) -> None:
        if self._open:
            raise CatalogError(
                "StatementBegin is never closed", place=self._open, fix="add '-- +goose StatementEnd'"
            )
        if self.begin < 0:
            raise CatalogError(
                "'-- +goose Down' comes before '-- +goose Up'", place=place, fix="put the Up section first"
            )
        if self.end >= 0:
            raise CatalogError("a second '-- +goose Down'", place=place, fix="keep one Down section a file")
        self.end = start

    def _statement_begin(self, place: Place) -> None:
        if self._open:
            raise CatalogError(
                "StatementBegin inside StatementBegin", place=place, fix="close the first with StatementEnd"
            )
        if self.begin < 0:
            raise CatalogError(
                "StatementBegin comes before '-- +goose Up'", place=place, fix="put '-- +goose Up' first"
            )
        self._open = place


def _substituted(part: str, text: str, start: int, file: str, options: Options) -> str:
    """``part``, which stands in ``text`` at ``start``, with its variables filled in, but for comments."""

    def value(found: re.Match[str]) -> str:
        if found["escaped"]:
            return "$"
        if found["quote"]:  # goose takes it for an escape too, which no dollar-quoted body would survive
            return "$$"
        variable = found["braced"] or found["bare"]
        given = options.defines.get(variable, found["default"])
        if given is None:
            raise templates.unset(variable, part, found.start(), file=file, first_line=line_of(text, start))
        return given

    done, at = [], 0
    for comment in _COMMENT_LINE.finditer(part):
        done += [_VARIABLE.sub(value, part[at : comment.start()]), comment.group()]
        at = comment.end()
    return "".join([*done, _VARIABLE.sub(value, part[at:])])
