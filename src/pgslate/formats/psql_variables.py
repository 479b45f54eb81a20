r"""psql's variables where a script sets them itself: ``\set name value``.

Source: PostgreSQL manual, psql, ``\set`` and "Meta-Commands": the values after the name are joined; in
single quotes C's escapes are read, ``:name`` is another variable's value, and in backquotes stands a shell's
command, which pgslate doesn't run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pgslate.errors import CatalogError
from pgslate.formats.sections import place_at
from pgslate.formats.templates import fill_psql, stands_plainly, unset

_SET = re.compile(r"^[ \t]*\\set[ \t]+(?P<name>\w+)(?P<values>[^\n]*)$", re.MULTILINE)
_VALUE = re.compile(
    r"""\s+ | '(?P<quoted>(?:[^'\\]|\\.|'')*)' | (?P<whole>"[^"]*") | (?P<shell>`)
      | :(?:'(?P<literal>\w+)'|"(?P<identifier>\w+)"|(?P<bare>\w+)) | (?P<word>[^\s'"`:]+|.)""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|(.))|''", re.DOTALL)
_LETTERS = {"n": "\n", "t": "\t", "b": "\b", "r": "\r", "f": "\f"}


def fill(text: str, defines: Mapping[str, str], *, file: str) -> str:
    r"""A script with psql's variables filled in, those of ``defines`` and those that it sets.

    A ``\set`` holds from its line on, and is left out of the script. Raises CatalogError with the place where
    a variable has no value.

    >>> fill("\\set who 'O\\'Hara'\nSELECT :'who';", {}, file="a.sql")
    "\nSELECT 'O''Hara';"
    """
    values = dict(defines)
    done: list[str] = []
    at, first_line = 0, 1
    sql = text  # the script without the lines read so far, whose quotes are not SQL's
    for found in _SET.finditer(text):
        if not stands_plainly(sql, found.start("name")):
            continue
        sql = f"{sql[: found.start()]}{' ' * len(found.group())}{sql[found.end() :]}"
        done.append(fill_psql(text[at : found.start()], values, file=file, first_line=first_line))
        values[found["name"]] = _value(found["values"], values, text, found.start("values"), file)
        first_line += text.count("\n", at, found.end())
        at = found.end()
    done.append(fill_psql(text[at:], values, file=file, first_line=first_line))
    return "".join(done)


def _value(written: str, values: Mapping[str, str], text: str, offset: int, file: str) -> str:
    joined: list[str] = []
    for found in _VALUE.finditer(written.rstrip("\r")):
        name = found["literal"] or found["identifier"] or found["bare"]
        if found["shell"]:
            raise CatalogError(
                "psql would run a shell's command for the value of this variable, and pgslate runs none",
                place=place_at(text, offset + found.start(), file),
                fix="write the value itself; or remove the line, and give it with --define NAME=VALUE",
            )
        if name is not None and name not in values:
            raise unset(name, text, offset + found.start(), file=file)
        if found["literal"]:
            joined.append("'" + values[name].replace("'", "''") + "'")
        elif found["identifier"]:
            joined.append('"' + values[name].replace('"', '""') + '"')
        elif found["bare"]:
            joined.append(values[name])
        elif found["quoted"] is not None:
            joined.append(_ESCAPE.sub(_unescaped, found["quoted"]))
        else:
            joined.append(found["whole"] or found["word"] or "")
    return "".join(joined)


def _unescaped(found: re.Match[str]) -> str:
    octal, hexadecimal, letter = found.groups()
    if octal or hexadecimal:
        return chr(int(octal, 8) if octal else int(hexadecimal, 16))
    return _LETTERS.get(letter, letter) if letter else "'"
