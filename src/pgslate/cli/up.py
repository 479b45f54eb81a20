"""pgslate up: an embedded server with the schema, that stays up; prints its DSN."""

from __future__ import annotations

import shlex
from contextlib import nullcontext

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("up")
@options.takes(options.SELECTION, options.FORM, options.AS_OF, options.CATALOG)
@click.option("--name", metavar="NAME", help="A server of its own, beside the project's.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="A port of 127.0.0.1 for it, the same each time.  [default: a free one]",
)
@click.option("--major", type=int, metavar="N", help="PostgreSQL's major version.  [default: the newest]")
@click.option("--quiet", "-q", is_flag=True, help="Print only the DSN.")
def command(asked: Asked, name: str | None, port: int | None, major: int | None, quiet: bool) -> int:
    """An embedded server with what the TABLEs (or all) need, verified; prints its DSN.

    It stays up until `pgslate down` (with the same --name, if any). Run it again for the same server: what it
    lacks is applied to it.
    """
    from pgslate.plain_text import counted
    from pgslate.verbs.up import up

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        chosen = resolve.chosen(asked, project)
        with nullcontext() if quiet else output.applying() as progress:
            found = up(chosen, name=name, port=port, major=major, as_of=asked.as_of, progress=progress)

    def text() -> str:
        if quiet:
            return found.dsn
        what = (
            counted(len(found.tables), "table") + f": {', '.join(found.tables)}"
            if found.tables
            else "everything"
        )
        state = "started" if found.started else "was up"
        stops = f"`{_down(asked, name)}` stops it"
        return f"{found.dsn}\nPostgreSQL {found.server} {state}, verified for {what}; {stops}"

    output.result(text, found.as_json)
    return 0


def _down(asked: Asked, name: str | None) -> str:
    """The command line that ends the server: it has to name the same server, or the same project."""
    named = (
        {"name": name}
        if name
        else {"catalog": asked.catalog, "catalog-format": asked.catalog_format, "config": asked.config}
    )
    options = [word for option, value in named.items() if value for word in (f"--{option}", value)]
    return shlex.join(["pgslate", "down", *options])
