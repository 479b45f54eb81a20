"""Other processes that use databases for tests, and that can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parents[2] / "src"


@contextmanager
def runner(program: str, *args: object) -> Iterator[subprocess.Popen[str]]:
    """A Python process that runs ``program`` with JSON arguments in ``args``; killed at the end."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import json, sys\nargs = json.loads(sys.argv[1])\n{program}",
            json.dumps(args),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def says(process: subprocess.Popen[str]) -> Any:
    """The next line that the process prints, which is JSON."""
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


def ask(process: subprocess.Popen[str], *args: object) -> Any:
    """What the process prints when told ``args``, as a line of JSON."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(args) + "\n")
    process.stdin.flush()
    return says(process)


OPEN = """
import os, signal
from pgslate.clones.databases import Databases
from pgslate.project.project import Project
from pgslate.targets.target import Target

def say(what):
    print(json.dumps(what), flush=True)

def opened(dsn, catalog, **how):
    return Databases(Target(dsn), Project.open(catalog), **how)
"""
