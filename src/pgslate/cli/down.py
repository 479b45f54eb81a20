"""pgslate down: stop what `pgslate up` started."""

from __future__ import annotations

import click

from pgslate.cli import options
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("down")
@click.option("--name", metavar="NAME", help="The server's name, where `up` was given one.")
@click.option("--all", "everyone", is_flag=True, help="Every server that `up` started, of all projects.")
@options.takes(options.CATALOG)
def command(asked: Asked, name: str | None, everyone: bool) -> int:
    """Stop the server of this project and remove its data; nothing to stop is no error."""
    from pgslate.verbs.down import down, names_for, servers_up

    named = (name,) if name else names_for(asked.catalog, config=asked.config)
    done = down(names=servers_up() if everyone else named)
    Output(asked).result(
        lambda: "\n".join(f"stopped {one}" for one in done.stopped) or "nothing was up", done.as_json
    )
    return 0
