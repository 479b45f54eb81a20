"""pgslate partitions: rolling partitions, by the policies of pgslate.toml."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from pgslate.cli import options, resolve
from pgslate.cli.options import Asked
from pgslate.cli.output import Output
from pgslate.errors import UsageError
from pgslate.project.configuration import suggestion

if TYPE_CHECKING:
    from pgslate.partitions.policy import PartitionPolicy
    from pgslate.project.project import Project

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
    from pgslate.partitions.ensure import survey
    from pgslate.report import partitions as report

    output = Output(asked)
    project = resolve.project(asked)
    wanted = _policies(project, asked.tables)
    with resolve.target(asked, output, project) as target, target.connect(autocommit=True) as connection:
        found = [survey(connection, policy, as_of=asked.as_of, also=also) for policy, also in wanted]
    output.result(
        lambda: report.text(found),
        lambda: {"ok": all(s.ok for s in found), "tables": [s.as_json() for s in found]},
    )
    return 0 if all(one.ok for one in found) else 1


@command.command("ensure")
@options.takes(_TABLES, options.TARGET, options.AS_OF, options.CATALOG)
def ensure_(asked: Asked) -> int:
    """Make the partitions that the TABLEs (or all with a policy) lack.

    A TABLE may be the name of a partition, as the policy would name it: then that one is made, too.
    """
    from pgslate.partitions.ensure import ensure
    from pgslate.report import partitions as report

    output = Output(asked)
    project = resolve.project(asked)
    wanted = _policies(project, asked.tables)
    limit: dict[str, Any] = {"timeout": asked.timeout} if asked.timeout else {}
    with resolve.target(asked, output, project) as target, target.connect(autocommit=True) as connection:
        done = [ensure(connection, policy, as_of=asked.as_of, also=also, **limit) for policy, also in wanted]
    output.result(lambda: report.ensured(done), lambda: {"tables": [each.as_json() for each in done]})
    return 0


def _policies(project: Project, tables: Iterable[str]) -> list[tuple[PartitionPolicy, tuple[str, ...]]]:
    """The policies of the tables, or all, each with the partitions that were asked for by name."""
    policies = project.policies
    if not policies:
        raise UsageError("no table has a partition policy", fix="add [partitions.TABLE] to pgslate.toml")
    wanted: dict[str, list[str]] = {} if tuple(tables) else {table: [] for table in policies}
    for name in tables:
        table = next((t for t in policies if name in (t, t.rpartition(".")[2], f"public.{t}")), None)
        if table is None:
            table = next((t for t, policy in policies.items() if policy.window_of(name) is not None), None)
            if table is None:
                raise UsageError(f"{name!r} has no partition policy", fix=suggestion(name, policies))
            wanted.setdefault(table, []).append(name)
        else:
            wanted.setdefault(table, [])
    return [(policies[table], tuple(also)) for table, also in wanted.items()]
