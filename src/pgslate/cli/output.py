"""What a verb prints: its result on stdout; progress and notes on stderr, live where that is a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pgslate.cli.options import Asked
from pgslate.cli.streams import is_terminal, write

if TYPE_CHECKING:
    from pgslate.execution.progress import Progress

_SPEAK_EVERY = 5.0
"""Seconds between two lines that say how far something is, where nobody asked for each."""

Advance = Callable[[int, int, str], None]
"""Called before each step with the number of steps done, the number of all, and the next step."""


class Output:
    """Where one run of a verb prints, and how; ``clock`` is what it waits by, in seconds."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self, asked: Asked) -> None:
        self.as_json = asked.output == "json"
        self.verbose = asked.verbose

    def result(self, text: Callable[[], str], document: Callable[[], Any]) -> None:
        """Print the verb's result; only the one that is asked for is made."""
        if self.as_json:
            self.print(json.dumps(document(), indent=2, ensure_ascii=False))
        else:
            self.print(text())

    def print(self, text: str) -> None:
        """Print ``text`` and a line end on stdout."""
        write(sys.stdout, text.rstrip("\n") + "\n" if text else "")

    def note(self, text: str) -> None:
        """Say on stderr what only somebody who asks with --verbose wants to know."""
        if self.verbose:
            self.say(text)

    def say(self, text: str) -> None:
        """Say on stderr what everybody wants to know."""
        write(sys.stderr, text + "\n")

    @contextmanager
    def progress(self, doing: str, things: str = "migrations") -> Iterator[Advance]:
        """Show how something goes on that may take seconds; nothing is left of it on a terminal."""
        if is_terminal(sys.stderr):
            from pgslate.report.live_progress import bar_of

            with bar_of(doing) as advance:
                yield advance
        else:
            yield self._lines(doing, things)

    @contextmanager
    def applying(self) -> Iterator[Progress]:
        """Show how migrations are applied: a bar on a terminal, a line for each in a pipe."""
        from pgslate.report.live_progress import Bar, Lines

        if is_terminal(sys.stderr):
            with Bar() as bar:
                yield bar
        else:
            yield Lines(self.say)

    def _lines(self, doing: str, things: str) -> Advance:
        spoke: float | None = None

        def advance(done: int, total: int, what: str) -> None:
            nonlocal spoke
            now = self.clock()
            if spoke is None and not self.verbose:
                self.say(f"{doing} {total} {things if total != 1 else things.removesuffix('s')}")
            elif self.verbose or (spoke is not None and now - spoke > _SPEAK_EVERY):
                self.say(f"{doing} {done + 1}/{total} {what}")
            else:
                return
            spoke = now

        return advance
