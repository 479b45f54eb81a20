"""pgslate apply: apply what the tables need, then verify."""

from __future__ import annotations

import click

from pgslate.cli import opening, options
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("apply")
@options.takes(
    options.SELECTION, options.FORM, options.TARGET, options.LEDGER, options.AS_OF, options.CATALOG
)
def command(asked: Asked) -> int:
    """Apply what the TABLEs (or all) need to the target, make the partitions of the policies, then verify.

    What stands already is left alone. Running again after a failure, or an interruption, goes on from there.
    """
    from pgslate.provisioning import provision
    from pgslate.report import apply as report

    output = Output(asked)
    with opening.traced(asked, output) as project:
        selection = opening.selection(asked, project)
        chosen = project.slice(selection, form=asked.form)
        with opening.target(asked, output, project, chosen) as target, output.applying() as progress:
            done = provision(
                project,
                chosen,
                target,
                selection=selection,
                as_of=asked.as_of,
                allow_out_of_order=asked.allow_out_of_order,
                accept_edited=asked.accept_edited,
                assume_applied=asked.assume_applied,
                timeout=asked.timeout,
                progress=progress,
            )
            label = target.label
    output.result(lambda: report.text(done, label), lambda: report.document(done))
    return 0
