"""PostgreSQL in a Kubernetes namespace: found, waited for, forwarded to, with neither kubectl nor psql."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from pgslate.errors import UsageError
from pgslate.plain_text import silent

try:
    from pgslate.targets.kubernetes.forwarder import Forwarder
    from pgslate.targets.kubernetes.service import service_target, split_address
    from pgslate.targets.side_by_side import Outcome, exit_status, run_many, summary
except ModuleNotFoundError as error:
    if error.name not in ("wsproto", "h11", "yaml"):
        raise
    raise UsageError(
        f"Kubernetes needs the package {error.name!r}, which isn't installed",
        fix="pip install 'pgslate[kubernetes]'",
    ) from error

if TYPE_CHECKING:
    from pgslate.targets.target import Target

__all__ = [
    "Forwarder",
    "Outcome",
    "exit_status",
    "kubernetes",
    "run_many",
    "service_target",
    "split_address",
    "summary",
]


def kubernetes(
    namespace: str,
    *,
    service: str | None = None,
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    user: str | None = None,
    password: str | None = None,
    database: str | None = None,
    timeout: float = 120.0,
    note: Callable[[str], None] = silent,
    waiting: Callable[[str], None] | None = None,
) -> Target:
    """PostgreSQL in a Kubernetes namespace as a target, once it takes connections.

    What isn't given of ``user``, ``password`` and ``database`` comes from ``PGUSER``, ``PGPASSWORD`` and
    ``PGDATABASE``, else from the pod's own environment and the Secrets that it refers to. Closing the target
    ends the forward.

    Args:
        namespace: The namespace.
        service: Its service; ``NAME:PORT`` for one of several ports. By default the one that is PostgreSQL.
        kubeconfig: Which kubeconfig; by default as kubectl does it.
        context: Which of its contexts; by default the current one.
        user: Log in as this role.
        password: With this password.
        database: Which database.
        timeout: Seconds to wait, for the pod and the server together.
        note: Called with a line on where each thing was found; never with a password.
        waiting: Called with a line on what is waited for; by default as ``note``.

    Raises:
        KubeconfigError: The kubeconfig can't be used.
        ClusterError: The cluster can't be reached. PrivilegeError: It refuses.
        ServiceNotFoundError: There is no such service.
        PodNotReadyError: No pod gets ready.
        ServerNotReadyError: The server in the pod doesn't take connections.
        TargetError: The server refuses the login.
    """
    return service_target(
        namespace,
        service=service,
        kubeconfig=kubeconfig,
        context=context,
        user=user,
        password=password,
        database=database,
        timeout=timeout,
        note=note,
        waiting=waiting,
    )
