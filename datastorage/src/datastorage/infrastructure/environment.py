"""An environment for one service's end-to-end tests, and the choice of where it is made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datastorage.infrastructure.migrations import MigrationConfig
    from pgslate.targets.target import Target


class Environment(Protocol):
    """A PostgreSQL that has what one service's contract needs, and, once deployed, the Data Storage service.

    The database is empty at first: apply the service's migrations, verify them, then deploy.
    """

    @property
    def database(self) -> Target:
        """The database, as its owner."""

    @property
    def url(self) -> str:
        """Where the Data Storage service answers; empty until it is deployed."""

    def migrations(self, *tables: str) -> MigrationConfig:
        """The configuration that applies and verifies these tables (none: all of them) in this database."""

    def grant(self) -> None:
        """Give the service's role its rights on the tables that exist now."""

    def deploy(self) -> None:
        """Give the service's role its rights, and start the Data Storage service.

        Raises RuntimeError or pgslate's errors where it doesn't start.
        """

    def logs(self) -> str:
        """What service and database have logged so far."""

    def close(self) -> None:
        """End everything that was started. Safe to repeat."""

    def __enter__(self) -> Environment: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def create_environment(service: str, environ: Mapping[str, str] = os.environ) -> Environment:
    """A PostgreSQL for a service's tests: in a cluster where DATASTORAGE_E2E is ``kubernetes``, else local.

    In a cluster, the environment is a namespace of its own. ``KUBECONFIG`` and ``DATASTORAGE_E2E_CONTEXT``
    say which cluster (``kind``: one that is made where it doesn't exist). ``DATASTORAGE_E2E_IMAGE`` is the
    image that the service is deployed from; without it, the service is a process on this machine.
    ``DATASTORAGE_E2E_POSTGRES_IMAGE`` is the database's image. Raises ``ValueError`` for another value of
    DATASTORAGE_E2E, and what the environments raise.
    """
    match environ.get("DATASTORAGE_E2E", "local"):
        case "local":
            from datastorage.infrastructure.local import LocalEnvironment

            return LocalEnvironment(service)
        case "kubernetes":
            from datastorage.infrastructure.kubernetes import KubernetesEnvironment, kind_cluster

            context = environ.get("DATASTORAGE_E2E_CONTEXT")
            return KubernetesEnvironment(
                service,
                context=kind_cluster() if context == "kind" else context,
                image=environ.get("DATASTORAGE_E2E_IMAGE"),
                postgres_image=environ.get("DATASTORAGE_E2E_POSTGRES_IMAGE"),
            )
        case other:
            raise ValueError(f"DATASTORAGE_E2E is {other!r}: say local or kubernetes")
