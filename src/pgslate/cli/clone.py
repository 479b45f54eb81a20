"""pgslate clone: a database for one test; prints its DSN."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("clone")
@options.takes(options.SELECTION, options.TARGET, options.AS_OF, options.CATALOG)
@click.option(
    "--seconds",
    type=options.Seconds(),
    metavar="SECONDS",
    default=3600.0,
    show_default="an hour",
    help="How long it is wanted; after that, `pgslate reap` drops it when nobody is connected.",
)
@click.option(
    "--kept",
    metavar="NAME",
    is_flag=False,
    flag_value="",
    help="Start the kept database of a failed test again, and print its DSN; without NAME, the newest.",
)
def command(asked: Asked, seconds: float, kept: str | None) -> int:
    """A database of its own with what the TABLEs (or all) need; prints its DSN.

    It is copied from a template, which is made the first time: milliseconds, on any server where the role has
    CREATEDB. With --embedded, on the server of `pgslate up`.
    """
    output = Output(asked)
    if kept is not None:
        from pgslate.testing.kept import start_again

        dsn, kept, kept_server = start_again(kept)
        output.say(f"`pgslate down --name {kept_server}` ends the server")
        output.result(lambda: dsn, lambda: {"dsn": dsn, "name": kept})
        return 0
    from pgslate.verbs.clone import clone

    with resolve.traced(asked, output) as project:
        chosen = resolve.chosen(asked, project)
        with resolve.target(asked, output, project) as server:
            made = clone(
                chosen,
                server,
                seconds=seconds,
                as_of=asked.as_of,
                purpose="pgslate clone",
                note=output.say,
            )
    output.say(f"{made.name}: made in the {made.form} form")
    output.result(lambda: made.dsn, made.as_json)
    return 0
