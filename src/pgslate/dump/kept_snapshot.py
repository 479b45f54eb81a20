"""The final DDL of a catalog: from the user's cache, or taken now from a scratch server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile
from pgslate.trace.scratch_server import scratch_server
from pgslate.trace.trace_cache import day_of, is_used, key_of, traces_folder, write_cached

if TYPE_CHECKING:
    from pgslate.dump.definitions import Snapshot
    from pgslate.slices.slice import Slice


def snapshot_of(
    catalog: Catalog, *, prelude: Sequence[PreludeFile] = (), major: int | None = None
) -> Snapshot:
    """The final DDL of ``catalog``, for the objects form: from the cache, or from a scratch server.

    ``major`` is the version of the server that it is meant for: a scratch server of that version writes it,
    if one is installed that has the extensions, and else the newest. Raises as ``trace_of`` does.
    """
    from pgslate.dump.definitions import VERSION, Snapshot
    from pgslate.dump.outcome import take
    from pgslate.targets.embedded.installations import installations

    major = major if any(major == one.major for one in installations()) else None
    kind = f"snapshot-{VERSION}-{major or 0}"
    key = key_of(catalog, prelude, len(catalog)).replace("trace", kind)
    day = "".join(filter(str.isalnum, day_of(catalog, prelude)))  # what the clock made is of its day
    path = traces_folder() / f"{key}{day and '-' + day}.json"
    try:
        kept = Snapshot.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        pass
    else:
        is_used(path)
        return kept
    with scratch_server(catalog, prelude, like=major) as server:
        found = take(server, catalog, prelude)
    write_cached(path, found.dumps())
    return found


def definitions_of(slice_: Slice, *, prelude: Sequence[PreludeFile] = (), major: int | None = None) -> str:
    """The final DDL of a slice in the objects form, as one script. Raises as ``snapshot_of`` does."""
    from pgslate.dump.definitions import script_of

    return script_of(slice_, snapshot_of(slice_.catalog, prelude=prelude, major=major))
