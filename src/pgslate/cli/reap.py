"""pgslate reap: drop what tests that are gone left behind on a server."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("reap")
@options.takes(options.TARGET)
@click.option(
    "--kept",
    is_flag=True,
    help="Also the kept databases of failed tests; without a target, those of embedded servers.",
)
@click.option(
    "--unused-for",
    type=options.Seconds(),
    metavar="SECONDS",
    default=86400.0,
    show_default="a day",
    help="Templates that nobody used for so long.",
)
@click.option(
    "--force", is_flag=True, help="Also what is not due yet or has sessions, if its runner is gone."
)
def command(asked: Asked, kept: bool, unused_for: float, force: bool) -> int:
    """Drop what tests left behind: databases whose runner is gone, and templates that nobody uses.

    Only databases that pgslate has named and this role owns, and none that somebody is connected to.
    """
    from pgslate.verbs.reap import reap

    output = Output(asked)
    if kept and (asked.embedded or not resolve.names_target(asked)):
        done = reap(kept=True)
    else:
        with resolve.server(asked, output) as target:
            done = reap(target, unused_for=unused_for, kept=kept, force=force)

    def text() -> str:
        lines = [f"dropped {name}" for name in (*done.clones, *done.templates)]
        lines += [f"in use: {name}" for name in done.in_use]
        return "\n".join(lines) or "nothing to drop"

    output.result(text, done.as_json)
    return 0
