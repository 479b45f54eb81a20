"""``datastorage load``: how much the service takes."""

from __future__ import annotations

import asyncio

import click


@click.command("load")
@click.option("--url", envvar="DATASTORAGE_URL", default="http://127.0.0.1:8080", show_default=True)
@click.option("--token", envvar="DATASTORAGE_TOKEN", help="A token that may write.")
@click.option("--events", default=20_000, show_default=True, help="How many in all.")
@click.option("--batch", default=1000, show_default=True, help="Events a request; 1 posts single events.")
@click.option("--clients", default=4, show_default=True, help="Connections.")
@click.option("--rate", default=200.0, show_default=True, help="Single posts a second (with --batch 1).")
def command(url: str, token: str | None, events: int, batch: int, clients: int, rate: float) -> int:
    """Post made-up events, and print how many were stored a second and how long requests took."""
    import datetime as dt

    from datastorage import load

    now = dt.datetime.now(dt.UTC)
    sizes = [min(batch, events - done) for done in range(0, events, batch)]
    if batch == 1:
        bodies = [load.body_of([load.sample_event(now)])[1:-1] for _ in sizes]
        figures = asyncio.run(load.post_singles(url, bodies, rate=rate, connections=clients, token=token))
    else:
        batches = [(size, load.body_of([load.sample_event(now) for _ in range(size)])) for size in sizes]
        figures = asyncio.run(load.post_batches(url, batches, clients=clients, token=token))
    milliseconds = [f"p{percent} {figures.percentile(percent) * 1000:.1f} ms" for percent in (50, 95, 99)]
    click.echo(f"{figures.events} events, {figures.events_per_second:.0f}/s; {', '.join(milliseconds)}")
    for status, count in figures.failed.items():
        click.echo(f"failed: {count} x {status}", err=True)
    return 1 if figures.failed else 0
