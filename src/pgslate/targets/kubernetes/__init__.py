"""PostgreSQL in a Kubernetes namespace: found, waited for, forwarded to, with neither kubectl nor psql."""

from pgslate.errors import UsageError

try:
    from pgslate.targets.kubernetes.forwarder import Forwarder
    from pgslate.targets.kubernetes.service import forward, kubernetes, split_address
    from pgslate.targets.side_by_side import Outcome, exit_status, run_many, summary
except ModuleNotFoundError as error:
    if error.name not in ("wsproto", "h11", "yaml"):
        raise
    raise UsageError(
        f"Kubernetes needs the package {error.name!r}, which isn't installed",
        fix="pip install 'pgslate[kubernetes]'",
    ) from error

__all__ = [
    "Forwarder",
    "Outcome",
    "exit_status",
    "forward",
    "kubernetes",
    "run_many",
    "split_address",
    "summary",
]
