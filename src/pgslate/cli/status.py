"""pgslate status: what the ledger holds, what is pending, what was edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output

if TYPE_CHECKING:
    from pgslate.project.project import Project
    from pgslate.slices.slice import Slice


@click.command("status")
@options.takes(options.SELECTION, options.TARGET, options.CATALOG)
def command(asked: Asked) -> int:
    """What the target's ledger holds; what is pending; what was edited or lost.

    For TABLEs, contracts or bundles, only what these need is pending. Without them no trace is needed.
    """
    from pgslate.report import status as report
    from pgslate.verbs.status import status

    output = Output(asked)
    about: Project | Slice
    if asked.tables or asked.contract or asked.all_contracts or asked.bundle:
        with resolve.traced(asked, output) as project:
            about = resolve.chosen(asked, project)
    else:
        about = project = resolve.project(asked)
    with resolve.target(asked, output, project) as target:
        found = status(about, target)
        label = target.label
    output.result(lambda: report.text(found, label), found.as_json)
    return 0
