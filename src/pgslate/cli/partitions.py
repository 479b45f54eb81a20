"""pgslate partitions: rolling partitions, by the policies of pgslate.toml."""

from __future__ import annotations

from typing import Any

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output

_TABLES = (click.argument("tables", nargs=-1, metavar="[TABLE]..."),)


@click.group("partitions", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Rolling partitions, by the policies under [partitions] in pgslate.toml."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("list")
@options.takes(_TABLES, options.TARGET, options.AS_OF, options.CATALOG)
def list_(asked: Asked) -> int:
    """Which partitions the TABLEs (or all with a policy) have and lack; exit 1 where one is missing."""
    from pgslate.report import partitions as report
    from pgslate.verbs.partitions import list_partitions, policies_for

    output = Output(asked)
    project = resolve.project(asked)
    policies_for(project, asked.tables)  # refuse an unknown table before a server is needed
    with resolve.target(asked, output, project) as target:
        found = list_partitions(project, target, tables=asked.tables, as_of=asked.as_of)
    output.result(lambda: report.text(found.surveys), found.as_json)
    return 0 if found.ok else 1


@command.command("ensure")
@options.takes(_TABLES, options.TARGET, options.AS_OF, options.CATALOG)
def ensure_(asked: Asked) -> int:
    """Make the partitions that the TABLEs (or all with a policy) lack.

    A TABLE may be the name of a partition, as the policy would name it: then that one is made, too.
    """
    from pgslate.report import partitions as report
    from pgslate.verbs.partitions import ensure_partitions, policies_for

    output = Output(asked)
    project = resolve.project(asked)
    policies_for(project, asked.tables)  # refuse an unknown table before a server is needed
    limit: dict[str, Any] = {"lock_timeout": asked.timeout} if asked.timeout else {}
    with resolve.target(asked, output, project) as target:
        done = ensure_partitions(project, target, tables=asked.tables, as_of=asked.as_of, **limit)
    output.result(lambda: report.ensured(done.tables), done.as_json)
    return 0
