"""A test run: finds its server and project when the first database is asked for, and cleans up at its end.

This is what the pytest plugin and ``pgslate.testing`` have in common; one for each process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from pgslate.clones.clone import Clone
from pgslate.clones.databases import Databases
from pgslate.clones.server_facts import slow_settings
from pgslate.project.project import Project
from pgslate.testing.kept import keep_data
from pgslate.testing.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from pgslate.targets.embedded.server import Server
    from pgslate.targets.target import Target


class Source(Protocol):
    """What gives out databases for tests: clones, or schemas."""

    def database(
        self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = (), purpose: str = ""
    ) -> Clone: ...

    def close(self) -> None: ...


class Run:
    """One process's share of a test run.

    ``broker`` is the address of whoever starts the embedded server for all processes; without one this
    process starts its own. ``notes`` are what the person at the terminal should know, and ``kept`` the names
    of databases that stay, with what they were used for.
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
        self._shared: dict[tuple[tuple[str, ...], tuple[str, ...]], Clone] = {}

    @property
    def server(self) -> Target:
        """The server; found or started now if this is the first time."""
        self.source  # noqa: B018  the property opens it
        assert self._target is not None
        return self._target

    @property
    def source(self) -> Source:
        """What gives out databases; opened now if this is the first time."""
        with self._lock:
            if self._source is None:
                self._source = self._open()
            return self._source

    @property
    def embedded(self) -> bool:
        """Whether the server is one of ours, which ends with the run."""
        return self.settings.dsn is None and self.settings.kube is None

    @property
    def looking(self) -> str:
        """How the databases that were kept are looked into, in words."""
        if self.embedded:
            return "to be looked into with pgslate clone --kept NAME"
        return "as each failure says how to look into; pgslate reap --kept drops them"

    def database(self, tables: Sequence[str], contracts: Sequence[str], purpose: str) -> Clone:
        """A database for one test, which ``finish`` gives back."""
        return self.source.database(*tables, contracts=contracts, purpose=purpose)

    def finish(self, clone: Clone, purpose: str, *, failed: bool) -> None:
        """Give a test's database back, or keep it, as the settings say."""
        if self.keeps(failed=failed) and isinstance(self._source, Databases):
            self._source.keep(clone, purpose, at_most=self.settings.keep_at_most)
            self.kept[clone.name] = purpose
        else:
            clone.close()

    def keeps(self, *, failed: bool) -> bool:
        """Whether the database of a test that ended so will be kept."""
        if self.settings.isolation == "schema" or not self.settings.keep_at_most:
            return False
        return self.settings.keep == "all" or (failed and self.settings.keep == "failed")

    def shared(self, tables: Sequence[str], contracts: Sequence[str]) -> Clone:
        """The database that all tests with this selection share, made for the first; dropped at the end."""
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
            if self._own is not None:
                if self.kept:
                    keep_data(self._own, self.kept)
                self._own.stop()
                self._own = None
            elif self._target is not None:
                self._target.close()
            self._target = None

    def note(self, said: str) -> None:
        """Something for the person at the terminal; said once."""
        if said not in self.notes:
            self.notes.append(said)

    # -- opening

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
            told = shared_server.ask(self._broker, needed, self.settings.major)
            if told is not None:
                return EmbeddedTarget(told[0], label=f"embedded PostgreSQL {told[1]}")
        self._own = shared_server.start_server(needed, self.settings.major)
        return self._own.target()
