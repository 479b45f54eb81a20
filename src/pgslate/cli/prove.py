"""pgslate prove: one slice, applied to an empty scratch database and compared with the whole catalog."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("prove")
@options.takes(options.SELECTION, options.FORM, options.CATALOG)
def command(asked: Asked) -> int:
    """Prove the slice for the selection, now, and show the proof."""
    from pgslate.report import prove as report
    from pgslate.verbs.prove import prove

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        proven = prove(resolve.chosen(asked, project))
    output.result(lambda: report.text(proven), proven.as_json)
    return 0
