"""``datastorage serve``: the HTTP API as a process."""

from __future__ import annotations

from pathlib import Path

import click

from datastorage.cli import dsn_option


@click.command("serve")
@dsn_option("The database, as a role that may insert and select (see `datastorage grant`).")
@click.option(
    "--owner-dsn",
    envvar="DATASTORAGE_OWNER_DSN",
    metavar="URL",
    help="The database as the owner of audit_events: months are then made by policy when events need them.",
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True, help="0 takes a free one, and prints it.")
@click.option("--contract", metavar="NAME", help="The tables that make the service ready, by contract.")
@click.option(
    "--table", "tables", multiple=True, metavar="NAME", help="A table that makes it ready; repeatable."
)
@click.option(
    "--tokens",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="DATASTORAGE_TOKENS",
    help="Lines as `datastorage token` prints them.",
)
@click.option("--pool", default=8, show_default=True, help="Connections to the database, at most.")
@click.option("--telemetry/--no-telemetry", default=False, help="OpenTelemetry, by its OTEL_* variables.")
def command(
    dsn: str,
    owner_dsn: str | None,
    host: str,
    port: int,
    contract: str | None,
    tables: tuple[str, ...],
    tokens: Path | None,
    pool: int,
    telemetry: bool,
) -> None:
    """Serve the HTTP API until SIGTERM; its OpenAPI document is at /openapi.json."""
    from datastorage.server.serving import run
    from datastorage.server.settings import Settings
    from datastorage.services import service

    if contract and tables:
        raise click.UsageError("give --contract or --table, not both")
    if contract:
        tables = service(contract).readiness
    settings = Settings(
        dsn=dsn,
        owner_dsn=owner_dsn,
        tables=tables or ("audit_events",),
        tokens_file=tokens,
        pool_size=pool,
        telemetry=telemetry,
    )
    run(settings, host=host, port=port)
