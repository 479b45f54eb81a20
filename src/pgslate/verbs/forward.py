"""``forward``: a local port that leads to PostgreSQL in a Kubernetes namespace."""

from __future__ import annotations

import os
from collections.abc import Callable

from pgslate.plain_text import silent
from pgslate.targets.kubernetes import Forwarder
from pgslate.targets.kubernetes.service import forwarder_to


def forward(
    namespace: str,
    service: str | None = None,
    *,
    kubeconfig: str | os.PathLike[str] | None = None,
    context: str | None = None,
    port: int = 0,
    timeout: float = 120.0,
    note: Callable[[str], None] = silent,
    waiting: Callable[[str], None] | None = None,
) -> Forwarder:
    """A port of 127.0.0.1 that leads to a service of a namespace: ``forwarder.host``, ``forwarder.port``.

    Close the forwarder, or use it in a ``with`` statement.

    Args:
        namespace: The namespace.
        service: Its service; ``NAME:PORT`` for one of several ports. By default the one that is PostgreSQL.
        kubeconfig: Which kubeconfig; by default as kubectl does it.
        context: Which of its contexts; by default the current one.
        port: The local port; 0 takes a free one.
        timeout: Seconds to wait for a ready pod.
        note: Called with a line on each thing that was found or went wrong.
        waiting: Called with a line on what is waited for; by default as ``note``.

    Raises:
        KubeconfigError: The kubeconfig can't be used.
        ClusterError: The cluster can't be reached. PrivilegeError: It refuses.
        ServiceNotFoundError: There is no such service.
        PodNotReadyError: No pod gets ready.
    """
    return forwarder_to(
        namespace,
        service,
        kubeconfig=kubeconfig,
        context=context,
        port=port,
        timeout=timeout,
        note=note,
        waiting=waiting,
    )
