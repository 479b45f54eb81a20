"""pgslate verify: compare what is there with what should be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output

if TYPE_CHECKING:
    from pgslate.project.project import Project
    from pgslate.slices.slice import Slice
    from pgslate.verbs.verify import VerifyResult


@click.command("verify")
@options.takes(
    options.SELECTION, options.TARGET, options.MANY, options.AS_OF, options.STRICT, options.CATALOG
)
def command(asked: Asked) -> int:
    """Compare what the TABLEs (or all) need with what the database holds; exit 1 where it differs.

    Several --kube are looked at side by side.
    """
    from pgslate.report import verify as report

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        parts = resolve.apart(asked, project)
        if len(parts) == 1:
            chosen = resolve.chosen(asked, project)
            result, label = _verified(asked, output, project, chosen)
        else:
            from pgslate.cli.several_targets import Answer, on_each

            each = {part.kube: resolve.chosen(part, project) for part in parts}

            def one(part: Asked, its_output: Output) -> Answer:
                result, label = _verified(part, its_output, project, each[part.kube])
                result.raise_for_differences()
                return Answer(report.text(result, each[part.kube], label), result.as_json())

            return on_each(parts, asked, output, one)
    output.result(lambda: report.text(result, chosen, label), result.as_json)
    return 0 if result.ok else 1


def _verified(asked: Asked, output: Output, project: Project, chosen: Slice) -> tuple[VerifyResult, str]:
    """How the target differs from the slice, and the target's label."""
    from pgslate.verbs.verify import verify

    with resolve.target(asked, output, project) as target:
        return verify(
            chosen, target, as_of=asked.as_of, nothing_else=asked.nothing_else, allow=asked.allow
        ), target.label
