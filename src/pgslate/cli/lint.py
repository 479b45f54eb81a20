"""pgslate lint: what will hurt."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("lint")
@options.takes(options.CATALOG, options.AS_OF)
@click.option("--rule", "rules", multiple=True, metavar="NAME", help="Only this rule; may be given again.")
@click.option("--ignore", multiple=True, metavar="NAME", help="All rules but this; may be given again.")
@click.option(
    "--months",
    type=click.IntRange(0, 120),
    default=3,
    show_default=True,
    help="How far ahead of --as-of partitions have to reach.",
)
def command(asked: Asked, rules: tuple[str, ...], ignore: tuple[str, ...], months: int) -> int:
    """What a trace knows and a reader can't see; exit 1 where there is something.

    \b
    down               a Down that doesn't bring back the state before (it is run, on a scratch server)
    mega-migration     a migration that ties the slices of many tables together
    no-primary-key     a table without a primary key
    foreign-key-index  a foreign key that no index helps
    duplicate-index    an index that says what another one does
    partition-window   partitions that end soon, and no policy that makes more
    lock-on-rows       a heavy lock on a table into which migrations wrote rows
    breaking-change    what breaks programs of the release before, loses data, or fails on rows
    squawk             squawk's own rules, where squawk is installed; one of them: squawk/NAME
    """
    from pgslate.report import lint as report
    from pgslate.verbs.lint import lint

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        found = lint(project, rules=rules, ignore=ignore, as_of=asked.as_of, months=months)
    output.result(lambda: report.text(found), found.as_json)
    return 0 if found.ok else 1
