"""pgslate snapshot: the final DDL of just what the selection needs."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("snapshot")
@options.takes(options.SELECTION, options.CATALOG)
@click.option("--major", type=int, metavar="N", help="PostgreSQL's major version to write it for.")
def command(asked: Asked, major: int | None) -> int:
    """Print the final DDL, and the rows that migrations seeded, of what the selection requires.

    It is SQL for one transaction on an empty database: `pgslate snapshot users | psql -1 ...` A table comes
    after those that it refers to, with its keys in it.
    """
    from pgslate.verbs.snapshot import snapshot

    output = Output(asked)
    with resolve.traced(asked, output) as project:
        found = snapshot(resolve.chosen(asked, project), major=major)
    output.result(lambda: found.sql, found.as_json)
    return 0
