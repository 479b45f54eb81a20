"""``reap``: drop what tests that ended left behind on a server."""

from __future__ import annotations

from pgslate.clones.reaper import UNUSED_FOR, ReapResult, reap_in
from pgslate.clones.registry import Registry
from pgslate.targets.target import Target


def reap(
    server: Target, *, unused_for: float = UNUSED_FOR, kept: bool = False, force: bool = False
) -> ReapResult:
    """Drop databases whose runner is gone, and templates that nobody uses.

    Only databases that pgslate has named and the role owns, and none that somebody is connected to.

    Args:
        server: Any database of the server.
        unused_for: Seconds without use after which a template is dropped.
        kept: Drop the databases of failed tests, too.
        force: Drop clones before their lease is over, and those with sessions, unless their runner lives.

    Raises:
        LockTimeoutError: Another process has been reaping for a minute.
        TargetError: The server can't be reached.
    """
    registry = Registry(server, application="pgslate reap")
    try:
        return reap_in(registry, unused_for=unused_for, kept=kept, force=force)
    finally:
        registry.close()
