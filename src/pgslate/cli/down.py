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
    from pgslate.targets.embedded.named_server import standing
    from pgslate.verbs.up import down, name_for

    output = Output(asked)
    names = (
        [one.name for one in standing()]
        if everyone
        else [name or name_for(asked.catalog, config=asked.config)]
    )
    stopped = [one for one in names if down(name=one)]
    output.result(
        lambda: "\n".join(f"stopped {one}" for one in stopped) or "nothing was up",
        lambda: {"stopped": stopped},
    )
    return 0
