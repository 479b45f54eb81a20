"""The tokens of SQL as PostgreSQL's lexer finds them: strings, names, comments, words.

Source: PostgreSQL manual, "Lexical Structure", and ``psqlscan.l``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from pgslate.errors import Place, SqlSyntaxError

LETTER = r"[^\x00-@\[-\^`{-\x7f]"
"""A letter, an underscore, or anything beyond ASCII; written as the characters that it is not, for speed."""

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
_PLAIN_STRING = re.compile(r"[nN]?'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'?", re.DOTALL)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_COMMAND = re.compile(r"\\(\w*)")
_INSTEAD = {
    **dict.fromkeys(
        ("c", "connect"),
        "remove it: a migration runs in the database that it is applied to (pg_dump writes this line only"
        " with --create)",
    ),
    **dict.fromkeys(("i", "ir", "include", "include_relative"), "put the SQL of that file in its place"),
    "copy": "write COPY ... FROM stdin, and below it the data and a line that holds only \\.",
}
"""How to do without the psql commands that stand in migrations most often."""


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


def words_of(text: str) -> list[str]:
    """The tokens of one statement outside parentheses: words in lower case, the rest as it is written.

    Everything in a pair of parentheses is one token, its words with single blanks between.

    >>> words_of('CREATE TABLE "A b".c (id int) -- why')
    ['create', 'table', '"A b"', '.', 'c', '(id int)']
    """
    found: list[str] = []
    inside: list[str] = []
    depth = 0
    for kind, text_of_token in tokens_of(text):
        word = text_of_token.lower() if kind == "word" else text_of_token
        depth += (kind == "open") - (kind == "close")
        if depth > 0 or (inside and kind == "close"):
            inside.append(word)
            if depth == 0:
                found.append("(" + " ".join(inside[1:-1]) + ")")
                inside = []
        else:
            found.append(word)
    return [*found, *inside]


def tokens_of(text: str) -> Iterator[tuple[str, str]]:
    """The kind and the text of each token, without blanks and comments."""
    source = Source(text, "", 1)
    at = 0
    while at < len(text):
        kind, after = token(source, at)
        if kind:
            yield kind, text[at:after]
        at = after


def with_single_blanks(text: str) -> str:
    """The text with one blank wherever there is space, but in strings, quoted names, bodies and comments.

    >>> with_single_blanks("SELECT  1,\\n  'a  b'")
    "SELECT 1, 'a  b'"
    """
    return _SPACING.sub(lambda found: found.group() if found["kept"] else " ", text)


def token(source: Source, at: int, *, escapes: bool = False) -> tuple[str, int]:
    """The kind of the token at the offset ("" for blanks and comments), and where it ends.

    With ``escapes``, a backslash escapes in plain strings, too.
    """
    text = source.text
    escape = _ESCAPE_STRING.match(text, at) if text[at] in "eE" else None
    if escapes and text[at] in "'nN":
        escape = _PLAIN_STRING.match(text, at)
    found = escape or _TOKEN.match(text, at)
    assert found is not None, "a token may be any character"
    kind = "string" if escape else found.lastgroup or ""
    match kind:
        case "space" | "comment":
            return "", found.end()
        case "block":
            return "", _end_of_comment(source, at)
        case "string" if not (_escape_closed if escape else _is_closed)(found.group()):
            raise SqlSyntaxError("unterminated string", place=source.place(at), fix="close it with a '")
        case "name" if not _is_closed(found.group()):
            raise SqlSyntaxError("unterminated quoted name", place=source.place(at), fix='close it with a "')
        case "dollar":
            return kind, _end_of_dollar(source, at, found.group())
        case "backslash":
            command = _COMMAND.match(text, at)
            raise SqlSyntaxError(
                "a psql backslash command is not SQL",
                place=source.place(at),
                fix=_INSTEAD.get(
                    command[1] if command else "",
                    "remove it, or write what it does as SQL; pgslate does not run psql",
                ),
            )
    return kind, found.end()


def _end_of_dollar(source: Source, at: int, tag: str) -> int:
    close = source.text.find(tag, at + len(tag))
    if close < 0:
        raise SqlSyntaxError(
            f"unterminated dollar-quoted string {tag}", place=source.place(at), fix=f"close it with {tag}"
        )
    return close + len(tag)


def _is_closed(token: str) -> bool:
    """Whether a string or quoted name in which quotes are doubled has its end."""
    quote = token[-1]
    body = token[token.find(quote) + 1 :] if quote in "'\"" else ""
    return body.endswith(quote) and (len(body) - len(body.rstrip(quote))) % 2 == 1


def _escape_closed(token: str) -> bool:
    return re.fullmatch(r"[eEnN]?'(?:[^'\\]|''|\\.)*'", token, re.DOTALL) is not None


def _end_of_comment(source: Source, at: int) -> int:
    nesting = 0
    for edge in _BLOCK_EDGE.finditer(source.text, at):
        nesting += 1 if edge.group() == "/*" else -1
        if nesting == 0:
            return edge.end()
    raise SqlSyntaxError("unterminated comment", place=source.place(at), fix="close it with */")
