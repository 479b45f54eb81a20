"""pgslate lock: trace, slice and prove; write pgslate.lock, or check it."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("lock")
@options.takes(options.CATALOG)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 and say what is stale, if anything is.")
@click.option("--workers", type=click.IntRange(1, 64), metavar="N", help="Servers that prove side by side.")
@click.option("--strict", is_flag=True, help="Fail where tracing can't see something and no hint says it.")
def command(asked: Asked, check: bool, workers: int | None, strict: bool) -> int:
    """Trace the catalog, prove the slice of every table and contract in every form, write pgslate.lock.

    Commit it beside the catalog: with it nothing is traced, and a review sees what a migration changes.
    """
    from pgslate.project.project import Project
    from pgslate.report import lock as report
    from pgslate.verbs.lock import check_lock, lock

    output = Output(asked)
    if check:
        found = check_lock(resolve.project(asked), strict=strict)
        output.result(lambda: report.check(found), found.as_json)
        return 0 if found.ok else 1
    with (
        resolve.traced(asked, output, Project.trace_for_lock) as project,
        output.progress("proving", "slices") as advance,
    ):
        locked = lock(
            project,
            workers=workers,
            proving=lambda done, total: advance(done - 1, total, "slices"),
            strict=strict,
        )
    output.result(lambda: report.text(locked), locked.as_json)
    return 4 if locked.unproved else 0
