"""pgslate forward: a local port that leads to PostgreSQL in a Kubernetes namespace."""

from __future__ import annotations

from contextlib import suppress

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("forward")
@click.argument("address", metavar="NAMESPACE[/SERVICE[:PORT]]")
@options.takes(options.CLUSTER)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="PORT",
    help="Which port of 127.0.0.1.  [default: a free one]",
)
@click.option(
    "--timeout",
    type=options.Seconds(),
    metavar="SECONDS",
    default=resolve.CLUSTER_TIMEOUT,
    show_default=True,
    help="How long to wait for a ready pod.",
)
def command(asked: Asked, address: str, port: int) -> int:
    """A port of 127.0.0.1 that leads to a service, whichever pod stands behind it; prints its address.

    It stays until interrupted. A connection that leads nowhere is told why, as PostgreSQL's own error.
    """
    from pgslate.targets.kubernetes import split_address
    from pgslate.verbs.forward import forward

    output = Output(asked)
    namespace, service = split_address(address)
    with forward(
        namespace,
        service,
        kubeconfig=asked.kubeconfig,
        context=asked.context,
        port=port,
        timeout=asked.timeout or resolve.CLUSTER_TIMEOUT,
        note=output.note,
        waiting=output.say,
    ) as forwarder:
        output.result(
            lambda: f"{forwarder.host}:{forwarder.port}",
            lambda: {"host": forwarder.host, "port": forwarder.port},
        )
        with suppress(KeyboardInterrupt):  # how it ends, as asked
            forwarder.closed.wait()
    return 0
