"""Files with an Up and a Down section: what is kept stays where it was, the rest is blanked.

Blanking keeps every line and column, so that places in errors and in the lock are those of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pgslate.errors import Place

_VISIBLE = re.compile(r"[^\n]+")


def only(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """``text`` with all but ``spans`` turned into spaces; what follows the last span is cut off.

    >>> only("up\\nA;\\ndown\\nB;", [(3, 5)])
    '  \\nA;'
    """
    kept, at = [], 0
    for start, end in spans:
        kept.append(_VISIBLE.sub(lambda found: " " * len(found.group()), text[at:start]))
        kept.append(text[start:end])
        at = end
    return "".join(kept)


def line_of(text: str, offset: int) -> int:
    """The line, counted from 1, that the character ``offset`` stands on."""
    return text.count("\n", 0, offset) + 1


def source_line(text: str, offset: int) -> str:
    """The whole line that the character ``offset`` stands on."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : end if end >= 0 else None]


def place_at(text: str, offset: int, file: str, *, first_line: int = 1) -> Place:
    """The place of the character ``offset``; ``text`` begins on the line ``first_line`` of its file."""
    column = offset - text.rfind("\n", 0, offset)
    return Place(file, first_line + line_of(text, offset) - 1, column, source_line(text, offset))
