"""Liquibase's changelogs in XML, YAML and JSON, as far as they say which SQL files run in which order.

Source: Liquibase, ``DatabaseChangeLog.java`` (``handleChildNodeHelper``, ``include``, ``includeAll``): a path
counts from the search path, or from the changelog where ``relativeToChangelogFile`` says so; ``includeAll``
takes all files of a folder and of those below, by their paths. A changelog's own preconditions can only stop
Liquibase, and are passed over.
"""

from __future__ import annotations

import codecs
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from pgslate.errors import CatalogError, Place
from pgslate.formats.listing import Listing

CHANGELOG = re.compile(r"\.(xml|ya?ml|json)$", re.IGNORECASE)
_ROOT = "databaseChangeLog"
_YAML_ROOT = re.compile(rf"""^(\{{\s*)?["']?{_ROOT}["']?\s*:""", re.MULTILINE)
_JSON_ROOT = re.compile(rf'\s*\{{\s*"{_ROOT}"\s*:')
PASSED_OVER = frozenset(
    {"preConditions", "property", "logicalFilePath", "objectQuotingStrategy", "changeSet"}
)
_UTF_16 = {
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"<\0": "utf-16-le",
    b"\0<": "utf-16-be",
}
_INVALID = expat.errors.XML_ERROR_INVALID_TOKEN
_UNREAD = ("filter", "resourceFilter", "resourceComparator", "minDepth", "maxDepth")


@dataclass(frozen=True)
class Entry:
    """An element of a changelog: ``include``, ``includeAll``, ``property``, ``changeSet``, ..."""

    kind: str
    attributes: Mapping[str, Any]
    place: Place

    def __getitem__(self, key: str) -> str:
        """The text of an attribute, "" where it isn't given. Raises CatalogError for a list or a mapping."""
        value = self.attributes.get(key)
        if isinstance(value, (dict, list)):
            raise self.no_text(key)
        return "" if value is None else str(value)

    def is_set(self, key: str) -> bool:
        return self[key].lower() in ("true", "yes", "on")

    def is_unset(self, key: str) -> bool:
        return self[key].lower() in ("false", "no", "off")

    def no_text(self, key: str) -> CatalogError:
        return CatalogError(f"{key} is no text", place=self.place, fix="write it as text")


def is_changelog(listing: Listing, file: str) -> bool:
    """Whether a file is a changelog, by its root element or a top-level key."""
    if not CHANGELOG.search(file):
        return False
    try:
        content = listing.content(file)
    except CatalogError:
        return False  # it may be anybody's
    if file.lower().endswith(".xml"):
        return _is_xml_changelog(content)
    text = content.decode("utf-8-sig", "replace").replace("\r\n", "\n")
    return _is_json_changelog(text) if file.lower().endswith(".json") else bool(_YAML_ROOT.search(text))


def entries(listing: Listing, file: str) -> tuple[Entry, ...]:
    """What a changelog holds, in its order. Raises CatalogError where it can't be read."""
    if file.lower().endswith(".xml"):
        return tuple(_xml(listing, file))
    text = listing.text(file)
    document = _json(text, file) if file.lower().endswith(".json") else _yaml(text, file)
    return tuple(_documented(document, text, file))


def included(listing: Listing, changelog: str, entry: Entry) -> tuple[str, ...]:
    """The files that an ``include`` or an ``includeAll`` names. Raises CatalogError where there are none."""
    is_folder = entry.kind == "includeAll"
    key = "path" if is_folder else "file"
    if not isinstance(entry.attributes.get(key, ""), str):
        raise entry.no_text(key)
    given = entry[key].replace("\\", "/").strip()
    unread = next((key for key in _UNREAD if entry[key]), None)
    if unread:
        raise CatalogError(
            f"pgslate doesn't know which files includeAll takes with {unread}",
            place=entry.place,
            fix="name them with include",
        )
    relative = entry.is_set("relativeToChangelogFile")
    for path in _paths(listing, changelog, given, relative=relative):
        found = _below(listing, path, changelog, entry["endsWithFilter"]) if is_folder else (path,)
        if found and set(found) <= set(listing.files):
            return found
    if entry.is_unset("errorIfMissingOrEmpty" if is_folder else "errorIfMissing"):
        return ()
    raise CatalogError(
        f"{listing.root} has no {given or 'such file'}",
        place=entry.place,
        fix="correct the path, or point --catalog at the folder that it counts from",
    )


def _paths(listing: Listing, changelog: str, given: str, *, relative: bool) -> Iterable[str]:
    """What a path may be below the catalog's folder, which is seldom the search path itself.

    In ``src/main/resources/db``, the path ``db/changes/1.sql`` is ``changes/1.sql``.
    """
    if relative:
        yield posixpath.normpath(posixpath.join(posixpath.dirname(changelog), given))
        return
    path = posixpath.normpath(given.removeprefix("classpath:").lstrip("/"))
    parts = listing.root.resolve().parts[1:]
    for count in range(len(parts), 0, -1):
        above = "/".join(parts[-count:])
        if f"{path}/".startswith(f"{above}/"):
            yield path[len(above) + 1 :] or "."
    yield path


def _below(listing: Listing, folder: str, changelog: str, ending: str) -> tuple[str, ...]:
    return tuple(
        file
        for file in listing.files
        if (folder == "." or file.startswith(folder + "/"))
        and file != changelog
        and file.endswith(ending)
        and (file.lower().endswith(".sql") or is_changelog(listing, file))
    )


def _is_xml_changelog(content: bytes) -> bool:
    found: list[str] = []
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: found.append(name)
    with suppress(expat.ExpatError, LookupError, ValueError):
        parser.Parse(content, True)
    if not found:  # what stands above the root can't be read
        return f"<{_ROOT}".encode() in content
    return found[0].rsplit(":", 1)[-1] == _ROOT


def _xml(listing: Listing, file: str) -> list[Entry]:
    """The elements directly below the root; the file is decoded as it declares."""
    found: list[tuple[str, dict[str, str], int, int]] = []
    depth = 0
    encoding = "utf-8"

    def declared(_version: str, given: str | None, _standalone: int) -> None:
        nonlocal encoding
        encoding = given or encoding

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth == 2:
            line, column = parser.CurrentLineNumber, parser.CurrentColumnNumber + 1
            found.append((name.rsplit(":", 1)[-1], attributes, line, column))

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    content = listing.content(file)
    parser = expat.ParserCreate()
    parser.XmlDeclHandler, parser.StartElementHandler, parser.EndElementHandler = declared, start, end
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        if encoding.lower() == "utf-8" and expat.ErrorString(error.code) == _INVALID:
            listing.text(file)  # raises where it is not UTF-8
        raise CatalogError(
            f"not XML: {expat.ErrorString(error.code)}",
            place=Place(file, error.lineno, error.offset + 1),
            fix="correct the file",
        ) from None
    except (LookupError, ValueError) as error:  # of the encoding
        raise CatalogError(
            f"not XML that can be read: {error}", place=Place(file, 1), fix="save the file as UTF-8"
        ) from None
    encoding = next((name for opening, name in _UTF_16.items() if content.startswith(opening)), encoding)
    text = content.decode(encoding, "replace").removeprefix("\ufeff")
    lines = dict(enumerate(re.split(r"\r\n|\r|\n", text), start=1))
    return [
        Entry(kind, attributes, Place(file, line, at, lines.get(line, "")))
        for kind, attributes, line, at in found
    ]


def _is_json_changelog(text: str) -> bool:
    if _ROOT not in text:
        return False
    try:
        document = json.loads(text, parse_int=str)
    except (json.JSONDecodeError, RecursionError):
        return _JSON_ROOT.match(text) is not None
    return isinstance(document, dict) and _ROOT in document


def _json(text: str, file: str) -> Any:
    try:
        return json.loads(text, parse_int=str)  # a number may be too long
    except json.JSONDecodeError as error:
        place = Place(file, error.lineno, error.colno)
        raise CatalogError(f"not JSON: {error.msg}", place=place, fix="correct the file") from None
    except RecursionError:
        raise _too_deep(file) from None


def _yaml(text: str, file: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise CatalogError(
            f"{file} is YAML, and PyYAML is not installed here", fix="pip install PyYAML"
        ) from None
    try:
        return yaml.BaseLoader(text).get_single_data()  # dates and numbers stay text, and can't fail
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1)
        raise CatalogError(f"not YAML: {error.problem}", place=place, fix="correct the file") from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise CatalogError(f"not YAML: {error.reason}", place=place, fix="take them out") from None
    except RecursionError:
        raise _too_deep(file) from None


def _too_deep(file: str) -> CatalogError:
    return CatalogError("nested too deeply", place=Place(file, 1), fix="correct the file")


def _documented(document: Any, text: str, file: str) -> list[Entry]:
    """The entries of a changelog in YAML or JSON; their lines are those of the keys, counted off."""
    listed = document.get(_ROOT) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise CatalogError(
            f"{file} has no list {_ROOT}", place=Place(file, 1), fix="write its entries as a list"
        )
    found = []
    at = text.index(_ROOT) if _ROOT in text else 0
    for each in listed:
        for kind, attributes in each.items():
            key = re.compile(rf"^(?P<lead>.*?)\b{re.escape(str(kind))}\b", re.MULTILINE)
            match = key.search(text, text.find("\n", at) + 1) or key.search(text)
            at = match.end() if match else at
            line = text.count("\n", 0, at) + 1
            column = len(match["lead"]) + 1 if match else 1
            place = Place(file, line, column, text.split("\n")[line - 1])
            found.append(Entry(str(kind), _merged(attributes) if isinstance(attributes, dict) else {}, place))
    return found


def _merged(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes, with YAML's merge key ``<<`` followed.

    >>> _merged({"<<": {"a": "1", "b": "2"}, "b": "3"})["b"]
    '3'
    """
    given = attributes.get("<<")
    return {**given, **attributes} if isinstance(given, dict) else attributes
