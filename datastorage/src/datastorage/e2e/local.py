"""An environment on this machine: an embedded PostgreSQL, and the service as a process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from psycopg.conninfo import make_conninfo

from datastorage.e2e.contract import apply_contract
from datastorage.e2e.process import ServiceProcess
from datastorage.grants import grant
from datastorage.services import needs_vector
from datastorage.services import service as service_named
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

DATABASE = "action_history"
ROLE = "datastorage"


class LocalEnvironment:
    """Starts everything at once, and takes it down with ``close`` or the end of its ``with``.

    With ``durable`` the database keeps what it committed even when it crashes, for tests that make it crash.
    The service reaches it at ``database_port`` where one is given, which is how a fault gets in between.
    """

    def __init__(
        self, service: str, *, migrated: bool = True, durable: bool = False, server: Server | None = None
    ) -> None:
        """Raises pgslate's errors where no server has what the contract needs.

        Or the contract can't be applied.
        """
        self.service = service_named(service)
        self._stack = ExitStack()
        try:
            extensions = ["vector"] if needs_vector(self.service) else []
            self.server = server or self._stack.enter_context(
                Server.start(extensions=extensions, durable=durable)
            )
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="datastorage-")))
            self._database = self.server.create_database(DATABASE)
            if migrated:
                self.apply()
            else:
                self._grant()
            self.process = self._stack.enter_context(
                ServiceProcess(self.arguments(self.server.port), folder / "service.log")
            )
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        """Where the service answers."""
        return self.process.url

    @property
    def database(self) -> Target:
        """The database, as its owner."""
        return self._database

    def arguments(self, database_port: int) -> list[str]:
        """What ``datastorage serve`` is told: its role, the owner for partitions, and the contract."""
        owner = make_conninfo(self._database.dsn, port=database_port)
        role = make_conninfo(owner, user=ROLE)
        return ["--dsn", role, "--owner-dsn", owner, "--contract", self.service.name]

    def apply(self) -> None:
        """Applies the contract, verifies it, and gives the service's role its rights."""
        apply_contract(self.service.name, self._database)
        self._grant()

    def logs(self) -> str:
        """The service's log and the database's."""
        return f"--- service\n{self.process.logs()}\n--- database\n{self.server.log()}"

    def close(self) -> None:
        """Ends service and server, and removes their files."""
        self._stack.close()

    def __enter__(self) -> LocalEnvironment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _grant(self) -> None:
        with self._database.connect(autocommit=True) as owner:
            grant(owner, ROLE)
