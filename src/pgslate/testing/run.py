"""A test run: opens its server and project when the first database is wanted, and cleans up at its end.

The pytest plugin and ``pgslate.testing`` both use it; there is one in each process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pgslate.clones.clone import Clone
from pgslate.clones.databases import Databases
from pgslate.clones.server_facts import slow_settings
from pgslate.errors import UsageError
from pgslate.project.project import Project
from pgslate.testing.kept import keep_data, psql_command
from pgslate.testing.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from pgslate.targets.embedded.server import Server
    from pgslate.targets.target import Target


class Source(Protocol):
    """Gives out databases for tests: clones, or schemas of one database."""

    @property
    def project(self) -> Project: ...

    def database(
        self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = (), purpose: str = ""
    ) -> Clone: ...

    def close(self) -> None: ...


class Run:
    """One process's share of a test run.

    Args:
        settings: the settings.
        broker: the address of the process that starts the embedded server for all workers. Without one, this
            process starts its own.
        first: this is the process that measures whether the server is slow.
        name: the application_name of the sessions.

    Attributes:
        notes: sentences for the person at the terminal.
        kept: the names of the databases that stay, each with the test that used it.
    """

    def __init__(
        self, settings: Settings, *, broker: str | None = None, first: bool = True, name: str = "pgslate"
    ) -> None:
        self.settings = settings
        self.notes: list[str] = []
        self.kept: dict[str, str] = {}
        self._broker = broker
        self._first = first
        self._name = name
        self._lock = threading.RLock()
        self._source: Source | None = None
        self._target: Target | None = None
        self._own: Server | None = None
        self._failure: Exception | None = None
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], Clone] = {}

    @property
    def server(self) -> Target:
        """The server, found or started now if this is the first time."""
        self.source  # noqa: B018  the property opens it
        assert self._target is not None
        return self._target

    @property
    def source(self) -> Source:
        """The source of databases, opened now if this is the first time.

        If opening fails, every later call raises the same error at once: a server that can't be reached costs
        its time limit once in a run, and not once in each test.
        """
        with self._lock:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            if self._source is None:
                try:
                    self._source = self._open()
                except Exception as error:
                    self._failure = error
                    self._end_server()
                    raise
            return self._source

    @property
    def embedded(self) -> bool:
        """Whether the server is one of ours, which ends with the run."""
        return self.settings.dsn is None and self.settings.kube is None

    @property
    def how_to_look(self) -> str:
        """How people look into the databases that were kept, in words."""
        if self.embedded:
            return "to look into one: pgslate clone --kept NAME; to drop them: pgslate reap --kept"
        return "each failure says how to look into it; to drop them: pgslate reap --kept"

    def about_kept(self, clone: Clone) -> str:
        """A sentence that tells how to look into the database of a failed test."""
        if self.embedded:
            return f"The database of this test is kept. To start it again: pgslate clone --kept {clone.name}"
        return f"The database of this test is kept. To look into it: {psql_command(clone.dsn)}"

    def database(self, tables: Sequence[str], contracts: Sequence[str], purpose: str) -> Clone:
        """A database for one test, which ``finish`` gives back."""
        require_names("tables", tables)
        require_names("contract", contracts)
        return self.source.database(*tables, contracts=contracts, purpose=purpose)

    def finish(self, clone: Clone, purpose: str, *, failed: bool) -> None:
        """Give a test's database back, or keep it, as the settings say.

        If the same test was tried before, the database of the earlier try is no longer kept: only the last
        try counts.
        """
        if purpose and self.settings.keep == "failed":
            self._drop_earlier(purpose)
        if self.keeps(failed=failed) and isinstance(self._source, Databases):
            for name in self._source.keep(clone, purpose, at_most=self.settings.keep_at_most):
                self.kept.pop(name, None)
            self.kept[clone.name] = purpose
        else:
            clone.close()

    def keeps(self, *, failed: bool) -> bool:
        """Whether the database of a test that ended so will be kept."""
        if self.settings.isolation == "schema" or not self.settings.keep_at_most:
            return False
        return self.settings.keep == "all" or (failed and self.settings.keep == "failed")

    def hint(self, error: BaseException, tables: Sequence[str], contracts: Sequence[str]) -> str | None:
        """A sentence for a test that used a table that it didn't name; None if that isn't why it failed."""
        if self._source is None or not (tables or contracts):
            return None
        from pgslate.testing.missing_object import missing_object

        return missing_object(error, self._source.project, tables, contracts)

    def shared(self, tables: Sequence[str], contracts: Sequence[str]) -> Clone:
        """The database that all tests with these names share, made for the first and dropped at the end."""
        wanted = (tuple(tables), tuple(contracts))
        with self._lock:
            if wanted not in self._shared:
                self._shared[wanted] = self.database(tables, contracts, "shared by tests that roll back")
            return self._shared[wanted]

    @contextmanager
    def transaction(
        self, tables: Sequence[str], contracts: Sequence[str]
    ) -> Iterator[psycopg.Connection[Any]]:
        """A connection to the shared database, in a transaction that is rolled back."""
        with (
            self.shared(tables, contracts).connect(autocommit=True) as connection,
            connection.transaction(force_rollback=True),
        ):
            yield connection

    def close(self) -> None:
        """Give everything back; end the server if it is this process's own."""
        with self._lock:
            shared, self._shared = self._shared, {}
            for clone in shared.values():
                clone.close()
            source, self._source = self._source, None
            if source is not None:
                source.close()
            self._end_server()

    def note(self, sentence: str) -> None:
        """Record a sentence for the person at the terminal, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def _drop_earlier(self, purpose: str) -> None:
        for name in [name for name, other in self.kept.items() if other == purpose]:
            del self.kept[name]
            if isinstance(self._source, Databases):
                self._source.give_back(name)

    # -- opening and ending

    def _open(self) -> Source:
        project = Project.open(self.settings.catalog, start=self.settings.start)
        self._target = target = self._server(project)
        if self.settings.isolation == "schema":
            from pgslate.clones.schema_per_test import Schemas

            return Schemas(target, project, as_of=self.settings.as_of)
        databases = Databases(
            target,
            project,
            ahead=self.settings.ahead,
            reuse=self.settings.reuse,
            as_of=self.settings.as_of,
            ephemeral=self.embedded,
            note=self.note,
            application=self._name,
        )
        if self._first and not self.embedded:
            for sentence in databases.registry.run(
                lambda connection: slow_settings(connection, databases.facts, target.label)
            ):
                self.note(sentence)
        return databases

    def _server(self, project: Project) -> Target:
        if self.settings.dsn is not None:
            from pgslate.targets.dsn import wait_for

            return wait_for(self.settings.dsn, timeout=30.0)
        if self.settings.kube is not None:
            from pgslate.targets.kubernetes import kubernetes

            namespace, _, service = self.settings.kube.partition("/")
            return kubernetes(namespace, service=service or None)
        from pgslate.catalog.server_needs import extensions
        from pgslate.targets.embedded.embedded_target import EmbeddedTarget
        from pgslate.testing import shared_server

        needed = sorted(extensions(project.catalog, project.prelude))
        if self._broker is not None:
            answer = shared_server.ask(self._broker, needed, self.settings.major)
            if answer is not None:
                return EmbeddedTarget(answer[0], label=f"embedded PostgreSQL {answer[1]}")
        self._own = shared_server.start_server(needed, self.settings.major)
        return self._own.target()

    def _end_server(self) -> None:
        own, self._own = self._own, None
        target, self._target = self._target, None
        if own is not None:
            if self.kept:
                keep_data(own, self.kept)
            own.stop()
        elif target is not None:
            target.close()


def require_names(kind: str, names: Iterable[object]) -> None:
    """Raise UsageError unless each of the names is a string; ``kind`` is ``tables`` or ``contract``.

    >>> require_names("tables", [["users"]])
    Traceback (most recent call last):
    ...
    pgslate.errors.UsageError: tables takes names, not a list: ['users']
    fix: write tables("users")
    """
    for name in names:
        if not isinstance(name, str):
            inside = name if isinstance(name, list | tuple | set | frozenset) else [name]
            written = ", ".join(f'"{each}"' for each in inside) or '"NAME"'
            raise UsageError(
                f"{kind} takes names, not a {type(name).__name__}: {name!r}", fix=f"write {kind}({written})"
            )
