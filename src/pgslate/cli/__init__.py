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

import signal
import sys
from collections.abc import Sequence
from types import FrameType

__all__ = ["main"]

INTERRUPTED = 130


def main(args: Sequence[str] | None = None) -> int:
    """Run a command line (without the program's name; default: this process's); returns its exit status."""
    import click

    from pgslate.cli import failure
    from pgslate.cli.commands import root

    given = list(sys.argv[1:] if args is None else args)
    signal.signal(signal.SIGTERM, _interrupt)  # a Job that is deleted cleans up as one that is interrupted
    try:
        status = root.main(given, prog_name="pgslate", standalone_mode=False)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except (KeyboardInterrupt, click.Abort):
        sys.stderr.write(
            "interrupted; what was not committed is gone, and running again goes on from there\n"
        )
        return INTERRUPTED
    except Exception as error:
        return failure.told(error, given)
    return status if isinstance(status, int) else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
