"""From the shared options to what the library takes: a project, a selection, a target."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pgslate.catalog import Migration
from pgslate.cli.options import Asked
from pgslate.cli.output import Output
from pgslate.errors import UsageError
from pgslate.project import Project, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pgslate.targets.target import Target

NO_TARGET_FIX = "give --dsn URL (or set PGSLATE_DSN, or PGHOST), --kube NAMESPACE, or --embedded"


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
def traced(asked: Asked, output: Output, scratch: Target | None = None) -> Iterator[Project]:
    """The project with its trace at hand, and progress shown if it has to be made."""
    opened = project(asked)
    with output.progress("tracing") as advance:

        def tell(done: int, total: int, migration: Migration) -> None:
            advance(done, total, migration.file)

        opened = Project(opened.catalog, opened.config, tell)
        opened.trace_in(scratch)
    if opened.catalog.evidence:
        output.note(f"{opened.catalog.root}: {opened.catalog.format} format ({opened.catalog.evidence})")
    yield opened


def selection(asked: Asked, opened: Project) -> Selection:
    """The tables, contracts and bundles of the command line."""
    return opened.selection(asked.tables, contracts=asked.contract, bundles=asked.bundle)


def names_target(asked: Asked) -> bool:
    """Whether the command line or the environment says where a database is. Raises UsageError for two."""
    from pgslate.targets.dsn import from_environment

    given = [
        name
        for name, said in (("--dsn", asked.dsn), ("--kube", asked.kube), ("--embedded", asked.embedded))
        if said
    ]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} name more than one target", fix="keep one of them")
    if not asked.kube and (asked.kubeconfig or asked.context):
        raise UsageError("--kubeconfig and --context are for --kube", fix="add --kube NAMESPACE")
    return bool(given) or from_environment() is not None
