"""What a template is to hold, and the key that stands for it: equal keys, equal templates."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pgslate.clones.server_facts import ServerFacts
from pgslate.dump.kept_snapshot import definitions_of
from pgslate.errors import TargetError
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.slices.proved_slice import in_form
from pgslate.slices.slice import Slice
from pgslate.trace.scratch_server import scratch_database

if TYPE_CHECKING:
    from pgslate.catalog.catalog import Catalog
    from pgslate.catalog.prelude import PreludeFile
    from pgslate.project.project import Project, Selection
    from pgslate.schema.model import Name
    from pgslate.targets.target import Target

TEMPLATE_VERSION = 2
"""Changes when templates are made in another way, so that those of an older pgslate are not used."""


@dataclass(frozen=True)
class Contents:
    """What a template holds: a slice, run in the objects form (``script``) or, without one, as statements.

    ``policies`` are those whose table the slice requires; ``named`` are partitions asked for by name, by
    table; ``as_of`` is the moment that the policies count from, None for the server's clock.
    """

    slice: Slice
    prelude: tuple[PreludeFile, ...] = ()
    script: str | None = field(default=None, repr=False)
    policies: tuple[PartitionPolicy, ...] = ()
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_of: datetime | None = None

    @property
    def label(self) -> str:
        """The tables, for people: ``audit_events, workflows``."""
        return ", ".join(self.slice.tables) or "every table"

    @property
    def required(self) -> tuple[Name, ...]:
        """The names of the required objects."""
        return self.slice.required_names

    def windows(self, now: datetime) -> list[tuple[str, Window]]:
        """The stretches of time, by table, that the policies ask for at ``now``, or at ``as_of``."""
        moment = self.as_of or now
        return [(policy.table, window) for policy in self.policies for window in policy.windows(moment)]

    def key(self, facts: ServerFacts) -> str:
        """64 hexadecimal digits over all that makes a template what it is, on this server, now."""
        extensions = sorted(name for kind, name in self.required if kind == "extension")
        told = {
            "template": TEMPLATE_VERSION,
            "prelude": [file.text for file in self.prelude],
            "objects": self.script,
            "statements": self.slice.statement_digests if self.script is None else None,
            "extensions": [(name, facts.extensions.get(name.strip('"'))) for name in extensions],
            "major": facts.major,
            "role": facts.role,
            "locale": facts.locale,
            "encoding": facts.encoding,
            "settings": dict(facts.settings),
            "session": dict(self.slice.catalog.settings),
            "partitions": [(table, str(window)) for table, window in self.windows(facts.now)],
            "named": {table: sorted(names) for table, names in self.named.items()},
            "policies": [repr(policy) for policy in self.policies],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def slice_for(project: Project, selection: Selection, server: Target) -> Slice:
    """The slice for a selection, in the objects form where a pg_dump is installed, else as statements.

    Traces the catalog where nobody has yet, if need be on ``server``; of several processes, one does. Raises
    what ``Project.slice`` raises.
    """
    with _one_at_a_time(project.catalog):
        _trace(project, server)
        try:
            return project.slice_for(selection, form="objects")
        except TargetError:  # no server, or none with a pg_dump, is installed here
            return project.slice_for(selection, form="statements")


def contents_of(slice_: Slice, facts: ServerFacts, *, as_of: datetime | None = None) -> Contents:
    """What a template for the slice holds on a server.

    The objects form where a pg_dump is installed, else the statements form. Raises as ``slice_for`` does.
    """
    with _one_at_a_time(slice_.catalog):
        script = None
        try:
            chosen = in_form(slice_, "objects")
            script = definitions_of(chosen, prelude=chosen.prelude, major=facts.major)
        except TargetError:
            chosen = in_form(slice_, "statements")
    return Contents(chosen, chosen.prelude, script, chosen.policies, chosen.partitions, as_of)


def as_statements(contents: Contents) -> Contents:
    """The same contents in the statements form, for a server that doesn't take the objects form's script."""
    return replace(contents, slice=in_form(contents.slice, "statements"), script=None)


def _trace(project: Project, server: Target) -> None:
    try:
        project.trace  # noqa: B018  the property traces
    except TargetError:  # no server here can run the catalog: the one at hand may
        with scratch_database(server) as scratch:
            project.trace_in(scratch)


@contextmanager
def _one_at_a_time(catalog: Catalog) -> Iterator[None]:
    """One process of this machine traces a catalog; the others then find the trace in the cache.

    Where nothing can be cached, each traces for itself.
    """
    from pgslate.targets.embedded.folders import cache_folder

    folder = cache_folder() / "locks"
    with ExitStack() as held:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((folder / f"trace-{catalog.checksum[:16]}").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
