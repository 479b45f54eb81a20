"""An environment on this machine: an embedded PostgreSQL, and the service as a process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from psycopg.conninfo import make_conninfo

from datastorage.grants import grant
from datastorage.infrastructure.migrations import MigrationConfig
from datastorage.infrastructure.process import ServiceProcess
from datastorage.services import needs_vector
from datastorage.services import service as service_named
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

DATABASE = "action_history"
ROLE = "datastorage"


class LocalEnvironment:
    """Starts PostgreSQL at once, the service with ``deploy``, and ends both with ``close`` or its ``with``.

    With ``durable`` the database keeps what it committed even when it crashes, for tests that make it crash.
    A ``server`` that is given stays the caller's to stop.
    """

    def __init__(self, service: str, *, durable: bool = False, server: Server | None = None) -> None:
        """Raises pgslate's errors where no installed server has what the service's contract needs."""
        self.service = service_named(service)
        self._stack = ExitStack()
        self._process: ServiceProcess | None = None
        try:
            extensions = ["vector"] if needs_vector(self.service) else []
            self.server = server or self._stack.enter_context(
                Server.start(extensions=extensions, durable=durable)
            )
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="datastorage-")))
            self._database = self.server.create_database(DATABASE)
        except BaseException:
            self._stack.close()
            raise

    @property
    def database(self) -> Target:
        """The database, as its owner."""
        return self._database

    @property
    def process(self) -> ServiceProcess:
        """The service's process. Raises RuntimeError before ``deploy``."""
        if self._process is None:
            raise RuntimeError("the service is not deployed: call deploy()")
        return self._process

    @property
    def url(self) -> str:
        """Where the service answers; empty until it is deployed."""
        return self._process.url if self._process else ""

    def migrations(self, *tables: str) -> MigrationConfig:
        """The configuration that applies and verifies these tables in this database."""
        return MigrationConfig(dsn=self._database.dsn, tables=tables)

    def grant(self) -> None:
        """Give the service's role its rights on the tables that exist now."""
        with self._database.connect(autocommit=True) as owner:
            grant(owner, ROLE)

    def deploy(self) -> None:
        """Give the service's role its rights, and start the service. Raises RuntimeError if it ends."""
        self.grant()
        process = ServiceProcess(self.arguments(self.server.port), self._folder / "service.log")
        self._process = self._stack.enter_context(process)

    def arguments(self, database_port: int) -> list[str]:
        """The arguments of ``datastorage serve``: its role, the owner for partitions, and the contract."""
        owner = make_conninfo(self._database.dsn, port=database_port)
        role = make_conninfo(owner, user=ROLE)
        return ["--dsn", role, "--owner-dsn", owner, "--contract", self.service.name]

    def logs(self) -> str:
        """The service's log and the database's."""
        service = self._process.logs() if self._process else ""
        return f"--- service\n{service}\n--- database\n{self.server.log()}"

    def close(self) -> None:
        """End service and server, and remove their files."""
        self._stack.close()

    def __enter__(self) -> LocalEnvironment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
