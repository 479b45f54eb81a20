"""A verb on several targets side by side: a line on each as it goes, one summary, one exit status."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pgslate.cli import failure
from pgslate.cli.options import Asked
from pgslate.cli.output import Output
from pgslate.cli.streams import is_terminal
from pgslate.errors import InterruptedRunError, PgslateError, VerificationError, without_passwords
from pgslate.report import verify as report
from pgslate.report.live_progress import Lines
from pgslate.targets.kubernetes import Outcome, exit_status, run_many, summary

if TYPE_CHECKING:
    from pgslate.execution.progress import Progress


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb says of one target, to people and to programs."""

    text: str
    document: dict[str, Any]


Work = Callable[[Asked, Output], Answer]
"""A verb on one target; a VerificationError is its way to answer no."""


def on_each(parts: Sequence[Asked], asked: Asked, output: Output, work: Work) -> int:
    """Do the ``work`` for each of the ``parts``, at most ``asked.at_once`` at a time; print how all went.

    One that fails stops no other. Returns 0, or the exit status of the first that failed.
    """

    halted = threading.Event()

    def one(part: Asked, tell: Callable[[str], None]) -> Answer:
        try:
            return work(part, _OutputOfOne(part, tell, halted))
        except Exception as error:
            raise failure.known(error) from error

    with _progress(output, [part.kube[0] for part in parts]) as progress:
        outcomes = run_many(
            {part.kube[0]: partial(one, part) for part in parts},
            at_once=asked.at_once,
            progress=progress,
            interrupted=halted.set,
        )
    for outcome in outcomes:
        if outcome.error and not isinstance(outcome.error, VerificationError):
            output.say(f"{outcome.name}: {failure.text(failure.known(outcome.error))}")
    output.result(lambda: _text(outcomes), lambda: _document(outcomes))
    return exit_status(outcomes)


class _OutputOfOne(Output):
    """The output of one of several: all it says goes to ``tell``, which knows who says it.

    Only the main thread is interrupted; the others find out here: by the clock, or when they say something.
    """

    def __init__(self, asked: Asked, tell: Callable[[str], None], halted: threading.Event) -> None:
        super().__init__(asked)
        self.verbose = True
        self._tell, self._halted = tell, halted
        self.clock = self._time

    def say(self, text: str) -> None:
        self._go_on()
        self._tell(text)

    def _time(self) -> float:
        self._go_on()
        return time.monotonic()

    def _go_on(self) -> None:
        if self._halted.is_set():
            raise InterruptedRunError("interrupted", fix="run again, which goes on from there", applied=())

    @contextmanager
    def applying(self) -> Iterator[Progress]:
        yield Lines(self.say)


@contextmanager
def _progress(output: Output, names: Sequence[str]) -> Iterator[Callable[[str, str], None]]:
    """A line for each on a terminal, which changes; in a pipe one when it ends, or with --verbose all."""
    if is_terminal(sys.stderr) and not output.verbose:
        from pgslate.report.live_progress import board_of

        with board_of(names) as tell:
            yield lambda name, line: tell(name, without_passwords(line))
        return

    def say(name: str, line: str) -> None:
        if output.verbose or line.startswith(("done in ", "failed: ")):
            output.say(without_passwords(f"{name}: {line}"))

    yield say


def _text(outcomes: Sequence[Outcome[Answer]]) -> str:
    lines = []
    for outcome in outcomes:
        if outcome.result is not None:
            lines.append(outcome.result.text)
        elif isinstance(outcome.error, VerificationError):
            lines.append(f"{outcome.name}: {outcome.error.message.splitlines()[0]}")
            lines += report.differences(outcome.error.differences)
    return "\n".join([*lines, without_passwords(summary(outcomes))])


def _document(outcomes: Sequence[Outcome[Answer]]) -> dict[str, Any]:
    return {
        "ok": all(outcome.ok for outcome in outcomes),
        "targets": [
            {"target": outcome.name, "ok": outcome.ok, "seconds": round(outcome.seconds, 3), **_what(outcome)}
            for outcome in outcomes
        ],
    }


def _what(outcome: Outcome[Answer]) -> Mapping[str, Any]:
    if outcome.result is not None:
        return outcome.result.document
    found: dict[str, Any] = {}
    if isinstance(outcome.error, PgslateError):
        found = failure.document(outcome.error)
    if isinstance(outcome.error, VerificationError):
        found["differences"] = [difference.as_json() for difference in outcome.error.differences]
    return found
