"""The contents of a template, and their key: templates with equal keys are equal."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from pgslate.clones.connections import Note
from pgslate.clones.server_facts import ServerFacts
from pgslate.dump.kept_snapshot import definitions_of
from pgslate.errors import ProofError, TargetError
from pgslate.partitions.policy import PartitionPolicy, Window
from pgslate.plain_text import silent
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
"""Part of every key. Increase it when templates are made in another way, so that older ones are not used."""


@dataclass(frozen=True)
class Contents:
    """The contents of a template: a slice, made from ``script`` (the objects form) or from its statements.

    Attributes:
        policies: the partition policies of tables that the slice requires.
        named: partitions that were asked for by name, by table.
        as_of: the moment that partitions are counted from; None for the server's clock.
    """

    slice: Slice
    prelude: tuple[PreludeFile, ...] = ()
    script: str | None = field(default=None, repr=False)
    policies: tuple[PartitionPolicy, ...] = ()
    named: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    as_of: datetime | None = None

    @property
    def label(self) -> str:
        """The tables in words: ``audit_events, workflows``."""
        return ", ".join(self.slice.tables) or "every table"

    @property
    def form(self) -> str:
        """``objects`` or ``statements``."""
        return "statements" if self.script is None else "objects"

    @cached_property
    def required(self) -> list[Name]:
        """The names of the required objects."""
        units = self.slice.trace.units
        return [(units[unit].kind, units[unit].name) for unit in self.slice.required]

    def windows(self, now: datetime) -> list[tuple[str, Window]]:
        """The partitions, as table and window, that the policies require at ``as_of``, or else at ``now``."""
        moment = self.as_of or now
        return [(policy.table, window) for policy in self.policies for window in policy.windows(moment)]

    def key(self, facts: ServerFacts) -> str:
        """64 hexadecimal digits over everything that determines the template on this server, now."""
        extensions = sorted(name for kind, name in self.required if kind == "extension")
        parts = {
            "template": TEMPLATE_VERSION,
            "prelude": [file.text for file in self.prelude],
            "objects": self.script,
            "statements": self._statements() if self.script is None else None,
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
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def _statements(self) -> list[str]:
        """What stands for each statement that is replayed, in order."""
        found = []
        for index in sorted(self.slice.effects):
            effect = self.slice.trace.effects[index]
            file = self.slice.catalog.migrations[effect.migration]
            found.append(effect.digest or f"{file.checksum} {effect.statement}")
        return found


def slice_for(project: Project, selection: Selection, server: Target) -> Slice:
    """The slice for a selection: in the objects form, or in the statements form without a pg_dump.

    The catalog is traced if that hasn't been done, on ``server`` if no server that is installed here can run
    it; of several processes, one does it. Raises what ``Project.slice`` raises.
    """
    with _one_at_a_time(project.catalog):
        _trace(project, server)
        try:
            return project.slice_for(selection, form="objects")
        except (TargetError, ProofError):  # no pg_dump is installed here; or this form can't be had
            return project.slice_for(selection, form="statements")


def contents_of(
    slice_: Slice, facts: ServerFacts, *, as_of: datetime | None = None, note: Note = silent
) -> Contents:
    """The contents of a template for the slice: the objects form, or the statements form without a pg_dump.

    ``facts`` are those of the server that the template is for; partitions are counted from ``as_of``, or from
    the server's clock. ``note`` receives the reason why the objects form can't be had. Raises what
    ``slice_for`` raises.
    """
    with _one_at_a_time(slice_.catalog):
        script = None
        try:
            chosen = in_form(slice_, "objects")
            script = definitions_of(chosen, prelude=chosen.prelude, major=facts.major)
        except (TargetError, ProofError) as error:
            note(f"templates are made in the statements form: {error.message}")
            chosen = in_form(slice_, "statements")
    return Contents(chosen, chosen.prelude, script, chosen.policies, chosen.partitions, as_of)


def as_statements(contents: Contents) -> Contents:
    """The same contents in the statements form, for a server that refuses the script of the objects form."""
    return replace(contents, slice=in_form(contents.slice, "statements"), script=None)


def _trace(project: Project, server: Target) -> None:
    try:
        project.trace  # noqa: B018  the property traces
    except TargetError:  # no server that is installed here can run the catalog: try the one at hand
        with scratch_database(server) as scratch:
            project.trace_in(scratch)


@contextmanager
def _one_at_a_time(catalog: Catalog) -> Iterator[None]:
    """Let one process of this machine trace a catalog, while others wait and then find it in the cache.

    If there is no folder to cache in, each process traces for itself.
    """
    from pgslate.targets.embedded.folders import cache_folder

    folder = cache_folder() / "locks"
    with ExitStack() as held:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context((folder / f"trace-{catalog.checksum[:16]}").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
