"""Where each statement of a text begins and ends, as psql finds it.

Source: PostgreSQL manual, psql, "Entering SQL commands", and ``psqlscan.l``: a semicolon ends a statement
unless it stands in a string, a quoted name, a comment, parentheses, or a BEGIN ATOMIC body.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pgslate.catalog.plain_strings import PlainStrings
from pgslate.catalog.tokens import Source, token
from pgslate.errors import SqlSyntaxError

_LEADING = 8  # the first words of a statement that are kept, and its last
_END_OF_DATA = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)
_RESTRICT = re.compile(r"\\(?:un)?restrict[ \t]+[A-Za-z0-9]+[ \t\r]*(?=\n|\Z)")


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement as the lexer finds it: its text and where it starts, and the data of a COPY."""

    start: int
    text: str
    data: str | None = None


def pieces(source: Source, reads_stdin: Callable[[str], bool]) -> Iterator[Piece]:
    """Divide a text into statements.

    ``reads_stdin`` says of a COPY statement whether its data follow it. The lines ``\\restrict`` and
    ``\\unrestrict``, which pg_dump writes, are skipped. After ``SET standard_conforming_strings = off`` a
    string that holds a backslash gets the prefix E, which has the same meaning under either setting.

    Raises SqlSyntaxError where a string or comment is not closed, or another psql command stands.
    """
    text = source.text
    at, start = 0, -1  # the offset of the statement's first token, -1 between statements
    nesting = _Nesting()
    strings = PlainStrings(text)
    while at < len(text):
        if start < 0 and text[at] == "\\" and (line := _RESTRICT.match(text, at)):
            at = line.end()
            continue
        kind, after = token(source, at, escapes=strings.escape)
        if kind == "end" and not nesting.is_open:
            if start >= 0:
                data = None
                if nesting.words[:1] == ["copy"] and reads_stdin(text[start:at]):
                    data, after = _copy_data(source, after)
                yield Piece(start, strings.statement(start, at), data)
            start, nesting = -1, _Nesting()
        elif kind:
            if start < 0:
                start = at
            if kind in ("word", "open", "close"):
                nesting.take(kind, text[at:after])
            strings.take(source, kind, at, after)
        at = after
    if start >= 0:
        yield Piece(start, strings.statement(start, len(text)))


class _Nesting:
    """What is open in a statement; ``words`` are its first, to know CREATE FUNCTION ... BEGIN ATOMIC."""

    __slots__ = ("_atomic", "_depth", "words")

    def __init__(self) -> None:
        self.words: list[str] = []
        self._depth = 0
        self._atomic = 0  # BEGIN ATOMIC and each CASE in it, closed by END

    @property
    def is_open(self) -> bool:
        return self._depth > 0 or self._atomic > 0

    def take(self, kind: str, token: str) -> None:
        if kind == "open":
            self._depth += 1
        elif kind == "close":
            self._depth = max(0, self._depth - 1)
        else:
            self._take_word(token.lower())

    def _take_word(self, word: str) -> None:
        words = self.words
        if word == "atomic" and words[-1:] == ["begin"] and "create" in words[:1]:
            self._atomic = 1
        elif self._atomic and word == "case":
            self._atomic += 1
        elif self._atomic and word == "end":
            self._atomic -= 1
        if len(words) < _LEADING:
            words.append(word)
        else:
            words[-1] = word


def _copy_data(source: Source, at: int) -> tuple[str, int]:
    """The lines after COPY ... FROM stdin; up to the line ``\\.``, and the offset behind that line."""
    begin = source.text.find("\n", at) + 1
    end = _END_OF_DATA.search(source.text, begin) if begin else None
    if end is None:
        raise SqlSyntaxError(
            "COPY ... FROM stdin without its data",
            place=source.place(max(0, at - 1)),
            fix="end the data with a line that holds only \\.",
        )
    return source.text[begin : end.start()].replace("\r\n", "\n"), end.end()
