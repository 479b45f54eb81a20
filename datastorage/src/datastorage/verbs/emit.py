"""``datastorage emit``: a service's typical run, through the client."""

from __future__ import annotations

import uuid

import click

from datastorage.services import NAMES


@click.command("emit")
@click.argument("service", type=click.Choice(NAMES))
@click.option("--url", envvar="DATASTORAGE_URL", default="http://127.0.0.1:8080", show_default=True)
@click.option("--token", envvar="DATASTORAGE_TOKEN", help="A token that may write.")
@click.option("--correlation-id", metavar="ID", help="One is made up, and printed.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds until all must have arrived.")
def command(service: str, url: str, token: str | None, correlation_id: str | None, timeout: float) -> int:
    """Record the events that SERVICE emits in one remediation; prints their correlation id."""
    from datastorage.client import AuditClient
    from datastorage.services import service as service_named

    correlation_id = correlation_id or f"rr-{uuid.uuid4().hex[:12]}"
    with AuditClient(url, token=token) as client:
        for event in service_named(service).typical_run(correlation_id):
            client.record(event)
        arrived = client.flush(timeout)
        trouble = client.trouble
        counts = client.close(deadline=0)
    click.echo(correlation_id)
    if not arrived or counts.refused:
        click.echo(
            f"sent {counts.sent}, refused {counts.refused}, kept {counts.spooled}: {trouble}", err=True
        )
        return 3 if not counts.refused else 1
    return 0
