"""pgslate serve: ready databases over HTTP, for tests in any language."""

from __future__ import annotations

import contextlib

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("serve")
@options.takes(options.TARGET, options.AS_OF, options.CATALOG)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", metavar="PORT", type=click.IntRange(0, 65535), default=8432, show_default=True)
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="PGSLATE_TOKEN",
    help="What clients have to send, beyond this machine. Better in PGSLATE_TOKEN: others see command lines.",
)
@click.option("--advertise", metavar="URL", help="A DSN with the host and port that clients should use.")
@click.option(
    "--ahead", metavar="N", type=click.IntRange(0), default=4, show_default=True, help="Made ahead, at most."
)
@click.option(
    "--reuse/--no-reuse",
    default=True,
    show_default=True,
    help="Put a database back that only rows were written to, if PostgreSQL proves it.",
)
def command(
    asked: Asked, host: str, port: int, token: str | None, advertise: str | None, ahead: int, reuse: bool
) -> int:
    """Ready databases over HTTP: POST /databases {"tables": [...]} gives a DSN, DELETE gives it back.

    Several can serve one PostgreSQL server: nothing is kept in the process.
    """
    from pgslate.verbs.serve import serve

    output = Output(asked)
    with (
        resolve.traced(asked, output) as project,
        resolve.target(asked, output, project) as target,
        contextlib.suppress(KeyboardInterrupt),  # that is how it is meant to end
    ):
        serve(
            project,
            target,
            host=host,
            port=port,
            token=token,
            advertise=advertise,
            ahead=ahead,
            reuse=reuse,
            as_of=asked.as_of,
            ready=lambda url: output.result(lambda: url, lambda: {"url": url}),
        )
    return 0
