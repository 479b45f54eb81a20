"""pgslate plan: what would run, and why; what would not, and why not."""

from __future__ import annotations

import click

from pgslate.cli import opening, options
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("plan")
@options.takes(
    options.SELECTION, options.FORM, options.TARGET, options.LEDGER, options.AS_OF, options.CATALOG
)
def command(asked: Asked) -> int:
    """What would run for the TABLEs (or for all), and why; what would not, and why not.

    Without a target, the plan is for an empty database, and needs none.
    """
    from pgslate.report import plan as report

    output = Output(asked)
    with opening.traced(asked, output) as project:
        chosen = project.slice(opening.selection(asked, project), form=asked.form)
        output.result(lambda: report.text(chosen), lambda: report.document(chosen))
    return 0
