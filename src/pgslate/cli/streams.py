"""Writing to stdout and stderr, which may be closed, full, or read by nobody any more."""

from __future__ import annotations

import os
from typing import Any


def write(stream: Any, text: str) -> None:
    """Write at once to a standard stream, or None where it was closed from the start.

    Who reads it (`| head`) may have enough: that is no failure, and what a verb does and its status don't
    depend on it. Raises OSError where the stream can't take it, as on a full disk, and writes no more then.
    """
    if stream is None:
        return
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _to_nowhere(stream)
    except OSError:
        _to_nowhere(stream)
        raise


def is_terminal(stream: Any) -> bool:
    """Whether a standard stream, or None where it was closed from the start, is a terminal."""
    return stream is not None and bool(stream.isatty())


def _to_nowhere(stream: Any) -> None:
    """What is still in the stream's buffer would fail again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
