"""``datastorage retention``: months that may go."""

from __future__ import annotations

import datetime as dt

import click

from datastorage.cli import dsn_option


@click.command("retention")
@dsn_option("The database, as the owner of audit_events.")
@click.option("--drop", is_flag=True, help="Drop them; without it nothing is changed.")
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), help="A day (UTC); by default the server's.")
@click.option(
    "--timeout", default=30.0, show_default=True, help="Seconds to wait for a month that is in use."
)
def command(dsn: str, drop: bool, as_of: dt.datetime | None, timeout: float) -> None:
    """Say which months of audit_events may be dropped, and why the others stay; --drop drops them."""
    from datastorage.retention import drop_expired, plan_retention
    from pgslate.targets.target import Target

    target = Target(dsn)
    day = as_of.date() if as_of else None
    if drop:
        months = drop_expired(target, as_of=day, timeout=timeout)
    else:
        with target.connect(autocommit=True) as connection:
            months = plan_retention(connection, as_of=day)
    for month in months:
        fate = f"stays: {month.reason}" if month.reason else ("dropped" if drop else "may go")
        click.echo(f"{month.name}  {month.events} events  {fate}")
    if not drop and any(month.reason is None for month in months):
        click.echo("nothing was changed; --drop drops what may go")
