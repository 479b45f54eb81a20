"""The state of a session between two files: as a new connection has it.

DISCARD ALL would do the same, but not inside a transaction.
"""

from __future__ import annotations

RESET_BUT_PREPARED = (
    "RESET ALL; SET SESSION AUTHORIZATION DEFAULT; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES"
)
"""Resets all but prepared statements, for a session whose driver has some of its own."""

RESET = f"{RESET_BUT_PREPARED}; DEALLOCATE ALL"
"""Statements that may be run inside a transaction and leave nothing of what a file set for the next."""
