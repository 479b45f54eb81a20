"""``reap``: drop what tests that ended left behind on a server."""

from __future__ import annotations

from pgslate.clones.reaper import UNUSED_FOR, ReapResult, reap_in
from pgslate.clones.registry import Registry
from pgslate.errors import UsageError
from pgslate.targets.target import Target
from pgslate.testing.kept import forget


def reap(
    server: Target | None = None,
    *,
    unused_for: float = UNUSED_FOR,
    kept: bool = False,
    force: bool = False,
) -> ReapResult:
    """Drop databases whose runner is gone, and templates that nobody uses.

    Only databases that pgslate has named and the role owns, and none that somebody is connected to.

    Args:
        server: Any database of the server. Without one, and with ``kept``: the databases of failed tests
            whose embedded server has ended, and whose data is on this machine.
        unused_for: Seconds without use after which a template is dropped.
        kept: Drop the databases of failed tests, too.
        force: Drop clones before their lease is over, and those with sessions, unless their runner lives.

    Raises:
        LockTimeoutError: Another process has been reaping for a minute.
        TargetError: The server can't be reached.
        UsageError: Neither a server nor ``kept`` is given.
    """
    if server is None:
        if not kept:
            raise UsageError("reap needs a server", fix="name one, or ask for the kept databases alone")
        return ReapResult(forget())
    registry = Registry(server, application="pgslate reap")
    try:
        done = reap_in(registry, unused_for=unused_for, kept=kept, force=force)
    finally:
        registry.close()
    if kept:
        forget(done.clones)  # the server may be one that `pgslate clone --kept` started
    return done
