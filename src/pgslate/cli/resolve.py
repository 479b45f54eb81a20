"""From the shared options to what the library takes: a project, a selection, a target."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pgslate.catalog.migration import Migration
from pgslate.cli.options import Asked
from pgslate.cli.output import Output
from pgslate.errors import TargetError, UsageError
from pgslate.project.project import Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pgslate.slices.slice import Slice
    from pgslate.targets.target import Target

# Seconds to wait for a server, and for a pod that may still be pulling its image.
SERVER_TIMEOUT, CLUSTER_TIMEOUT = 10.0, 120.0

# what stands for the name of a contract in --kube
CONTRACT = "{contract}"

NO_TARGET_FIX = "give --dsn URL (or set PGSLATE_DSN, or PGHOST), --kube NAMESPACE, or --embedded"

ONE_ONLY = "this verb takes one target, and --kube names several"
ONE_ONLY_FIX = "run it once for each; apply and verify take several"


def project(asked: Asked) -> Project:
    """The project that the command line, or else the nearest configuration, names."""
    return Project.open(
        asked.catalog,
        format=asked.catalog_format,
        defines=asked.define,
        skip_code=asked.skip_code,
        config=asked.config,
    )


@contextmanager
def traced(
    asked: Asked, output: Output, make: Callable[[Project, Target | None], object] = Project.trace_in
) -> Iterator[Project]:
    """The project with its trace at hand, and progress shown if ``make`` has to make it."""
    opened = project(asked)
    output.note(f"{opened.catalog.root}: {opened.catalog.format} format ({opened.catalog.evidence})")
    others = opened.catalog.passed_over
    if others:
        some = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        output.say(
            f"not migrations of the {opened.catalog.format} format, and left out: {some}"
            " (ignore = [...] in pgslate.toml says that they are none)"
        )
    with output.progress("tracing") as advance:

        def tell(done: int, total: int, migration: Migration, line: int) -> None:
            advance(done, total, f"{migration.shown}:{line}" if line else migration.shown)

        opened = Project(opened.catalog, opened.config, tell, output.say)
        try:
            make(opened, None)
        except TargetError:
            # no server here can run the catalog: the target's own may
            if not (asked.dsn or asked.kube) or asked.embedded:
                raise
            from pgslate.trace.scratch_server import scratch_database

            with target(apart(asked, opened)[0], output, opened) as found, scratch_database(found) as scratch:
                make(opened, scratch)
    yield opened


def chosen(asked: Asked, opened: Project) -> Slice:
    """The slice for the tables, contracts and bundles of the command line."""
    contracts = _contracts(asked, opened)
    return opened.slice(*asked.tables, contract=contracts, bundle=asked.bundle, form=asked.form)


def apart(asked: Asked, opened: Project) -> tuple[Asked, ...]:
    """The command line of each target: one for each --kube, or for each contract where it has ``{contract}``.

    Raises UsageError for what is no address, where one is named twice, or ``{contract}`` stands for none.
    """
    if not asked.kube:
        return (asked,)
    names_target(asked)  # it alone is to be named
    from pgslate.targets.kubernetes import split_address

    parts: dict[str, Asked] = {}
    for address in asked.kube:
        for one in _apart(address, asked, opened):
            split_address(one.kube[0])
            if one.kube[0] in parts:
                raise UsageError(f"--kube {one.kube[0]} is named twice", fix="name each target once")
            parts[one.kube[0]] = one
    return tuple(parts.values())


def _apart(address: str, asked: Asked, opened: Project) -> Iterator[Asked]:
    if CONTRACT not in address:
        yield replace(asked, kube=(address,))
        return
    contracts = _contracts(asked, opened)
    if not contracts:
        raise UsageError(
            f"--kube {address} stands for one target a contract, and no contract is named",
            fix="add --contract NAME, or --all-contracts",
        )
    for name in contracts:
        yield replace(asked, kube=(address.replace(CONTRACT, name),), contract=(name,), all_contracts=False)


def _contracts(asked: Asked, opened: Project) -> tuple[str, ...]:
    if not asked.all_contracts:
        return tuple(dict.fromkeys(asked.contract))
    if asked.contract:
        raise UsageError("--contract and --all-contracts contradict each other", fix="keep one of them")
    if not opened.config.contracts:
        raise UsageError("--all-contracts: there are none", fix="add [contracts.NAME] to pgslate.toml")
    return tuple(opened.config.contracts)


def names_target(asked: Asked) -> bool:
    """Whether the command line or the environment says where a database is. Raises UsageError for two."""
    from pgslate.targets.environment import from_environment

    given = [
        name
        for name, value in (("--dsn", asked.dsn), ("--kube", asked.kube), ("--embedded", asked.embedded))
        if value
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} name more than one target", fix="keep one of them")
    for_kube = [name for name in ("kubeconfig", "context", "user", "database") if getattr(asked, name)]
    if for_kube and not asked.kube:
        raise UsageError(f"--{for_kube[0]} is for --kube", fix="add --kube NAMESPACE, or say it in the DSN")
    return bool(given) or from_environment() is not None


@contextmanager
def target(asked: Asked, output: Output, opened: Project, chosen: Slice | None = None) -> Iterator[Target]:
    """The database that the command line or the environment names, once it takes connections.

    Raises UsageError where none is named, TargetError and its kinds where it can't be reached.
    """
    if not names_target(asked):
        raise UsageError("no target: where is the database?", fix=NO_TARGET_FIX)
    if asked.embedded:
        with _embedded(output, opened, chosen) as found:
            yield found
        return
    one, *others = apart(asked, opened)
    if others:
        raise UsageError(ONE_ONLY, fix=ONE_ONLY_FIX)
    with _named(one, output) as found:
        output.note(f"target: {found.label}")
        yield found


@contextmanager
def target_if_named(asked: Asked, output: Output, opened: Project, chosen: Slice) -> Iterator[Target | None]:
    """The same for a verb that can do without a database; None where none is named."""
    if not names_target(asked):
        yield None
        return
    with target(asked, output, opened, chosen) as found:
        yield found


@contextmanager
def server(asked: Asked, output: Output) -> Iterator[Target]:
    """The same for a verb that needs no catalog: with --embedded, the server of `pgslate up`."""
    if not names_target(asked):
        raise UsageError("no target: where is the server?", fix=NO_TARGET_FIX)
    if asked.embedded:
        with _embedded(output, project(asked), None) as found:
            yield found
        return
    with _named(asked, output) as found:
        yield found


def _named(asked: Asked, output: Output) -> Target:
    if asked.kube:
        from pgslate.targets.kubernetes import service_target, split_address
        from pgslate.targets.kubernetes.readiness import Patience

        if len(asked.kube) > 1:
            raise UsageError(ONE_ONLY, fix=ONE_ONLY_FIX)
        namespace, service = split_address(asked.kube[0])
        return service_target(
            namespace,
            service=service,
            kubeconfig=asked.kubeconfig,
            context=asked.context,
            user=asked.user,
            database=asked.database,
            note=output.note,
            waiting=output.say,
            patience=Patience(asked.timeout or CLUSTER_TIMEOUT, clock=output.clock),
        )
    from pgslate.targets.dsn import wait_for
    from pgslate.targets.environment import check_environment, from_environment

    dsn = asked.dsn if asked.dsn is not None else from_environment()
    if dsn == "":
        check_environment()
    return wait_for(dsn or "", timeout=asked.timeout or SERVER_TIMEOUT, waiting=output.say)


@contextmanager
def _embedded(output: Output, opened: Project, chosen: Slice | None) -> Iterator[Target]:
    from pgslate.targets.embedded import named_server
    from pgslate.verbs.down import names_of

    names = names_of(opened)
    running = next((one for one in named_server.named_servers() if one.name in names and one.running), None)
    if running is not None:
        output.note(f"target: the server of `pgslate up`, PostgreSQL {running.server}")
        yield running.target()
        return
    if chosen is None:
        raise TargetError(
            "no embedded server is up for this project", fix="pgslate up, with the tables it should have"
        )
    from pgslate.execution.slice_run import prepare
    from pgslate.targets.embedded import embedded

    with embedded(extensions=chosen.extensions) as found:
        output.say(f"on a throw-away server ({found.label}); `pgslate up` keeps one")
        prepare(chosen, found)
        yield found
