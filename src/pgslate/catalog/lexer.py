"""Where each statement of a text begins and ends, as psql's lexer finds it.

Source: PostgreSQL manual, psql, "Entering SQL commands", and ``psqlscan.l``: a semicolon ends a statement
unless it stands in a string, a quoted name, a comment, parentheses, or a BEGIN ATOMIC body.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator

from pgslate.errors import Place, SqlSyntaxError

LETTER = r"[^\x00-@\[-\^`{-\x7f]"
"""A letter, an underscore, or anything beyond ASCII; said as what it is not, which is quick to compile."""

LETTER_OR_DIGIT = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"
"""The same, a digit or a dollar sign."""

_TOKEN = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<string>(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*'?)
    | (?P<name>(?:[uU]&)?"[^"]*(?:""[^"]*)*"?)
    | (?P<dollar>\$(?:{LETTER}(?:(?!\$){LETTER_OR_DIGIT})*)?\$)
    | (?P<word>{LETTER}{LETTER_OR_DIGIT}*)
    | (?P<number>[0-9][\w.]*|\$[0-9]+)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<end>;)
    | (?P<backslash>\\)
    | (?P<other>[^\s\w'"$;()\[\]\\/-]+|.)
    """,
    re.VERBOSE,
)
_ESCAPE_STRING = re.compile(r"[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'?", re.DOTALL)
_SPACING = re.compile(
    rf"""
      (?P<kept>--[^\n]* | /\*.*?\*/ | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | (?P<tag>\$(?:{LETTER}(?:(?!\$){LETTER_OR_DIGIT})*)?\$).*?(?P=tag))
    | \s+
    """,
    re.VERBOSE | re.DOTALL,
)
_LEADING = 8  # so many words of a statement are kept, and its last
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_END_OF_DATA = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)


class Source:
    """A text with its file name, for places."""

    def __init__(self, text: str, file: str, first_line: int) -> None:
        self.text = text
        self.file = file
        self.first_line = first_line
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._line_starts, offset) - 1
        return self.first_line + line, offset - self._line_starts[line] + 1

    def place(self, offset: int) -> Place:
        line, column = self.position(offset)
        start = offset - column + 1
        end = self.text.find("\n", offset)
        return Place(self.file, line, column, self.text[start : end if end >= 0 else None].rstrip("\r"))


def pieces(source: Source, reads_stdin: Callable[[str], bool]) -> Iterator[tuple[int, int, str | None]]:
    """(start, end, COPY data or None) of each statement; ``reads_stdin`` tells of a COPY whether data follow.

    Raises SqlSyntaxError where a string or comment is not closed, or a psql backslash command stands.
    """
    text = source.text
    at, start = 0, -1  # the offset of the statement's first token, -1 between statements
    nesting = _Nesting()
    while at < len(text):
        kind, after = _token(source, at)
        if kind == "end" and not nesting.is_open:
            if start >= 0:
                data = None
                if nesting.words[:1] == ["copy"] and reads_stdin(text[start:at]):
                    data, after = _copy_data(source, after)
                yield start, at, data
            start, nesting = -1, _Nesting()
        elif kind:
            if start < 0:
                start = at
            if kind in ("word", "open", "close"):
                nesting.take(kind, text[at:after])
        at = after
    if start >= 0:
        yield start, len(text), None


def with_single_blanks(text: str) -> str:
    """The text with one blank wherever there is space, but in strings, quoted names, bodies and comments.

    >>> with_single_blanks("SELECT  1,\\n  'a  b'")
    "SELECT 1, 'a  b'"
    """
    return _SPACING.sub(lambda found: found.group() if found["kept"] else " ", text)


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


def _token(source: Source, at: int) -> tuple[str, int]:
    """The kind of the token at the offset ("" for blanks and comments), and where it ends."""
    text = source.text
    escape = _ESCAPE_STRING.match(text, at) if text[at] in "eE" else None
    token = escape or _TOKEN.match(text, at)
    assert token is not None, "a token may be any character"
    kind = "string" if escape else token.lastgroup or ""
    match kind:
        case "space" | "comment":
            return "", token.end()
        case "block":
            return "", _end_of_comment(source, at)
        case "string" if not _is_closed(token.group(), "'"):
            raise SqlSyntaxError("unterminated string", place=source.place(at), fix="close it with a '")
        case "name" if not _is_closed(token.group(), '"'):
            raise SqlSyntaxError("unterminated quoted name", place=source.place(at), fix='close it with a "')
        case "dollar":
            return kind, _end_of_dollar(source, at, token.group())
        case "backslash":
            raise SqlSyntaxError(
                "a psql backslash command is not SQL",
                place=source.place(at),
                fix="remove it, or write what it does as SQL; pgslate does not run psql",
            )
    return kind, token.end()


def _end_of_dollar(source: Source, at: int, tag: str) -> int:
    close = source.text.find(tag, at + len(tag))
    if close < 0:
        raise SqlSyntaxError(
            f"unterminated dollar-quoted string {tag}", place=source.place(at), fix=f"close it with {tag}"
        )
    return close + len(tag)


def _is_closed(token: str, quote: str) -> bool:
    body = token[token.index(quote) + 1 :]
    return (body.endswith(quote) and (len(body) - len(body.rstrip(quote))) % 2 == 1) or _escape_closed(token)


def _escape_closed(token: str) -> bool:
    return token[:1] in "eE" and re.fullmatch(r"[eE]'(?:[^'\\]|''|\\.)*'", token, re.DOTALL) is not None


def _end_of_comment(source: Source, at: int) -> int:
    nesting = 0
    for edge in _BLOCK_EDGE.finditer(source.text, at):
        nesting += 1 if edge.group() == "/*" else -1
        if nesting == 0:
            return edge.end()
    raise SqlSyntaxError("unterminated comment", place=source.place(at), fix="close it with */")


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
