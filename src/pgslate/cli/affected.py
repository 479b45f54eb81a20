"""pgslate affected: the contracts whose slice changed since a git revision."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("affected")
@click.argument("revision", metavar="REV")
@options.takes(options.CATALOG)
def command(asked: Asked, revision: str) -> int:
    """The contracts whose statements changed since REV, from the lock there and the catalog here.

    In CI: `pgslate affected origin/main --format json` gives `affected`, a list for a job matrix.
    """
    from pgslate.report import affected as report
    from pgslate.verbs.affected import affected

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        found = affected(project, revision)
    output.result(lambda: report.text(found), found.as_json)
    return 0
