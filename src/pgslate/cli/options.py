"""The options that verbs share, so that each is spelled, explained and checked once.

@click.command("plan")
@options.takes(options.SELECTION, options.TARGET, options.CATALOG)
def command(asked: Asked) -> int: ...
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pgslate.slices.slice import Form

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The shared options of a command line; an option that the verb doesn't take has its default."""

    tables: tuple[str, ...] = ()
    contract: tuple[str, ...] = ()
    all_contracts: bool = False
    bundle: tuple[str, ...] = ()
    form: Form = "files"
    dsn: str | None = None
    kube: tuple[str, ...] = ()
    kubeconfig: str | None = None
    context: str | None = None
    user: str | None = None
    database: str | None = None
    embedded: bool = False
    timeout: float | None = None
    at_once: int = 8
    catalog: str | None = None
    catalog_format: str | None = None
    define: Mapping[str, str] = field(default_factory=dict)
    skip_code: bool = False
    config: str | None = None
    as_of: dt.datetime | None = None
    allow_out_of_order: bool = False
    accept_edited: tuple[str, ...] = ()
    nothing_else: bool = False
    allow: tuple[str, ...] = ()
    assume_applied: tuple[str, ...] = ()
    output: str = "text"
    verbose: bool = False
    debug: bool = False


class Seconds(click.ParamType[Any]):
    """A number of seconds that is more than none."""

    name = "seconds"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> float:
        try:
            seconds = float(str(value).removesuffix("s"))
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < float("inf"):
            self.fail(f"{value!r} is no number of seconds above 0", parameter, context)
        return seconds


class Moment(click.ParamType[Any]):
    """A day or a moment, in UTC where it doesn't say otherwise."""

    name = "moment"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> dt.datetime:
        try:
            moment = dt.datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is no day or moment: write 2026-07-01 or 2026-07-01T12:00:00Z", parameter, context
            )
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def _defines(context: click.Context, parameter: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    for one in given:
        name, equals, _ = one.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{one!r} is not NAME=VALUE", context, parameter)
    return {name: value for name, _, value in (one.partition("=") for one in given)}


SELECTION: tuple[Decorator, ...] = (
    click.argument("tables", nargs=-1, metavar="[TABLE]..."),
    click.option(
        "--contract", multiple=True, metavar="NAME", help="The tables of a contract of pgslate.toml."
    ),
    click.option("--all-contracts", is_flag=True, help="The tables of every contract of pgslate.toml."),
    click.option("--bundle", multiple=True, metavar="NAME", help="The tables of a bundle of pgslate.toml."),
)
FORM: tuple[Decorator, ...] = (
    click.option(
        "--form",
        type=click.Choice(["files", "statements", "objects"]),
        default="files",
        show_default=True,
        help="Whole migrations; or, on an empty database, only the statements or the final objects.",
    ),
)
CLUSTER: tuple[Decorator, ...] = (
    click.option("--kubeconfig", metavar="FILE", help="Which kubeconfig.  [default: as kubectl does it]"),
    click.option("--context", metavar="NAME", help="Which of its contexts.  [default: the current one]"),
)
TIMEOUT: tuple[Decorator, ...] = (
    click.option(
        "--timeout", type=Seconds(), metavar="SECONDS", help="How long to wait for the server and the lock."
    ),
)
TARGET: tuple[Decorator, ...] = (
    click.option(
        "--dsn",
        metavar="URL",
        help="A libpq URL or conninfo. Else PGSLATE_DSN, or libpq's own variables (PGHOST, PGDATABASE, ...).",
    ),
    click.option(
        "--kube",
        multiple=True,
        metavar="NAMESPACE[/SERVICE[:PORT]]",
        help="PostgreSQL in a Kubernetes namespace.",
    ),
    *CLUSTER,
    click.option("--user", metavar="ROLE", help="With --kube: log in as this role."),
    click.option("--database", metavar="NAME", help="With --kube: which database."),
    click.option(
        "--embedded",
        is_flag=True,
        help="The server of `pgslate up`; where none is up, apply and plan take one that is gone afterwards.",
    ),
    *TIMEOUT,
)
# for verbs that take several --kube
MANY: tuple[Decorator, ...] = (
    click.option(
        "--at-once",
        type=click.IntRange(1, 256),
        metavar="N",
        default=8,
        show_default=True,
        help="With several --kube, or one for each contract ({contract} in it): how many side by side.",
    ),
)
CATALOG: tuple[Decorator, ...] = (
    click.option(
        "--catalog",
        metavar="DIR",
        help="The folder of migrations, with its own pgslate.toml, if any.  [default: as pgslate.toml says]",
    ),
    click.option("--catalog-format", metavar="NAME", help="Its format.  [default: found by looking]"),
    click.option(
        "--define",
        multiple=True,
        callback=_defines,
        metavar="NAME=VALUE",
        help="The value of a variable in templated SQL.",
    ),
    click.option(
        "--skip-code",
        is_flag=True,
        help="Leave out migrations written in a programming language: other tools run them.",
    ),
    click.option(
        "--config",
        metavar="FILE",
        help="A pgslate.toml or pyproject.toml.  [default: the nearest, upward]",
    ),
)
AS_OF: tuple[Decorator, ...] = (
    click.option(
        "--as-of",
        type=Moment(),
        metavar="DAY",
        help="The day that partitions are counted from, in UTC.  [default: the server's clock]",
    ),
)
STRICT: tuple[Decorator, ...] = (
    click.option(
        "--nothing-else", is_flag=True, help="Also report what the database holds and no migration makes."
    ),
    click.option(
        "--allow",
        multiple=True,
        metavar="NAME",
        help="An object, or a pattern such as dba_*, that may be there though no migration makes it.",
    ),
)
LEDGER: tuple[Decorator, ...] = (
    click.option(
        "--allow-out-of-order", is_flag=True, help="Run migrations that come below the last applied one."
    ),
    click.option(
        "--accept-edited",
        multiple=True,
        metavar="FILE",
        help="Take the edit of an applied migration for what was applied.",
    ),
    click.option(
        "--assume-applied",
        multiple=True,
        metavar="FILE",
        help="Record a file (or a pattern, or all) as applied without running it: other means did.",
    ),
)
_OUTPUT: tuple[Decorator, ...] = (
    click.option(
        "--format",
        "output",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or for programs: one JSON document on stdout.",
    ),
    click.option("--verbose", "-v", is_flag=True, help="Say more, on stderr."),
    click.option("--debug", is_flag=True, help="Print the traceback of an error, on stderr."),
)

_SHARED = frozenset(f.name for f in fields(Asked))


def takes(*groups: tuple[Decorator, ...]) -> Decorator:
    """Give a verb the options of ``groups`` and of output, as one ``Asked``; its own options come beside."""

    def decorate(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def gathered(**options: Any) -> Any:
            shared = {name: options.pop(name) for name in list(options) if name in _SHARED}
            return verb(Asked(**shared), **options)

        wrapped: Callable[..., Any] = gathered
        for option in reversed([option for group in (*groups, _OUTPUT) for option in group]):
            wrapped = option(wrapped)
        return wrapped

    return decorate
