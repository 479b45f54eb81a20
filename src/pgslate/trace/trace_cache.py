"""The trace of a catalog: from the user's cache, or made now on a scratch server.

A trace depends on the migrations, the prelude and what tracing observes, and on nothing else; so it is kept
by their hash. With it the server's data directory is kept as the trace left it: a migration added at the end
is then traced on a copy of that, alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.errors import MigrationFailedError, SqlSyntaxError, TargetError
from pgslate.targets.embedded.folders import cache_folder
from pgslate.trace import document
from pgslate.trace.clock import WORDS, is_over
from pgslate.trace.effects import Trace
from pgslate.trace.references import words
from pgslate.trace.scratch_server import SCRATCH, chosen, scratch_server

if TYPE_CHECKING:  # imported when something has to be traced: a plan that finds its trace needs no driver
    from pgslate.targets.embedded.server import Server
    from pgslate.targets.target import Target
    from pgslate.trace.tracer import Progress, Traced

_KEPT = 12
"""Traces and snapshots kept in the cache; the ones longest unused go first."""

_WORTH_KEEPING = 0.7
"""Seconds of tracing from which on the server's data is kept, too: below, tracing anew is as quick."""


def trace_of(
    catalog: Catalog,
    *,
    prelude: Sequence[PreludeFile] = (),
    scratch: Target | None = None,
    progress: Progress | None = None,
) -> Trace:
    """The trace of ``catalog``, made only if the cache doesn't have it.

    ``scratch`` is an empty database to trace in; without it an embedded server is started for that. Raises
    MigrationFailedError where a migration fails, MissingExtensionError and TargetError where no server can
    run them.
    """
    cached, _ = _cached(catalog, prelude, len(catalog))
    if cached is not None:
        return cached
    if scratch is not None:
        from pgslate.trace.tracer import trace

        found = trace(catalog, scratch, prelude=prelude, progress=progress)
        _store(catalog, prelude, found)
        return found.trace
    return _trace_on_embedded(catalog, prelude, progress)


def _trace_on_embedded(catalog: Catalog, prelude: Sequence[PreludeFile], progress: Progress | None) -> Trace:
    from pgslate.trace import saved_state
    from pgslate.trace.tracer import Traced, trace

    for done, earlier, digest in _earlier(catalog, prelude):
        key = key_of(catalog, prelude, done)
        with scratch_server(catalog, prelude, key=key, like=earlier.server) as server:
            its_own = hashlib.sha256(server.note).hexdigest() == digest  # not another run's, nor damaged
            live = saved_state.loads(server.note, earlier.units) if its_own else None
            if live is not None:
                begun = Traced(earlier, live)
                found = trace(catalog, server.target(SCRATCH), earlier=begun, progress=progress)
                _store(catalog, prelude, found, server)
                return found.trace
    return _first_that_accepts(
        chosen(catalog, prelude).major, lambda major: _trace_anew(catalog, prelude, progress, major)
    )


def _trace_anew(
    catalog: Catalog, prelude: Sequence[PreludeFile], progress: Progress | None, major: int
) -> Trace:
    from pgslate.trace.tracer import trace

    with scratch_server(catalog, prelude, major=major) as server:
        server.create_database(SCRATCH, template="template0")
        began = time.monotonic()
        found = trace(catalog, server.target(SCRATCH), prelude=prelude, progress=progress)
        worth = time.monotonic() - began > _WORTH_KEEPING
        _store(catalog, prelude, found, server if worth else None)
    return found.trace


_VERSION_MATTERS = frozenset(
    {"0A000", "22023", "42601", "42703", "42704", "42809", "42883", "42P13", "42P17"}
)
"""The SQLSTATEs of what one version, or one build, of PostgreSQL refuses and another accepts."""


def _first_that_accepts(best: int, attempt: Callable[[int], Trace]) -> Trace:
    """The trace on the best server; or, where that may be refused for its version, on another one.

    Raises the best server's error where none accepts the catalog, and says in it which were asked.
    """
    from pgslate.targets.embedded.installations import installations

    try:
        return attempt(best)
    except (MigrationFailedError, SqlSyntaxError) as error:
        if getattr(error, "sqlstate", "42601") not in _VERSION_MATTERS:
            raise
        first = error
    installed = installations()
    for major in sorted({one.major for one in installed} - {best}, reverse=True):
        with contextlib.suppress(MigrationFailedError, SqlSyntaxError, TargetError):
            return attempt(major)
    first.message += (
        "\nNo installed server runs it: "
        + ", ".join(one.label for one in installed)
        + ". PGSLATE_POSTGRES names another one."
    )
    raise first


# -- the cache


def _earlier(catalog: Catalog, prelude: Sequence[PreludeFile]) -> Iterable[tuple[int, Trace, str]]:
    """The longest traced beginning of the catalog whose server's data is kept, if there is one.

    How many migrations it has, its trace, and the digest of the live objects that are kept with the data.
    """
    for done in range(len(catalog) - 1, max(0, len(catalog) - 50), -1):
        found, digest = _cached(catalog, prelude, done)
        if found is not None and digest:
            yield done, found, digest
            return


def key_of(catalog: Catalog, prelude: Sequence[PreludeFile], done: int) -> str:
    """What the trace of the first ``done`` migrations is kept by."""
    digest = hashlib.sha256(f"{document.VERSION}\0".encode())
    for file in prelude:
        digest.update(f"prelude\0{file.text}\0".encode())
    for name, value in sorted(catalog.settings.items()):
        digest.update(f"setting\0{name}\0{value}\0".encode())
    for migration in catalog.migrations[:done]:
        digest.update(f"{migration.version}\0{migration.checksum}\0".encode())
    return f"trace-{digest.hexdigest()[:32]}"


def _cached(catalog: Catalog, prelude: Sequence[PreludeFile], done: int) -> tuple[Trace | None, str]:
    """The trace of the first ``done`` migrations, and the digest of its live objects where they are kept."""
    path = traces_folder() / f"{key_of(catalog, prelude, done)}.json"
    try:
        found, whole = document.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, ""
    if is_over(found, datetime.now(UTC)):
        return None, ""  # it was made for another day
    is_used(path)
    return found, "".join(map(str, whole.get("live", ())))


def _store(
    catalog: Catalog, prelude: Sequence[PreludeFile], found: Traced, server: Server | None = None
) -> None:
    from pgslate.trace import saved_state

    key = key_of(catalog, prelude, len(catalog))
    kept: dict[str, list[str]] = {}
    if server is not None:
        note = saved_state.dumps(found.live)
        with contextlib.suppress(OSError, TargetError):  # as in ``write_cached``
            server.keep_and_stop(key, note=note)
            kept["live"] = [f'"{hashlib.sha256(note).hexdigest()}"']
    text = document.dumps(found.trace, {m.version: m.file for m in catalog}, kept)
    write_cached(traces_folder() / f"{key}.json", text)
    _forget_oldest(traces_folder())


def day_of(catalog: Catalog, prelude: Sequence[PreludeFile] = ()) -> str:
    """The time to keep something by that is made of the catalog; nothing where the clock doesn't matter.

    Where the catalog's trace isn't in the cache, a catalog that speaks of the clock is kept for a day.
    """
    found, _ = _cached(catalog, prelude, len(catalog))
    if found is not None:
        return found.expires
    speaks = any(not words(migration.source).isdisjoint(WORDS) for migration in catalog)
    return datetime.now(UTC).date().isoformat() if speaks else ""


def write_cached(path: Path, text: str) -> None:
    """Keep a text in the cache, if that can be: it saves time, and nothing is wrong without it."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, delete=False, suffix=".new"
        ) as file:
            file.write(text)
        Path(file.name).replace(path)


def is_used(path: Path) -> None:
    """Say of a file of the cache that it was used, if that can be: it is then not the next to go."""
    with contextlib.suppress(OSError):  # it may only be read, or another process forgot it just now
        os.utime(path)


def oldest(folder: Path, *, kept: int) -> list[Path]:
    """The JSON files of a folder of the cache, but for the ``kept`` that were used last."""
    by_age = []
    for path in folder.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):  # another process forgot it meanwhile
            by_age.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(by_age)[:-kept]]


def _forget_oldest(folder: Path) -> None:
    from pgslate.targets.embedded import data_directory
    from pgslate.targets.embedded.installations import installations

    for path in oldest(folder, kept=_KEPT):
        with contextlib.suppress(OSError):  # it is not ours to remove
            for installation in installations():
                kept = data_directory.kept(installation, path.stem)
                if kept is not None:
                    data_directory.forget(kept)
            path.unlink(missing_ok=True)


def traces_folder() -> Path:
    """The folder of the cache that holds traces and snapshots."""
    return cache_folder() / "traces"
