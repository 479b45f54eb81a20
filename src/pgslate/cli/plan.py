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

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        selection = resolve.selection(asked, project)
        chosen = project.slice(selection, form=asked.form)
        if not resolve.names_target(asked):
            found = None
        else:
            from pgslate.verbs.apply import plan_for

            with resolve.target(asked, output, project, chosen) as target:
                found = plan_for(
                    chosen,
                    target,
                    allow_out_of_order=asked.allow_out_of_order,
                    accept_edited=asked.accept_edited,
                    assume_applied=asked.assume_applied,
                )
    partitions = [name for names in selection.partitions.values() for name in names]
    output.result(
        lambda: report.text(chosen, found, partitions, every=asked.verbose),
        lambda: report.document(chosen, found, partitions),
    )
    return 0
