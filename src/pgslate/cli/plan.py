"""pgslate plan: what would run, and why; what would not, and why not."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
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
    from pgslate.verbs.plan import plan

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        chosen = resolve.chosen(asked, project)
        with resolve.target_if_named(asked, output, project, chosen) as target:
            found = plan(
                chosen,
                target,
                allow_out_of_order=asked.allow_out_of_order,
                accept_edited=asked.accept_edited,
                assume_applied=asked.assume_applied,
            )
    output.result(lambda: report.text(found, chosen, every=asked.verbose), found.as_json)
    return 0
