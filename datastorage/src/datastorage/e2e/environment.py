"""What a suite needs to know of where it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pgslate.targets.target import Target


class Environment(Protocol):
    """A database with one service's contract, and the Data Storage service over it; a context manager."""

    @property
    def url(self) -> str:
        """Where the service answers."""

    @property
    def database(self) -> Target:
        """The database, as its owner."""

    def apply(self) -> None:
        """Applies the contract, and verifies it; an environment does so itself unless told not to."""

    def logs(self) -> str:
        """What service and database have said so far, for whoever has to find out what went wrong."""

    def close(self) -> None:
        """Ends everything that was started. Safe to repeat."""

    def __enter__(self) -> Environment: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


def environment_for(
    service: str, *, migrated: bool = True, environ: Mapping[str, str] = os.environ
) -> Environment:
    """An environment for a service's suite: in a cluster where DATASTORAGE_E2E is ``kubernetes``, else local.

    In a cluster it is a namespace of its own. ``KUBECONFIG`` and ``DATASTORAGE_E2E_CONTEXT`` say which
    cluster (``kind``: one that is made where it isn't there); ``DATASTORAGE_E2E_IMAGE`` what the service is
    run from there, if it is to run there; ``DATASTORAGE_E2E_POSTGRES_IMAGE`` the database. Without
    ``migrated`` the database stays empty until ``apply``. Raises ``ValueError`` for another word, and what
    the environments raise.
    """
    match environ.get("DATASTORAGE_E2E", "local"):
        case "local":
            from datastorage.e2e.local import LocalEnvironment

            return LocalEnvironment(service, migrated=migrated)
        case "kubernetes":
            from datastorage.e2e.kubernetes import KubernetesEnvironment, kind_cluster

            context = environ.get("DATASTORAGE_E2E_CONTEXT")
            return KubernetesEnvironment(
                service,
                migrated=migrated,
                context=kind_cluster() if context == "kind" else context,
                image=environ.get("DATASTORAGE_E2E_IMAGE"),
                postgres_image=environ.get("DATASTORAGE_E2E_POSTGRES_IMAGE"),
            )
        case other:
            raise ValueError(f"DATASTORAGE_E2E is {other!r}: say local or kubernetes")
