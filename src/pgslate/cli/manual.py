"""The reference of the command line, as Markdown: what `make docs` writes into docs/cli.md."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from pgslate.cli.commands import VERBS, root

_HEAD = """\
# The command line

Made by `make docs` from what `--help` prints. What a verb does, the library's function of the same name
does: see its docstring.

Exit status: 0 as asked; 1 the answer is no (differences, something stale); 2 usage; 3 the target can't be
reached or used; 4 a migration failed or may not run; 130 interrupted. With `--format json` stdout is one
JSON document, whatever happens: an error has `error`, `message`, `place` and `fix`; for the log the error
is on stderr, too.
"""


def manual() -> str:
    """The whole reference."""
    return _HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    top = click.Context(root, info_name="pgslate", terminal_width=100, **root.context_settings)
    for verb, _, _ in VERBS:
        command = root.get_command(top, verb)
        if command is not None:
            yield from _section(command, f"pgslate {verb}", top)


def _section(command: click.Command, name: str, above: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=above, terminal_width=100)
    yield f"\n## {name}\n\n```\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            if found is not None:
                yield from _section(found, f"{name} {sub}", context)


if __name__ == "__main__":
    sys.stdout.write(manual())
