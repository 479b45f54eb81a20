"""pgslate why: the chain of reasons, both ways."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("why")
@click.argument("name", metavar="TABLE|MIGRATION", required=False)
@options.takes(options.CATALOG)
def command(asked: Asked, name: str | None) -> int:
    """What TABLE needs, and why; or who needs MIGRATION (a version or file), and why.

    Without either, lists the tables there are, each with how many migrations it needs.
    """
    from pgslate.report import why as report
    from pgslate.verbs.why import why

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        answer = why(project) if name is None else why(project, name)
    output.result(lambda: report.text(answer), answer.as_json)
    return 0
