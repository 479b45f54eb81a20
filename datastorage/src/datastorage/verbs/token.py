"""``datastorage token``: a new bearer token."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("token")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(["read", "write", "hold"]), required=True)
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="Append the line to this file.")
def command(name: str, scopes: tuple[str, ...], file: Path | None) -> None:
    """Make a token for NAME: the secret is printed once, and kept nowhere; its hash goes into the file."""
    from datastorage.server.auth import create_token

    if not name.strip() or any(c.isspace() for c in name) or name.startswith("#"):
        raise click.BadParameter("a name has no spaces, and doesn't start with #", param_hint="NAME")
    secret, token = create_token(name, frozenset(scopes))
    if file:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(token.line() + "\n")
    else:
        click.echo(f"for the file of tokens: {token.line()}", err=True)
    click.echo(secret)
