"""``datastorage verify-chain``: what was tampered with."""

from __future__ import annotations

import json

import click

from datastorage.cli import dsn_option


@click.command("verify-chain")
@dsn_option("The database.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(dsn: str, form: str) -> int:
    """Recompute every hash and link; exit status 1 where something is not what it was."""
    import psycopg

    from datastorage.chain import verify_chain

    with psycopg.connect(dsn, autocommit=True) as connection:
        verdict = verify_chain(connection)
    if form == "json":
        document = {
            "ok": verdict.ok,
            "events": verdict.events,
            "links": verdict.links,
            "retired": verdict.retired,
            "faults": [{"where": fault.where, "what": fault.what} for fault in verdict.faults],
            "heads": {str(lane): list(head) for lane, head in verdict.heads.items()},
        }
        click.echo(json.dumps(document))
    else:
        for fault in verdict.faults:
            click.echo(str(fault))
        retired = f", {verdict.retired} more went with their months" if verdict.retired else ""
        click.echo(f"{verdict.events} events in {verdict.links} links{retired}: ", nl=False)
        click.echo("intact" if verdict.ok else f"{len(verdict.faults)} faults")
    return 0 if verdict.ok else 1
