"""``datastorage grant``: the service's role and its rights."""

from __future__ import annotations

import click

from datastorage.cli import dsn_option


@click.command("grant")
@click.argument("role")
@dsn_option("The database, as the owner of the tables.")
@click.option("--password", envvar="DATASTORAGE_ROLE_PASSWORD", help="Set the role's password, too.")
def command(role: str, dsn: str, password: str | None) -> None:
    """Let ROLE insert and select, and nothing else; it is made where it isn't there."""
    import psycopg

    from datastorage.grants import grant

    with psycopg.connect(dsn, autocommit=True) as owner:
        tables = grant(owner, role, password=password)
    click.echo(
        f"{role} may insert into and select from {', '.join(tables) or 'nothing: there are no tables'}"
    )
