"""The session between two files: what a file leaves in it ends with the file.

psql runs each file in a session of its own. DISCARD ALL would make a session new, but PostgreSQL refuses it
in a transaction, and this has to be run in one.
"""

from __future__ import annotations

RESET_BUT_PREPARED = (
    "RESET ALL; SET SESSION AUTHORIZATION DEFAULT; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES;"
    " SELECT pg_catalog.pg_advisory_unlock_all()"
)
"""Takes back all but prepared statements, for a session whose driver has some of its own."""

RESET = f"{RESET_BUT_PREPARED}; DEALLOCATE ALL"
"""Takes back settings, roles, cursors, notifications, temporary tables, sequence caches, session-level
advisory locks and prepared statements."""
