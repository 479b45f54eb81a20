"""Databases for tests, by the names of tables. Fixtures, verbs and the HTTP service all get theirs here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from pgslate.clones.clone import Clone
from pgslate.clones.connections import Note
from pgslate.clones.database_copy import TemplateGoneError
from pgslate.clones.pool import Pool
from pgslate.clones.registry import Registry
from pgslate.clones.server_facts import ServerFacts
from pgslate.clones.template import Template, drop_opened_template, ensure_template
from pgslate.clones.template_contents import Contents, as_statements, contents_of, slice_for
from pgslate.errors import (
    CatalogError,
    MigrationFailedError,
    PgslateError,
    ProofError,
    TargetError,
    UsageError,
)
from pgslate.plain_text import silent
from pgslate.targets.target import Target

if TYPE_CHECKING:
    from pgslate.project.project import Project, Selection
    from pgslate.slices.slice import Slice

_TRIES = 3

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The contents and the template of a selection; ``made`` is the moment that its partitions are for."""

    contents: Contents
    template: Template
    made: datetime


class Databases:
    """Databases for tests on one server, with the tables of one project.

    Args:
        server: any database of the server that the role may connect to.
        project: the project; None if databases are only taken for slices.
        ahead: how many clones of each template are made ahead at most.
        reuse: reset a clone whose test only wrote rows, if the server can prove that, instead of dropping it.
        as_of: the moment that partitions are counted from; None for the server's clock.
        lease: seconds after this process's last sign of life during which nobody else drops its databases.
        timeout: seconds to wait for a server that is full or restarting.
        ephemeral: the server ends with this process, so nothing is dropped at the end.
        threads: many threads take databases at once, and none waits while another's is made.
        note: receives sentences about what takes long or went another way.
        application: the application_name of the sessions.

    Raises PrivilegeError if the role may not make databases; ``schema_per_test`` is for that case.
    """

    def __init__(
        self,
        server: Target,
        project: Project | None,
        *,
        ahead: int = 4,
        reuse: bool = True,
        as_of: datetime | None = None,
        lease: float = 60.0,
        timeout: float = 30.0,
        ephemeral: bool = False,
        threads: bool = False,
        note: Note = silent,
        application: str = "pgslate",
    ) -> None:
        self._project = project
        self.server = server
        self._as_of = as_of
        self._note = note
        self._threads = threads
        self._lock = threading.Lock()
        self._locks: dict[_Key, threading.Lock] = {}  # one for each template
        self._templates: dict[_Key, _Prepared] = {}
        self._failures: dict[_Key, PgslateError] = {}
        self.registry = Registry(
            server, lease=lease, timeout=timeout, ephemeral=ephemeral, note=note, application=application
        )
        try:
            self.registry.facts.require_createdb(server.label)
        except BaseException:
            self.registry.close()
            raise
        self._pool = Pool(self.registry, ahead=ahead, reuse=reuse, threads=threads)

    @property
    def project(self) -> Project:
        """The project. Raises UsageError if there is none."""
        if self._project is None:
            raise UsageError("these databases are of no project", fix="take one with database_for(slice)")
        return self._project

    @property
    def facts(self) -> ServerFacts:
        """The facts of the server."""
        return self.registry.facts

    def database(
        self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = (), purpose: str = ""
    ) -> Clone:
        """A database with everything that the tables need (without names: every table); closing it gives it
        back.

        ``purpose`` tells people who look at the server what it is for. Raises UnknownTableError, UsageError,
        MigrationFailedError, ProofError and TargetError.
        """
        selection = self._selection(tables, contracts, bundles)
        return self._take(_key(selection), partial(self._slice, selection), purpose)

    def database_for(self, slice_: Slice, *, purpose: str = "") -> Clone:
        """A database with everything that a slice needs, in whatever form is fastest; as ``database``."""
        return self._take(_key(slice_), lambda: slice_, purpose)

    def _take(self, key: _Key, slice_: Callable[[], Slice], purpose: str) -> Clone:
        for _ in range(_TRIES):
            prepared = self._prepared(key, slice_)
            try:
                name, now = self._pool.take(prepared.template, purpose)
            except TemplateGoneError:
                drop_opened_template(self.registry, prepared.template)
                self._templates.pop(key, None)
                continue
            clone = self._clone(name, prepared)
            try:
                self._top_up(clone, prepared, now)
            except BaseException:
                clone.close()
                raise
            return clone
        raise TargetError(
            f"the template for {prepared.contents.label} on {self.server.label} is opened by somebody again"
            " and again",
            fix=f"see in pg_stat_activity who connects to {prepared.template.name}",
        )

    def prepare(self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = ()) -> Template:
        """Make the template for the tables unless it exists; otherwise the first ``database`` call does."""
        selection = self._selection(tables, contracts, bundles)
        return self._prepared(_key(selection), partial(self._slice, selection)).template

    def keep(self, clone: Clone, purpose: str, *, at_most: int) -> list[str]:
        """Keep a clone for people to look into. Of all that are kept, drop the oldest beyond ``at_most``.

        Returns the names of those that are dropped.
        """
        self.registry.keep(clone.name, purpose)
        kept = self.registry.clones("kept")
        oldest = kept[: max(0, len(kept) - at_most)]
        for old in oldest:
            self.registry.adopt(old.name)
            self._pool.discard(old.name)
        return [old.name for old in oldest]

    def give_back(self, name: str) -> bool:
        """Drop a clone that was handed over, by any process; return False if there is none of that name."""
        if name not in {one.name for one in self.registry.clones("taken", "kept")}:
            return False
        self.registry.adopt(name)
        self._pool.discard(name)
        return True

    def hand_over(self, clone: Clone, seconds: float, purpose: str = "") -> None:
        """Lease a clone for so many seconds to somebody else: it stays when this process ends."""
        self.registry.hand_over(clone.name, seconds, purpose)

    def close(self) -> None:
        """Drop everything that is still ours, and disconnect; safe to repeat."""
        self._pool.close()
        self.registry.close()

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- templates

    def _selection(
        self, tables: Sequence[str], contracts: Sequence[str], bundles: Sequence[str]
    ) -> Selection:
        with self._lock:  # a project traces its catalog when it is first asked
            return self.project.selection(tables, contracts=contracts, bundles=bundles)

    def _slice(self, selection: Selection) -> Slice:
        return slice_for(self.project, selection, self.server)

    def _prepared(self, key: _Key, slice_: Callable[[], Slice]) -> _Prepared:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key in self._failures:
                raise self._failures[key].with_traceback(None)
            if key not in self._templates:
                try:
                    self._templates[key] = self._prepare(slice_())
                except (CatalogError, MigrationFailedError, ProofError) as error:
                    if not self._threads:  # a service that runs for days tries again
                        self._failures[key] = error  # every test would wait for the same failure
                    raise
            return self._templates[key]

    def _prepare(self, slice_: Slice) -> _Prepared:
        contents = contents_of(slice_, self.registry.facts, as_of=self._as_of, note=self._note)
        made = self.registry.facts.now
        template = ensure_template(self.registry, contents, fallback=lambda: as_statements(contents))
        return _Prepared(contents, template, made)

    # -- one clone

    def _clone(self, name: str, prepared: _Prepared) -> Clone:
        return Clone(
            self.server,
            name,
            tables=prepared.contents.label,
            form=prepared.template.form,
            note=self._note,
            on_close=lambda: self._pool.discard(name),
        )

    def _top_up(self, clone: Clone, prepared: _Prepared, now: datetime) -> None:
        """Make the partitions that have become due since the template was made."""
        contents = prepared.contents
        if contents.windows(now) == contents.windows(prepared.made):
            return
        from pgslate.partitions.ensure import ensure

        with clone.connect(autocommit=True) as connection:
            for policy in contents.policies:
                ensure(connection, policy, as_of=contents.as_of)


def _key(wanted: Selection | Slice) -> _Key:
    return (wanted.tables, tuple(sorted(wanted.partitions.items())))
