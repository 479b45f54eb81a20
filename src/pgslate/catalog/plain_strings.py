"""Plain strings after ``SET standard_conforming_strings = off``, in which a backslash escapes.

psql reads such a file with the setting, so pgslate does: it writes the prefix E before these strings, which
gives them the same meaning under either setting.
"""

from __future__ import annotations

import re

from pgslate.catalog.tokens import LETTER_OR_DIGIT, Source, words_of
from pgslate.errors import SqlSyntaxError

_SETTING = "standard_conforming_strings"
_OFF = ("off", "false", "no", "0", "of", "f", "n")
_COMMENT_OR_SPACE = re.compile(r"--[^\n]*|\s+")
_SET_CONFIG = re.compile(
    rf"set_config\s*\(\s*'{_SETTING}'\s*,\s*'(?P<value>\w+)'\s*,\s*'?(?P<local>\w+)'?\s*\)", re.IGNORECASE
)


class PlainStrings:
    """How plain strings are read: with ``escape``, a backslash in them escapes what follows it.

    That is what ``standard_conforming_strings = off`` asks for. psql reads a text statement by statement, so
    the setting holds from the statement after the one that makes it.
    """

    def __init__(self, text: str) -> None:
        self.escape = False
        self._text = text
        self._matters = _SETTING in text.lower()
        self._session = False
        self._prefixed: list[int] = []  # the offsets of plain strings that need the prefix E
        self._chain = (-1, -1)  # where a string and what continues it began, and where it ended

    def take(self, source: Source, kind: str, at: int, after: int) -> None:
        """Look at a token of the statement that is being read."""
        if not self.escape or kind != "string":
            return
        begin, end = self._chain
        gap = self._text[end:at]
        continues = end >= 0 and "\n" in gap and not _COMMENT_OR_SPACE.sub("", gap)
        begin = begin if continues else at
        self._chain = (begin, after)
        if "\\" not in self._text[at:after] or begin in self._prefixed:
            return
        if self._text[begin] == "'":
            self._prefixed.append(begin)
        elif self._text[begin] in "nN":
            raise SqlSyntaxError(
                "a backslash in a string N'...', with standard_conforming_strings off",
                place=source.place(at),
                fix="write it as E'...'",
            )

    def statement(self, start: int, end: int) -> str:
        """The text of the statement that ends here; the setting is then as the statement leaves it."""
        whole = self._text[start:end]
        for at in reversed(self._prefixed):
            space = " " if at > start and re.match(LETTER_OR_DIGIT, self._text[at - 1]) else ""
            whole = f"{whole[: at - start]}{space}E{whole[at - start :]}"
        self._prefixed, self._chain = [], (-1, -1)
        if self._matters:
            self._follow(whole)
        return whole.rstrip()

    def _follow(self, statement: str) -> None:
        words = [word.strip("'\"").lower() for word in words_of(statement)]
        if words[:1] == ["set"] and words[1:2] in (["session"], ["local"]):
            local = words.pop(1) == "local"
        else:
            local = False
        if words[:2] == ["set", _SETTING]:
            self.escape = words[-1] in _OFF
            self._session = self._session if local else self.escape
        elif words[:2] in (["reset", _SETTING], ["reset", "all"], ["discard", "all"]):
            self.escape = self._session = False
        elif words[:1] in (["commit"], ["end"]):
            self.escape = self._session
        elif called := _SET_CONFIG.search(statement):
            self.escape = called["value"].lower() in _OFF
            self._session = self.escape if called["local"].lower().startswith("f") else self._session
