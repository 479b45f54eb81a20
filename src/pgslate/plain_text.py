"""Plain text for people: aligned columns, numbers with their nouns. No boxes, no colours."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence


def aligned(
    rows: Sequence[Sequence[object]], *, indent: str = "  ", right: Sequence[int] = (), within: int = 0
) -> str:
    """The rows with their columns aligned, two spaces apart; ``right`` are the columns flush right.

    With ``within``, a last column that doesn't fit into so many columns goes on below itself, between words.

    >>> print(aligned([("a", 1), ("long", 100)], indent="", right=[1]))
    a       1
    long  100
    """
    cells = [[str(cell) for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [max((width(row[n]) for row in cells if n < len(row)), default=0) for n in range(count)]
    lines = []
    for row in cells:
        padded = []
        for n, cell in enumerate(row):
            room = " " * (widths[n] - width(cell))
            padded.append(room + cell if n in right else cell + room)
        lines += _wrapped((indent + "  ".join(padded)).rstrip(), within, width(indent) + _before_last(widths))
    return "\n".join(lines)


def _before_last(widths: Sequence[int]) -> int:
    return sum(widths[:-1]) + 2 * max(0, len(widths) - 1)


_LEAST = 24
"""Columns of text that are worth a hanging indent of their own; else the text hangs by six."""


def _wrapped(line: str, within: int, hang: int) -> list[str]:
    if not within or width(line) <= within:
        return [line]
    hanging = " " * (hang if within - hang >= _LEAST else 6)
    return textwrap.wrap(
        line,
        within,
        subsequent_indent=hanging,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def terminal_width() -> int:
    """The width that people read at: of the terminal, or COLUMNS; 0 in a pipe, where lines may be long."""
    if not os.environ.get("COLUMNS", "").isdigit() and not (sys.stdout and sys.stdout.isatty()):
        return 0
    return shutil.get_terminal_size().columns


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


_USUAL_SCHEMAS = re.compile(r"(?<![\w.\"])(?:public|pg_catalog)\.(?=[\w\"])")


def plain(text: str) -> str:
    """The text with the schemas that go without saying left out.

    >>> plain("creates function public.f(pg_catalog.text), needed by table app.t")
    'creates function f(text), needed by table app.t'
    """
    return _USUAL_SCHEMAS.sub("", text)


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "table"), counted(2, "index", "indexes")
    ('1 table', '2 indexes')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def shortened(names: Sequence[str], *, most: int = 5) -> str:
    """The names with commas between; of many, the first and how many more there are.

    >>> shortened(["1", "2", "3", "4"], most=2)
    '1, 2 and 2 more'
    """
    more = len(names) - most
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:most])} and {more} more"


def silent(line: str) -> None:
    """A receiver of lines for people, where nobody reads them."""
