"""Values put into SQL before it is run: Go templates, ``${name}``, and psql's variables.

A format that substitutes does it as its tool does, with the functions here. In all others a template is
filled in where one plainly stands: outside of strings, names and comments, where no SQL could have ``{{``
or ``${``. A ``{{name}}`` that a migration merely stores in a table is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from pgslate.catalog.migration import Migration
from pgslate.errors import CatalogError
from pgslate.formats.sections import place_at

Value = Callable[[re.Match[str]], str | None]

GO = re.compile(r"\{\{(?P<trim>- )?(?P<inner>.*?)(?P<trail> -)?\}\}", re.DOTALL)
BRACED = re.compile(r"\$\{(?P<name>[\w.:-]+)\}")
_GO_NAME = re.compile(
    r"""(?:\$?\.?(?P<path>[A-Za-z_][\w.]*)|\(?index\s+\$?\.[\w.]*\s+["`](?P<key>[^"`]+)["`]\)?)$"""
)
_GO_COMMENT = re.compile(r"/\*.*\*/$", re.DOTALL)

_QUOTED = r"""
    [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
  | (?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)
"""
_PLAINLY = re.compile(rf"(?:{_QUOTED})|(?P<go>\{{\{{)|(?P<braced>\$\{{)", re.VERBOSE | re.DOTALL)
_SKIPPED = re.compile(_QUOTED, re.VERBOSE | re.DOTALL)
_PSQL = re.compile(
    rf"""(?:{_QUOTED}) | (?P<open>[\[(]) | (?P<close>[\])]) | ::
       | :(?:'(?P<literal>\w+)'|"(?P<identifier>\w+)"|(?P<bare>[A-Za-z_]\w*))""",
    re.VERBOSE | re.DOTALL,
)


def fill(text: str, pattern: re.Pattern[str], value: Value, *, file: str, first_line: int = 1) -> str:
    """``text`` with each match of ``pattern`` replaced by its ``value``.

    Where ``value`` gives None the match is a variable without one: raises CatalogError with its place and the
    --define to give. The variable's name is the match's group ``name``, or what ``value`` raises itself.
    """

    def put(found: re.Match[str]) -> str:
        given = value(found)
        if given is None:
            raise unset(found["name"], text, found.start(), file=file, first_line=first_line)
        return given

    return pattern.sub(put, text)


def unset(name: str, text: str, offset: int, *, file: str, first_line: int = 1) -> CatalogError:
    """The error for a variable that has no value."""
    return CatalogError(
        f"{name} is a variable of this migration, and has no value",
        place=place_at(text, offset, file, first_line=first_line),
        fix=f"give it with --define {name}=VALUE",
    )


def fill_go(
    text: str,
    defines: Mapping[str, str],
    *,
    file: str,
    first_line: int = 1,
    include: Callable[[str], str | None] = lambda name: None,
) -> str:
    """A Go template with its values put in: ``{{ .Name }}``, ``{{ index .Options "Name" }}``, comments,
    trims.

    ``include`` gives the text of ``{{ template "name" . }}``, or None. Logic (``if``, ``range``, pipes) is an
    error: it belongs to the tool that renders the template.

    >>> fill_go('CREATE SCHEMA {{ index .Options "Namespace" }};', {"Namespace": "auth"}, file="1.sql")
    'CREATE SCHEMA auth;'
    """
    done, at = [], 0
    for found in GO.finditer(text):
        before = text[at : found.start()]
        done.append(before.rstrip() if found["trim"] else before)
        done.append(_go_value(found, text, defines, file, first_line, include))
        at = found.end()
        if found["trail"]:
            at += len(text[at:]) - len(text[at:].lstrip())
    return "".join([*done, text[at:]])


def _go_value(
    found: re.Match[str],
    text: str,
    defines: Mapping[str, str],
    file: str,
    first_line: int,
    include: Callable[[str], str | None],
) -> str:
    inner = found["inner"].strip()
    if _GO_COMMENT.match(inner):
        return ""
    included = re.match(r'template\s+"(?P<name>[^"]+)"(?:\s+\$?\.)?$', inner)
    if included:
        body = include(included["name"])
        if body is None:
            raise CatalogError(
                f"there is no file {included['name']} to include",
                place=place_at(text, found.start(), file, first_line=first_line),
                fix="correct the path, which counts from the folder of migrations",
            )
        return body
    variable = _GO_NAME.match(inner)
    if variable is None or inner in ("end", "else", "break", "continue"):
        raise CatalogError(
            f"{found.group()} is template logic, and pgslate only fills in values",
            place=place_at(text, found.start(), file, first_line=first_line),
            fix="render the files with the tool they are written for, and point --catalog at the result",
        )
    path = variable["path"] or variable["key"]
    for name in (path, path.rsplit(".", 1)[-1]):
        if name in defines:
            return defines[name]
    raise unset(path, text, found.start(), file=file, first_line=first_line)


def fill_psql(text: str, defines: Mapping[str, str], *, file: str, first_line: int = 1) -> str:
    """psql's variables, as psql does it: ``:name``, ``:'name'`` and ``:"name"``, outside of strings and
    names.

    A bare ``:name`` in brackets or parentheses that has no value stays as it is: it may be an array slice.

    >>> fill_psql("SELECT :'who', a[1:n], ':who', x::int", {"who": "O'Hara"}, file="1.sql")
    "SELECT 'O''Hara', a[1:n], ':who', x::int"
    """
    if ":" not in text:
        return text
    depth = 0

    def put(found: re.Match[str]) -> str:
        nonlocal depth
        depth += (found["open"] is not None) - (found["close"] is not None)
        name = found["literal"] or found["identifier"] or found["bare"]
        if name is None:
            return found.group()
        if name not in defines:
            if found["bare"] and depth > 0:
                return found.group()
            raise unset(name, text, found.start(), file=file, first_line=first_line)
        value = defines[name]
        if found["literal"]:
            return "'" + value.replace("'", "''") + "'"
        return '"' + value.replace('"', '""') + '"' if found["identifier"] else value

    return _PSQL.sub(put, text)


def stands_plainly(text: str, offset: int) -> bool:
    """Whether the character ``offset`` is outside of strings, quoted names, bodies and comments."""
    return all(not found.start() <= offset < found.end() for found in _SKIPPED.finditer(text))


def fill_plainly(migrations: Iterable[Migration], defines: Mapping[str, str]) -> tuple[Migration, ...]:
    """The migrations of a format that doesn't substitute, with what plainly is a template filled in."""
    found = tuple(migrations)
    kinds = {kind for m in found for kind in _plain_templates(m.source)}
    filled = []
    for migration in found:
        text = migration.source
        where = {"file": migration.file, "first_line": migration.first_line}
        if "go" in kinds:
            text = fill_go(text, defines, **where)  # type: ignore[arg-type]  # file is str, first_line is int
        if "braced" in kinds:
            text = fill(text, BRACED, lambda m: defines.get(m["name"]), **where)  # type: ignore[arg-type]  # as above
        elif defines:
            text = BRACED.sub(lambda m: defines.get(m["name"], m.group()), text)
        filled.append(migration if text == migration.source else replace(migration, source=text))
    return tuple(filled)


def _plain_templates(text: str) -> set[str]:
    """Which templates stand where no SQL could be: ``go``, ``braced``."""
    if "{{" not in text and "${" not in text:
        return set()
    return {found.lastgroup or "" for found in _PLAINLY.finditer(text)} & {"go", "braced"}
