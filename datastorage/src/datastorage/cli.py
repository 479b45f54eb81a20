"""``datastorage``: the service's command line; each verb is imported when it is used.

Exit status: 0 as asked; 1 the answer is no; 2 usage; 3 the database or the service can't be reached.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module

import click

#: Each verb is the command of its name in a module of ``datastorage.verbs``, and what `--help` says of it.
VERBS = {
    "serve": "Serve the HTTP API.",
    "emit": "Replay a service's typical run through the client.",
    "load": "Post events as fast as asked, and say how long that took.",
    "retention": "Drop the months that may go; a dry run without --drop.",
    "verify-chain": "Recompute every hash and link, and name what was tampered with.",
    "token": "Make a token, and the line to keep of it.",
    "grant": "Let a role insert and select, and nothing else.",
}


class _Lazy(click.Group):
    """Knows the verbs' names and one-liners without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"datastorage.verbs.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def root() -> None:
    """Audit events of seven services, kept in PostgreSQL."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line; gives its exit status."""
    try:
        status = root.main(None if args is None else list(args), "datastorage", standalone_mode=False)
    except click.exceptions.Exit as asked:
        return asked.exit_code
    except click.ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return 130
    except Exception as error:
        return _exit_status(error)
    return status if isinstance(status, int) else 0


def dsn_option(text: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """``--dsn``, or DATASTORAGE_DSN."""
    return click.option("--dsn", envvar="DATASTORAGE_DSN", required=True, metavar="URL", help=text)


def _exit_status(error: Exception) -> int:
    """Errors of the database and of the file system, for the reader; a fault of ours keeps its traceback."""
    import psycopg

    from pgslate.errors import PgslateError

    if isinstance(error, PgslateError):
        click.echo(f"datastorage: {error}", err=True)
        return error.exit_status
    if isinstance(error, psycopg.OperationalError):
        click.echo(f"datastorage: the database can't be reached: {_without_password(str(error))}", err=True)
        return 3
    if isinstance(error, psycopg.Error | OSError | ValueError):
        click.echo(f"datastorage: {_without_password(str(error))}", err=True)
        return 3 if isinstance(error, ConnectionError) else 2
    raise error


def _without_password(text: str) -> str:
    """The text without passwords: an error quotes a URL that could not be parsed as a whole."""
    import re

    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1@", re.sub(r"password=\S+", "password=...", text))


if __name__ == "__main__":
    sys.exit(main())
