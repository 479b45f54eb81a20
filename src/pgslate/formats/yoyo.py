"""yoyo: SQL files by name, but each below those that its ``-- depends: other_id`` names.

pgslate recognises it by a ``yoyo.ini`` whose ``sources`` lead to the folder, or by such a comment that
names files of the folder.

Source: yoyo-migrations 9, ``yoyo/migrations.py`` and ``yoyo/topologicalsort.py``: a migration's id is its
file's name; ``depends`` and ``transactional`` stand in the comments that a file begins with;
``.rollback.sql`` is the way back, and every other file is a migration, whatever it is called.
``post-apply*.sql`` runs after all others, here again when it changes.
"""

from __future__ import annotations

import configparser
import glob
import os
import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush
from pathlib import Path

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError, Place
from pgslate.formats import naming
from pgslate.formats.listing import Listing, Options
from pgslate.formats.sections import line_of, source_line

name = "yoyo"

_INI = "yoyo.ini"
_LEADING = re.compile(r"(?:[ \t]*(?:--[^\n]*)?(?:\n|$))*")
_DIRECTIVE = re.compile(
    r"^[ \t]*--[ \t]*(?P<key>transactional|depends)[ \t]*:[ \t]*(?P<value>[^\n]*)$", re.MULTILINE
)
_STEP = re.compile(r"^(?:from yoyo import|import yoyo)\b", re.MULTILINE)


def recognise(listing: Listing) -> str | None:
    files = _files(listing)
    ini = _configuration(listing)
    if files and ini:
        return f"{ini} and {files[0]}"
    known = {_id(file) for file in files} | {f.removesuffix(".py") for f in listing.top if f.endswith(".py")}
    directives_of = {file: tuple(_depends(listing.text(file))) for file in files}
    for file in files:
        for found in directives_of[file]:
            if (named := set(found["value"].split())) and named <= known:
                return None if _are_numbered(directives_of) else f"{file} has {found.group().strip()!r}"
    return _shared_number(listing, files)


def _shared_number(listing: Listing, files: tuple[str, ...]) -> str | None:
    """The evidence where files share a number, as yoyo allows, and one of them can be rolled back."""
    back = next((f for f in listing.top if f.endswith(".rollback.sql")), None)
    numbers: dict[str, str] = {}
    for file in files if back else ():
        named = naming.version_and_name(_id(file))
        other = numbers.setdefault(named[0], file) if named else file
        if other != file:
            return f"{other} and {file} share a number, and there is {back}"
    return None


def read(listing: Listing, options: Options) -> tuple[Migration, ...]:
    code = {f for f in listing.top if f.endswith(".py") and _STEP.search(listing.text(f))}
    naming.refuse_code(tuple(sorted(code | set(naming.code_migrations(listing.top)))), options)
    files = {_id(file): file for file in _files(listing)}
    needs = {identifier: _needs(listing, file, files, options) for identifier, file in sorted(files.items())}
    ordered = _in_order(needs, files)
    return tuple(_migration(listing, files[each], position) for position, each in enumerate(ordered))


def _configuration(listing: Listing) -> Path | None:
    """The yoyo.ini of this folder, or the nearest above it if its sources lead here."""
    ini = listing.root / _INI if _INI in listing.top else listing.above(_INI)
    if ini is None:
        return None
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(ini.read_text("utf-8", errors="replace"))
    except (OSError, configparser.Error):
        return None
    sources = parser.defaults().get("sources", "")
    if not sources and _INI in listing.top:
        return ini
    here = glob.escape(str(ini.parent.resolve()))
    patterns = (os.path.normpath(Path(here, s.replace("%(here)s", here))) for s in sources.split())
    return ini if any(map(listing.root.resolve().match, patterns)) else None


def _are_numbered(directives_of: Mapping[str, Iterable[re.Match[str]]]) -> bool:
    """Whether numbers say another order than names do, and one in which no file stands above what it needs.

    That is a plain folder whose comments speak of other files: 001_a.sql, 9_d.sql, 010_c.sql.
    """
    numbers = {}
    for file in directives_of:
        named = naming.version_and_name(_id(file))
        if named is None:
            return False
        numbers[_id(file)] = [(isinstance(part, str), part) for part in naming.order_of(named[0])]
    if sorted(numbers) == sorted(numbers, key=lambda each: (numbers[each], each)):
        return False
    return all(
        numbers[needed] < numbers[_id(file)]
        for file, directives in directives_of.items()
        for found in directives
        for needed in found["value"].split()
        if needed in numbers
    )


def _files(listing: Listing) -> tuple[str, ...]:
    return tuple(f for f in listing.sql() if not f.endswith(".rollback.sql"))


def _id(file: str) -> str:
    return file[: -len(".sql")]


def _migration(listing: Listing, file: str, position: int) -> Migration:
    identifier = _id(file)
    named = naming.version_and_name(identifier)
    text = listing.text(file)
    return Migration(
        version=identifier,
        name=named[1] if named else identifier,
        file=file,
        source=text,
        order=(position,),
        transactional=_is_transactional(text, file),
        repeatable=file.startswith("post-apply"),
    )


def _in_order(needs: dict[str, set[str]], files: dict[str, str]) -> list[str]:
    """The ids by the names of their files, so 0001-b.sql before 0001.sql, each below what it needs.

    Raises CatalogError for a circle.
    """
    sorter = TopologicalSorter({each: sorted(needs[each]) for each in sorted(needs)})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = ", ".join(files[each] for each in error.args[1][1:9])
        raise CatalogError(
            f"these depend on one another, and none can be the first: {circle}",
            fix="take out one of their '-- depends:'",
        ) from None
    done: list[str] = []
    ready: list[tuple[bool, str, str]] = []
    while sorter.is_active():
        for each in sorter.get_ready():
            heappush(ready, (each.startswith("post-apply"), files[each], each))
        done.append(heappop(ready)[-1])
        sorter.done(done[-1])
    return done


def _needs(listing: Listing, file: str, files: dict[str, str], options: Options) -> set[str]:
    """The ids that a file depends on. Raises CatalogError for one that there is no file of."""
    text = listing.text(file)
    needs = set()
    for found in _depends(text):
        for each in found["value"].split():
            if each in files:
                needs.add(each)
            elif not (options.skip_code and f"{each}.py" in listing.top):
                raise CatalogError(
                    f"it depends on {each}, and there is no {each}.sql",
                    place=_place(text, found, file),
                    fix="restore the file, or correct the name",
                )
    return needs


def _is_transactional(text: str, file: str) -> bool:
    for found in _directives(text):
        if found["key"] == "transactional":
            value = found["value"].strip().lower()
            if value not in ("true", "false"):
                raise CatalogError(
                    f"transactional is true or false, not {value!r}",
                    place=_place(text, found, file),
                    fix="write -- transactional: false",
                )
            return value == "true"
    return True


def _depends(text: str) -> Iterable[re.Match[str]]:
    return (found for found in _directives(text) if found["key"] == "depends")


def _directives(text: str) -> Iterable[re.Match[str]]:
    """The directives in the comments that a file begins with."""
    leading = _LEADING.match(text)
    return _DIRECTIVE.finditer(text, 0, leading.end() if leading else 0)


def _place(text: str, found: re.Match[str], file: str) -> Place:
    return Place(file, line_of(text, found.start()), 1, source_line(text, found.start()))
