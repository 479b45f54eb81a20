"""The target that the environment names; no driver is needed to know whether there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from pgslate.errors import TargetError

_REFERENCE = re.compile(r"\$\((\w+)_SERVICE_(?:HOST|PORT)\)")


def from_environment(environ: Mapping[str, str] = os.environ) -> str | None:
    """The DSN that the environment names: PGSLATE_DSN, or "" where libpq's own variables name a server.

    An empty DSN lets libpq read its variables; PGPORT, PGUSER or PGPASSWORD alone name no server.
    """
    if environ.get("PGSLATE_DSN"):
        return environ["PGSLATE_DSN"]
    names = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
    return "" if any(environ.get(name) for name in names) else None


def check_environment(environ: Mapping[str, str] = os.environ) -> None:
    """Raise TargetError where Kubernetes left a reference as it was, ``PGHOST=$(POSTGRESQL_SERVICE_HOST)``.

    It does so where the pod has no such variable, and libpq would look for a host of that name.
    """
    for name in ("PGHOST", "PGPORT"):
        if match := _REFERENCE.search(environ.get(name, "")):
            service = match[1].lower().replace("_", "-")
            raise TargetError(
                f"{name} is {environ[name]!r}: Kubernetes gave this pod no address for a service {service!r}",
                fix="the service must be in the pod's namespace, have a clusterIP, and be older than "
                "the pod; else give a host: `pgslate kube job --host`, or PGHOST",
            )
