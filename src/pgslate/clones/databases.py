"""Databases for tests, by the names of tables: the one thing that fixtures, verbs and the server hand out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from pgslate.clones.connections import Note, silent
from pgslate.clones.contents import Contents, as_statements, contents_of, slice_for
from pgslate.clones.database_copy import Clone
from pgslate.clones.new_clone import TemplateGoneError
from pgslate.clones.pool import Pool
from pgslate.clones.registry import Book
from pgslate.clones.server_facts import ServerFacts
from pgslate.clones.template import Template, ensure_template, reseal
from pgslate.errors import TargetError, UsageError
from pgslate.targets.target import Target

if TYPE_CHECKING:
    from pgslate.project.project import Project, Selection
    from pgslate.slices.slice import Slice

_TRIES = 3

_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What was found out about a selection, once for each session; ``made`` is the moment of its template."""

    contents: Contents
    template: Template
    made: datetime


class Databases:
    """Databases of their own for tests, on one server, with the tables of one project.

    ``server`` is any database of the server that the role may connect to; ``project`` is None where only
    slices are asked for. ``ahead`` bounds how many clones
    are made ahead of each template. ``reuse``: one that its test only wrote rows to is put back rather than
    dropped, where the server can prove it. ``as_of`` is the moment from which partitions are counted, None
    for the server's clock. ``lease``: for how many seconds after this process's last sign of life nobody else
    drops its databases. ``ephemeral``: the server ends with us, so nothing is dropped at the end.
    ``threads``: many threads ask at once, and one must not wait while another's is made. ``note`` is told
    what takes time.

    Raises PrivilegeError where the role may not make databases; ``clones.schema_per_test`` is for that case.
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
        self._lock = threading.Lock()
        self._locks: dict[_Key, threading.Lock] = {}  # one for each template
        self._templates: dict[_Key, _Known] = {}
        self.book = Book(
            server, lease=lease, timeout=timeout, ephemeral=ephemeral, note=note, application=application
        )
        try:
            self.book.facts.require_createdb(server.label)
        except BaseException:
            self.book.close()
            raise
        self._pool = Pool(self.book, ahead=ahead, reuse=reuse, threads=threads)

    @property
    def project(self) -> Project:
        """The project whose tables are asked for. Raises UsageError where there is none."""
        if self._project is None:
            raise UsageError("these databases are of no project", fix="ask for one with database_for(slice)")
        return self._project

    @property
    def facts(self) -> ServerFacts:
        """What is known of the server."""
        return self.book.facts

    def database(
        self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = (), what: str = ""
    ) -> Clone:
        """A database of its own with what the tables need (none: every table); closing it gives it back.

        ``what`` says what it is for, to people who look at the server. Raises UnknownTableError, UsageError,
        MigrationFailedError, ProofError and TargetError.
        """
        selection = self._selection(tables, contracts, bundles)
        return self._take(_key(selection), partial(self._slice, selection), what)

    def database_for(self, slice_: Slice, *, what: str = "") -> Clone:
        """A database of its own with what a slice needs, in whatever form is fastest; as ``database``."""
        return self._take(_key(slice_), lambda: slice_, what)

    def _take(self, key: _Key, slice_: Callable[[], Slice], what: str) -> Clone:
        for _ in range(_TRIES):
            known = self._known(key, slice_)
            try:
                name, now = self._pool.take(known.template, what)
            except TemplateGoneError:
                reseal(self.book, known.template)
                self._templates.pop(key, None)
                continue
            clone = self._clone(name, known)
            try:
                self._top_up(clone, known, now)
            except BaseException:
                clone.close()
                raise
            return clone
        raise TargetError(
            f"the template for {known.contents.label} on {self.server.label} is opened by somebody again and"
            " again",
            fix=f"see in pg_stat_activity who connects to {known.template.name}",
        )

    def prepare(self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = ()) -> Template:
        """Make the template for the tables, if it isn't there: what the first ``database`` call does."""
        selection = self._selection(tables, contracts, bundles)
        return self._known(_key(selection), partial(self._slice, selection)).template

    def keep(self, clone: Clone, what: str, *, at_most: int) -> None:
        """Let a clone stay when this process ends, for people to look into; of all kept, the newest stay."""
        self.book.keep(clone.name, what)
        for old in self.book.standing("kept")[:-at_most] if at_most else self.book.standing("kept"):
            self.book.adopt(old.name)
            self._pool.discard(old.name)

    def give_back(self, name: str) -> bool:
        """Drop a clone that was lent, by whomever; False where there is none of that name."""
        if name not in {one.name for one in self.book.standing("taken", "kept")}:
            return False
        self.book.adopt(name)
        self._pool.discard(name)
        return True

    def lend(self, clone: Clone, seconds: float, what: str = "") -> None:
        """Give a clone away: it stays when this process ends, and may be reaped after so many seconds."""
        self.book.lend(clone.name, seconds, what)

    def close(self) -> None:
        """Drop what is still ours, and disconnect. Safe to repeat."""
        self._pool.close()
        self.book.close()

    def __enter__(self) -> Databases:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what is known

    def _selection(
        self, tables: Sequence[str], contracts: Sequence[str], bundles: Sequence[str]
    ) -> Selection:
        with self._lock:  # a project traces its catalog when it is first asked
            return self.project.selection(tables, contracts=contracts, bundles=bundles)

    def _slice(self, selection: Selection) -> Slice:
        return slice_for(self.project, selection, self.server)

    def _known(self, key: _Key, slice_: Callable[[], Slice]) -> _Known:
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._templates:
                contents = contents_of(slice_(), self.book.facts, as_of=self._as_of)
                made = self.book.facts.now
                template = ensure_template(self.book, contents, instead=lambda: as_statements(contents))
                self._templates[key] = _Known(contents, template, made)
            return self._templates[key]

    # -- one clone

    def _clone(self, name: str, known: _Known) -> Clone:
        return Clone(
            self.server,
            name,
            tables=known.contents.label,
            note=self._note,
            on_close=lambda: self._pool.discard(name),
        )

    def _top_up(self, clone: Clone, known: _Known, now: datetime) -> None:
        """Make the partitions that the policies ask for by now, where the template is of an earlier time."""
        contents = known.contents
        if contents.windows(now) == contents.windows(known.made):
            return
        from pgslate.partitions.ensure import ensure

        with clone.connect(autocommit=True) as connection:
            for policy in contents.policies:
                ensure(connection, policy, as_of=contents.as_of)


def _key(wanted: Selection | Slice) -> _Key:
    return (wanted.tables, tuple(sorted(wanted.partitions.items())))
