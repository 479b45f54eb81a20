"""The command line: parse, call the library's function of the same name, print, exit with how it went.

0    as asked
1    the answer is no: verify found differences, a check found something stale
2    usage: the question makes no sense, or the catalog or the configuration can't be read
3    the target can't be reached, or can't be used
4    a migration failed, or may not run
70   pgslate itself failed
130  interrupted
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

__all__ = ["main"]

INTERRUPTED = 130
_COLLECT_AFTER = 20_000
"""New objects between two garbage collections. Python's own 700 costs a short command a sixth of its time:
nothing is found while modules and a lock are loaded."""

_INTERRUPTED = "interrupted; what was not committed is gone, and running again goes on from there\n"


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name; default: this process's); returns its exit status."""
    given = list(sys.argv[1:] if args is None else args)
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt is signal.default_int_handler:
        # An exception out of an import may come as another one, or be lost; and there is nothing to clean up.
        signal.signal(signal.SIGINT, _end_at_once)
    _never_fail_to_print()
    gc.set_threshold(_COLLECT_AFTER)
    import click

    from pgslate.cli import failure
    from pgslate.cli.commands import root

    signal.signal(signal.SIGTERM, _interrupt)  # a Job that is deleted cleans up as one that is interrupted
    try:
        if interrupt is signal.default_int_handler:
            signal.signal(signal.SIGINT, interrupt)
        status = root.main(given, prog_name="pgslate", standalone_mode=False)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except (KeyboardInterrupt, click.Abort):
        if sys.stderr is not None:
            sys.stderr.write(_INTERRUPTED)
        return INTERRUPTED
    except Exception as error:
        return failure.report(error, given)
    return status if isinstance(status, int) else 0


def _never_fail_to_print() -> None:
    """Have each standard stream replace what its encoding hasn't; one that was closed is None."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _end_at_once(number: int, frame: FrameType | None) -> None:
    if sys.stderr is not None:
        sys.stderr.write(_INTERRUPTED)
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
