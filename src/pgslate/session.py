"""The state of a session between two files: as a new connection has it."""

from __future__ import annotations

RESET = (
    "RESET ALL; SET SESSION AUTHORIZATION DEFAULT; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; "
    "DISCARD SEQUENCES"
)
"""Statements that may be run inside a transaction and leave nothing of what a file set for the next.

DISCARD ALL does the same, but not inside a transaction. ``RESET ROLE`` is part of the session authorization.
"""
