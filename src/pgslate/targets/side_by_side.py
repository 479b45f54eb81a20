"""Several targets at once: bounded, one line of progress each, one summary. Knows nothing of Kubernetes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from pgslate.errors import PgslateError

T = TypeVar("T")

#: Called with a target's name and what is happening to it, from any thread, one call at a time.
Progress = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What came of one target: a result, or an error; ``seconds`` it took."""

    name: str
    seconds: float
    result: T | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        """Whether it worked."""
        return self.error is None


def run_many(
    work: Mapping[str, Callable[[Callable[[str], None]], T]],
    *,
    at_once: int = 8,
    progress: Progress = lambda name, line: None,
    interrupted: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Outcome[T], ...]:
    """Run each piece of work, at most ``at_once`` at a time; the outcomes are in the order of ``work``.

    Each piece is called with a function that takes a line on how it goes. One that raises doesn't stop the
    others. A KeyboardInterrupt starts no more pieces, calls ``interrupted``, which may tell those under way
    to end, waits for them, and goes on up.
    """
    lock = threading.Lock()

    def tell(name: str, line: str) -> None:
        with lock:
            progress(name, line)

    def one(name: str) -> Outcome[T]:
        start = clock()
        tell(name, "started")
        try:
            result = work[name](lambda line: tell(name, line))
        except Exception as error:  # whatever it is, it is this piece's outcome
            outcome: Outcome[T] = Outcome(name, clock() - start, error=error)
            tell(name, f"failed: {_first_line(error)}")
        else:
            outcome = Outcome(name, clock() - start, result=result)
            tell(name, f"done in {outcome.seconds:.1f} s")
        return outcome

    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(work) or 1))) as pool:
        futures = [pool.submit(one, name) for name in work]
        try:
            return tuple(future.result() for future in futures)
        except BaseException:
            for future in futures:
                future.cancel()
            interrupted()
            raise


def summary(outcomes: Sequence[Outcome[T]]) -> str:
    """One line on all, and one for each that failed.

    >>> print(summary([Outcome("a", 0.5, result=1), Outcome("b", 1.0, error=ValueError("no"))]))
    1 of 2 targets done, 1 failed
      b: no
    """
    failed = [outcome for outcome in outcomes if not outcome.ok]
    lines = [f"{len(outcomes) - len(failed)} of {len(outcomes)} targets done"]
    if failed:
        lines[0] += f", {len(failed)} failed"
        lines += [f"  {outcome.name}: {_first_line(outcome.error)}" for outcome in failed]
    return "\n".join(lines)


def exit_status(outcomes: Sequence[Outcome[T]]) -> int:
    """0 where all worked; else the status of the first that failed, 1 where its error has none."""
    for outcome in outcomes:
        if isinstance(outcome.error, PgslateError):
            return outcome.error.exit_status
        if outcome.error:
            return 1
    return 0


def _first_line(error: Exception | None) -> str:
    message = error.message if isinstance(error, PgslateError) else str(error)
    return (message.splitlines() or [type(error).__name__])[0]
