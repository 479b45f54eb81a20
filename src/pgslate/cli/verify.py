"""pgslate verify: compare what is there with what should be."""

from __future__ import annotations

import click

from pgslate.cli import opening, options
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("verify")
@options.takes(options.SELECTION, options.TARGET, options.AS_OF, options.CATALOG)
def command(asked: Asked) -> int:
    """Compare what the TABLEs (or all) need with what the database holds; exit 1 where it differs."""
    from pgslate.provisioning import check
    from pgslate.report import verify as report

    output = Output(asked)
    with opening.traced(asked, output) as project:
        selection = opening.selection(asked, project)
        chosen = project.slice(selection)
        with opening.target(asked, output, project) as target:
            result = check(project, chosen, target, selection=selection, as_of=asked.as_of)
            output.result(lambda: report.text(result, chosen, target.label), result.as_json)
    return 0 if result.ok else 1
