"""pgslate adopt: take over a database that another migration tool has migrated."""

from __future__ import annotations

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output


@click.command("adopt")
@options.takes(options.TARGET, options.CATALOG)
@click.option("--tool", metavar="NAME", help="Which tool's table counts, where several are there.")
def command(asked: Asked, tool: str | None) -> int:
    """Read what another migration tool applied, verify that it is there, and record it in pgslate's ledger.

    It knows the tables of Alembic, dbmate, Diesel, Drizzle, Ecto, Flyway, golang-migrate, goose, Graphile
    Migrate, Liquibase, node-pg-migrate, Prisma, Rails, sql-migrate, Sqitch, sqlx, Supabase, tern and yoyo.
    Nothing of the catalog is run, and the tool's own table stays as it is.
    """
    from pgslate.execution.slice_run import LOCK_TIMEOUT
    from pgslate.report import adopt as report
    from pgslate.verbs.adopt import adopt

    output = Output(asked)
    with resolve.traced(asked, output) as project, resolve.target(asked, output, project) as target:
        done = adopt(project, target, tool=tool, lock_timeout=asked.timeout or LOCK_TIMEOUT)
        label = target.label
    output.result(lambda: report.text(done, label), done.as_json)
    return 0
