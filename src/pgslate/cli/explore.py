"""pgslate explore: the catalog as a page to look at."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("explore")
@click.argument("file", metavar="[FILE]", default="catalog.html")
@options.takes(options.CATALOG)
def command(asked: Asked, file: str) -> int:
    """Write the catalog to FILE (default: catalog.html; `-`: stdout) as one page, and print its path.

    Tables with their slices and the reasons for them, and which file is for which table. The page works
    without a server and without a network.
    """
    from pgslate.verbs.explore import explore, page_of

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        if file == "-":
            output.print(page_of(project))
            return 0
        written = explore(project, file)
    output.result(lambda: str(written.page), written.as_json)
    return 0
