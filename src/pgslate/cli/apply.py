"""pgslate apply: apply what the tables need, then verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output

if TYPE_CHECKING:
    from pgslate.project.project import Project
    from pgslate.slices.slice import Slice
    from pgslate.verbs.apply import ApplyResult


@click.command("apply")
@options.takes(
    options.SELECTION,
    options.FORM,
    options.TARGET,
    options.MANY,
    options.LEDGER,
    options.AS_OF,
    options.CATALOG,
)
def command(asked: Asked) -> int:
    """Apply what the TABLEs (or all) need to the target, verify it, and make the partitions of the policies.

    What stands already is left alone, and verified, too. Running again after a failure, or an
    interruption, goes on from there. Several --kube are done side by side.
    """
    from pgslate.report import apply as report

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        parts = resolve.apart(asked, project)
        if len(parts) == 1:
            done, label = _applied(asked, output, project, resolve.chosen(asked, project))
        else:
            from pgslate.cli.several_targets import Answer, on_each

            chosen = {part.kube: resolve.chosen(part, project) for part in parts}

            def one(part: Asked, its_output: Output) -> Answer:
                done, label = _applied(part, its_output, project, chosen[part.kube])
                return Answer(report.text(done, label), done.as_json())

            return on_each(parts, asked, output, one)
    output.result(lambda: report.text(done, label), done.as_json)
    return 0


def _applied(asked: Asked, output: Output, project: Project, chosen: Slice) -> tuple[ApplyResult, str]:
    """What was done to the target, and its label."""
    from pgslate.execution.slice_run import LOCK_TIMEOUT
    from pgslate.verbs.apply import apply

    with resolve.target(asked, output, project, chosen) as target, output.applying() as progress:
        done = apply(
            chosen,
            target,
            lock_timeout=asked.timeout or LOCK_TIMEOUT,
            allow_out_of_order=asked.allow_out_of_order,
            accept_edited=asked.accept_edited,
            assume_applied=asked.assume_applied,
            as_of=asked.as_of,
            progress=progress,
        )
        return done, target.label
