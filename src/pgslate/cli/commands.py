"""The verbs: one module each, imported when it is used, so that ``--help`` costs next to nothing.

To add one, write ``cli/NAME.py`` with a click command ``command``, and give it its line here. The library has
a function (or, for a verb with verbs of its own, a module) of the same name.
"""

from __future__ import annotations

import importlib

import click

# In the order in which people meet them: (verb, module, what --help says).
VERBS: tuple[tuple[str, str, str], ...] = (
    ("plan", "plan", "What would run, and why; what would not, and why not."),
    ("apply", "apply", "Apply what the tables need, then verify."),
    ("verify", "verify", "Compare what is there with what should be."),
    ("status", "status", "What the ledger holds, what is pending, what was edited."),
    ("adopt", "adopt", "Take over a database that another migration tool has migrated."),
    ("up", "up", "An embedded server with that schema; prints its DSN."),
    ("down", "down", "Stop what `up` started."),
    ("lock", "lock", "Trace, slice and prove; write pgslate.lock, or --check it."),
    ("prove", "prove", "One slice, proved now on a scratch server."),
    ("snapshot", "snapshot", "The final DDL of just what the tables need."),
    ("affected", "affected", "The contracts whose slice changed since a git revision."),
    ("why", "why", "The chain of reasons: for a table, or for a migration."),
    ("lint", "lint", "What will hurt: in migrations, and in the tables that they make."),
    ("explore", "explore", "The catalog as a page to look at: writes catalog.html."),
    ("partitions", "partitions", "Rolling partitions, by policy."),
    ("clone", "clone", "A database for one test; prints its DSN."),
    ("reap", "reap", "Drop what tests left behind."),
    ("serve", "serve", "Databases for tests over HTTP, in any language."),
    ("forward", "forward", "A local port that leads to PostgreSQL in a Kubernetes namespace."),
    ("kube", "kube", "The Job that applies a contract inside a Kubernetes cluster."),
)


class Verbs(click.Group):
    """A group that knows its verbs by name and imports the one that is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        return [verb for verb, _, _ in VERBS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        for verb, module, _ in VERBS:
            if verb == name:
                command: click.Command = importlib.import_module(f"pgslate.cli.{module}").command
                return command
        return None

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(context):
            from pgslate.errors import UsageError
            from pgslate.project.configuration import suggestion

            raise UsageError(
                f"there is no verb {args[0]!r}", fix=suggestion(args[0], self.list_commands(context))
            )
        return super().resolve_command(context, args)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, summary) for verb, _, summary in VERBS])


def _version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked:
        from importlib import metadata

        try:
            found = metadata.version("pgslate")
        except metadata.PackageNotFoundError:
            found = "(from a source tree that is not installed)"
        click.echo(f"pgslate {found}")
        context.exit()


@click.command(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=False,
    invoke_without_command=True,
    epilog="Exit status: 0 as asked, 1 the answer is no, 2 usage, 3 the target can't be reached, "
    "4 a migration failed, 130 interrupted.",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
@click.option(
    "--debug", is_flag=True, expose_value=False, help="Print the traceback of an error; also after the verb."
)
@click.pass_context
def root(context: click.Context) -> None:
    """Name the tables. Get exactly the schema they need, proved, on any PostgreSQL.

    \b
        pgslate plan users           what the table users needs of ./migrations, and why
        pgslate up users             an embedded server with it; prints its DSN
        pgslate apply users --dsn postgresql://localhost/test
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
