"""goose: ``NNN_name.sql`` with ``-- +goose Up`` and ``-- +goose Down`` sections.

Source: goose v3, "SQL migrations" (annotations Up, Down, StatementBegin, StatementEnd, NO TRANSACTION,
ENVSUB ON, ENVSUB OFF).
"""

from __future__ import annotations

import re

from pgslate.catalog import Migration
from pgslate.errors import CatalogError, CodeMigrationError, Place
from pgslate.formats.listing import Listing, Options

name = "goose"

_NAMED = re.compile(r"(?P<version>\d+)_(?P<name>.+)\.sql$")
_CODE = re.compile(r"\d+_.+\.go$")
_ANNOTATION = re.compile(r"^[ \t]*--[ \t]*\+goose[ \t]+(?P<words>[^\n]*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?::?-(?P<default>[^}]*))?\}|\$(?P<bare>[A-Za-z_]\w*)")


def recognise(listing: Listing) -> str | None:
    for file in listing.sql():
        found = _ANNOTATION.search(listing.text(file))
        if found:
            return f"{file} has {found.group().strip()!r}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    code = tuple(f for f in listing.top if _CODE.match(f) and not f.endswith("_test.go"))
    if code and not options.skip_code:
        raise CodeMigrationError(
            f"{len(code)} of the migrations are written in Go, which pgslate does not run: {', '.join(code)}",
            fix="write them as SQL, or go on without them with --skip-code",
            files=code,
        )
    return tuple(_migration(listing, file, options) for file in listing.sql())


def _migration(listing: Listing, file: str, options: Options) -> Migration:
    named = _NAMED.match(file)
    if named is None:
        raise CatalogError(
            f"{file} is not named like a goose migration",
            fix="name it like 042_add_users.sql, or move it out of the folder",
        )
    text = listing.text(file)
    up, first_line, transactional = _up_section(text, file, options)
    return Migration(
        version=named["version"],
        name=named["name"],
        file=file,
        source=up,
        order=(int(named["version"]),),
        first_line=first_line,
        transactional=transactional,
    )


def _up_section(text: str, file: str, options: Options) -> tuple[str, int, bool]:
    """(SQL of the Up section, its first line, whether it runs in a transaction)."""
    transactional = True
    begin = end = -1
    open_block: Place | None = None
    substitute = False
    edits: list[tuple[int, int]] = []  # parts of the Up section with ENVSUB ON
    for found in _ANNOTATION.finditer(text):
        words = found["words"].lower()
        line = text.count("\n", 0, found.start()) + 1
        place = Place(file, line, 1, found.group())
        if words == "up":
            if begin >= 0:
                raise CatalogError("a second '-- +goose Up'", place=place, fix="keep one Up section a file")
            begin = found.end() + 1
        elif words == "down":
            if begin < 0:
                raise CatalogError(
                    "'-- +goose Down' comes before '-- +goose Up'", place=place, fix="put the Up section first"
                )
            if end < 0:
                end = found.start()
        elif words == "statementbegin":
            if open_block:
                raise CatalogError(
                    "StatementBegin inside StatementBegin", place=place, fix="close the first with StatementEnd"
                )
            open_block = place
        elif words == "statementend":
            if not open_block:
                raise CatalogError(
                    "StatementEnd without StatementBegin", place=place, fix="add the StatementBegin, or remove it"
                )
            open_block = None
        elif words == "no transaction":
            transactional = False
        elif words == "envsub on":
            substitute = True
            edits.append((found.end(), len(text)))
        elif words == "envsub off":
            if substitute:
                edits[-1] = (edits[-1][0], found.start())
            substitute = False
        else:
            raise CatalogError(
                f"goose has no annotation {found['words']!r}",
                place=place,
                fix="use Up, Down, StatementBegin, StatementEnd, NO TRANSACTION, ENVSUB ON or ENVSUB OFF",
            )
    if open_block:
        raise CatalogError("StatementBegin is never closed", place=open_block, fix="add '-- +goose StatementEnd'")
    if begin < 0:
        raise CatalogError(
            f"{file} has no '-- +goose Up'", place=Place(file, 1), fix="add '-- +goose Up' above its SQL"
        )
    end = len(text) if end < 0 else end
    source = text[begin:end]
    for start, stop in reversed(edits):
        low, high = max(start, begin) - begin, min(stop, end) - begin
        if low < high:
            source = source[:low] + _substituted(source[low:high], file, options) + source[high:]
    return source, text.count("\n", 0, begin) + 1, transactional


def _substituted(text: str, file: str, options: Options) -> str:
    def value(found: re.Match[str]) -> str:
        variable = found["name"] or found["bare"]
        given = options.defines.get(variable, found["default"])
        if given is None:
            raise CatalogError(
                f"{file} uses ${{{variable}}}, which is not set",
                place=Place(file, 1),
                fix=f"give it with --define {variable}=VALUE",
            )
        return given

    return _VARIABLE.sub(value, text)
