"""pgslate status: what the ledger holds, what is pending, what was edited."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("status")
@options.takes(options.TARGET, options.CATALOG)
def command(asked: Asked) -> int:
    """What the target's ledger holds; what is pending; what was edited or lost. Needs no trace."""
    from pgslate.report import status as report
    from pgslate.verbs.status import status

    output = Output(asked)
    project = resolve.project(asked)
    with resolve.target(asked, output, project) as target:
        found = status(project, target)
        label = target.label
    output.result(lambda: report.text(found, label), found.as_json)
    return 0
