"""Whole commands as processes, from the shell's call to their end, as a user waits for them.

    python -m bench.commands --write

The catalog is the Data Storage service's, with its lock; an interpreter that does nothing stands beside them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import page

import datastorage

BEGIN, END = "<!-- commands: begin -->", "<!-- commands: end -->"
FOLDER = Path(datastorage.__file__).parent


@dataclass(frozen=True, slots=True)
class Measured:
    """What a command took, in seconds: the median and the least of its runs. ``budget`` is in words."""

    what: str
    median: float
    least: float
    budget: str = ""


class Shell:
    """Calls commands in the service's folder, with a cache of its own."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        # Python may keep what it compiled, as it does where pgslate is installed.
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PYTHONDONTWRITE"))}
        self._environment = {**kept, "PGSLATE_CACHE": str(cache)}

    def call(self, *arguments: str) -> float:
        """Seconds that a call of the interpreter took. Raises CalledProcessError where it failed."""
        began = time.perf_counter()
        subprocess.run(
            (sys.executable, *arguments), cwd=FOLDER, env=self._environment, check=True, capture_output=True
        )
        return time.perf_counter() - began

    def pgslate(self, *arguments: str) -> float:
        """The same for a command of pgslate."""
        return self.call("-m", "pgslate", *arguments)

    def up(self) -> float:
        """Seconds of an ``up`` of the audit slice; the server stays."""
        return self.pgslate("up", "audit_events", "--name", "bench")

    def down(self) -> None:
        """End that server."""
        self.pgslate("down", "--name", "bench")

    def up_and_down(self) -> float:
        """Seconds of an ``up``, where the server is not up."""
        took = self.up()
        self.down()
        return took

    def first_up(self) -> float:
        """Seconds of the first ``up`` of all: nothing is in the cache."""
        shutil.rmtree(self.cache, ignore_errors=True)
        return self.up_and_down()


def measure(runs: int = 9) -> list[Measured]:
    """Each command ``runs`` times, the first ``up`` of all a third as often."""
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(Path(folder) / "cache")
        shell.pgslate("--help")
        found = [
            _measured("`python -c pass`", lambda: shell.call("-c", "pass"), runs),
            _measured("`pgslate --help`", lambda: shell.pgslate("--help"), runs, "0.2 s"),
            _measured("`pgslate plan audit_events`", lambda: shell.pgslate("plan", "audit_events"), runs),
            _measured("`pgslate up audit_events`, first time ever", shell.first_up, runs // 3, "3 s"),
            _measured("the same when warm", shell.up_and_down, runs, "0.6 s"),
        ]
        try:
            shell.up()
            found.append(_measured("the same where it is up already", shell.up, runs))
        finally:
            shell.down()
        return found


def _measured(what: str, call: Callable[[], float], runs: int, budget: str = "") -> Measured:
    took = [call() for _ in range(runs)]
    return Measured(what, statistics.median(took), min(took), budget)


def section(found: Sequence[Measured]) -> str:
    """The Markdown table, between its marks."""
    lines = ["| command | median, s | least, s | budget |", "|---|---|---|---|"]
    lines += [f"| {one.what} | {one.median:.2f} | {one.least:.2f} | {one.budget} |" for one in found]
    head = "## Commands\n\nAs processes, Python's start included (`python -m bench.commands --write`):\n"
    return "\n".join([BEGIN, head, *lines, "", END])


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--write", action="store_true", help="write docs/performance.md's section")
    asked = parser.parse_args()
    found = measure(asked.runs)
    for one in found:
        print(f"{one.what}: {one.median:.2f} s (least {one.least:.2f})  {one.budget}", flush=True)
    if asked.write:
        page.put(section(found))


if __name__ == "__main__":
    main()
