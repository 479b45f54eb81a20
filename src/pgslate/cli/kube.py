"""pgslate kube: what runs pgslate inside a Kubernetes cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click

from pgslate.cli import options
from pgslate.cli.options import Asked
from pgslate.cli.output import Output
from pgslate.errors import UsageError

if TYPE_CHECKING:
    from pgslate.verbs.kube import Database

DEADLINE = 600.0  # seconds

# Where a chart brings its database along, the schema comes after it.
AFTER_INSTALL = "post-install,post-upgrade"


@click.group("kube", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """What runs pgslate inside a Kubernetes cluster."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@command.command("job")
@options.takes(options.FORM)
@click.option(
    "--contract", multiple=True, required=True, metavar="NAME", help="The contract; several: a Job for each."
)
@click.option(
    "--init-container", is_flag=True, help="Instead, the part of a pod's spec that applies it first."
)
@click.option(
    "--hook",
    is_flag=False,
    flag_value=AFTER_INSTALL,
    metavar="[WHEN]",
    help=f"A Helm hook: {AFTER_INSTALL}, where the chart brings its database along; or "
    "--hook=pre-install,pre-upgrade, where that is there before.",
)
@click.option(
    "--image", metavar="IMAGE", default="pgslate:latest", show_default=True, help="With the catalog."
)
@click.option("--namespace", metavar="NAME", help="The Job's.  [default: what kubectl takes]")
@click.option(
    "--service", metavar="NAME", default="postgresql", show_default=True, help="PostgreSQL's, there."
)
@click.option("--host", metavar="HOST", help="Another host, instead of a service.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    default=5432,
    show_default=True,
    help="With --host.",
)
@click.option("--user", metavar="ROLE", help="Log in as this role: this or --user-key has to be given.")
@click.option("--database", metavar="NAME", help="Which database.  [default: of the role's name]")
@click.option(
    "--secret", metavar="NAME", default="postgresql-secret", show_default=True, help="With the password."
)
@click.option(
    "--password-key",
    metavar="KEY",
    default="POSTGRES_PASSWORD",
    show_default=True,
    help="Under which key it is there.",
)
@click.option("--user-key", metavar="KEY", help="The role is in the Secret too, under this key.")
@click.option("--database-key", metavar="KEY", help="The database's name is in the Secret too.")
@click.option("--catalog", metavar="DIR", help="A folder of the image.  [default: as its pgslate.toml says]")
@click.option("--config-map", metavar="NAME", help="A ConfigMap with pgslate.toml and the catalog's files.")
@click.option(
    "--timeout",
    type=options.Seconds(),
    metavar="SECONDS",
    default=DEADLINE,
    show_default=True,
    help="For all the Job's tries together.",
)
@click.option(
    "--config", metavar="FILE", help="Where contracts are looked up.  [default: the nearest, upward]"
)
def job_(
    asked: Asked,
    init_container: bool,
    hook: str | None,
    image: str,
    namespace: str | None,
    config_map: str | None,
    **database: Any,
) -> int:
    """Print the Job that applies a contract and verifies it, as `kubectl apply -f -` takes it.

    It needs no rights in the cluster. Run again, or beside another, it ends up where one would.
    """
    from pgslate.verbs import kube

    _check(asked, init_container=init_container, with_job_options=bool(hook or namespace))
    shared: dict[str, Any] = {
        "image": image,
        "database": _database(asked, **database),
        "catalog": asked.catalog or "",
        "config_map": config_map or "",
        "form": "" if asked.form == "files" else asked.form,
    }
    if init_container:
        made = [kube.init_container(asked.contract[0], **shared)]
    else:
        made = [
            kube.job(
                name,
                namespace=namespace or "",
                hook=hook or "",
                timeout=math.ceil(asked.timeout or DEADLINE),
                **shared,
            )
            for name in asked.contract
        ]
    Output(asked).result(lambda: kube.to_yaml(*made), lambda: _document(made))
    return 0


def _check(asked: Asked, *, init_container: bool, with_job_options: bool) -> None:
    """Raise UsageError for what makes no sense together, and for a contract that isn't here."""
    if init_container and with_job_options:
        raise UsageError("--init-container is a part of a pod", fix="drop --hook and --namespace")
    if init_container and len(asked.contract) > 1:
        raise UsageError("--init-container takes one --contract", fix="print each, and merge the lists")
    from pgslate.project.configuration import Config

    config = Config.load(asked.config) if asked.config else Config.find()
    if config.file:
        for name in asked.contract:
            config.contract(name)


def _database(
    asked: Asked,
    *,
    service: str,
    host: str | None,
    port: int,
    secret: str,
    password_key: str,
    user_key: str | None,
    database_key: str | None,
) -> Database:
    from pgslate.verbs.kube import Database

    return Database(
        service=service,
        host=host or "",
        port=port,
        user=asked.user or "",
        name=asked.database or "",
        secret=secret,
        password_key=password_key,
        user_key=user_key or "",
        name_key=database_key or "",
    )


def _document(made: list[dict[str, Any]]) -> dict[str, Any]:
    """One object; several as Kubernetes' own List."""
    return made[0] if len(made) == 1 else {"apiVersion": "v1", "kind": "List", "items": made}
