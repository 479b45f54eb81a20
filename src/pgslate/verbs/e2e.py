"""The end-to-end tests' functions: provide a service's tables, in a Kubernetes namespace or by DSN.

    config = default_migration_config("test", kubeconfig_path)
    apply_migrations(replace(config, tables=("audit_events",)), sys.stdout)

They raise errors that can be told apart: ``ServerNotReadyError``, ``MigrationFailedError``,
``MissingTablesError``.
"""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pgslate.catalog.migration import Migration as CatalogMigration
from pgslate.errors import MigrationFailedError, MissingTablesError, ServerNotReadyError, UsageError
from pgslate.project.configuration import FILE_NAME
from pgslate.project.project import Project
from pgslate.report.live_progress import Lines
from pgslate.schema.identifiers import parts
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target
from pgslate.trace.effects import Effect, Trace
from pgslate.verbs.apply import apply
from pgslate.verbs.verify import verify

__all__ = [
    "Migration",
    "MigrationConfig",
    "MigrationFailedError",
    "MissingTablesError",
    "ServerNotReadyError",
    "apply_all_migrations",
    "apply_audit_migrations",
    "apply_migrations",
    "available_migrations",
    "default_migration_config",
    "verify_migrations",
]

AUDIT = "audit"
"""The bundle of pgslate.toml that ``apply_audit_migrations`` stands for."""


@dataclass(frozen=True, slots=True)
class MigrationConfig:
    """Which tables to provide, and where.

    ``tables`` empty means all of them. With a ``dsn`` no cluster is needed, and what names one is not looked
    at. ``timeout`` is in seconds. ``catalog`` is a ``pgslate.toml``, or a folder that has one; without it,
    the Data Storage service's.
    """

    namespace: str = ""
    kubeconfig_path: str = ""
    postgres_service: str = "postgresql"
    postgres_user: str = "slm_user"
    postgres_db: str = "action_history"
    tables: Sequence[str] = ()
    dsn: str | None = None
    timeout: float = 120.0
    catalog: str | Path | None = None


@dataclass(frozen=True, slots=True)
class Migration:
    """A migration and what it makes, as tracing saw it; ``description`` is the first sentence of its
    file's first comment."""

    name: str
    file: str
    description: str
    tables: tuple[str, ...]
    indexes: tuple[str, ...]


def default_migration_config(namespace: str, kubeconfig_path: str) -> MigrationConfig:
    """The service ``postgresql`` of a namespace, as ``slm_user`` in ``action_history``, and all tables."""
    return MigrationConfig(namespace, kubeconfig_path)


def available_migrations(catalog: str | Path | None = None) -> tuple[Migration, ...]:
    """Every migration in order, with the tables and indexes that it makes; derived, never typed in."""
    project = _project(catalog)
    found = []
    for number, migration in enumerate(project.catalog):
        effects = [project.trace.effects[index] for index in project.trace.by_migration[number]]
        found.append(
            Migration(
                name=migration.name,
                file=migration.file,
                description=_description(project, migration),
                tables=tuple(_tables_made(project.trace, effects)),
                indexes=tuple(_indexes_made(project.trace, migration, effects)),
            )
        )
    return tuple(found)


def apply_migrations(config: MigrationConfig, writer: TextIO) -> None:
    """Apply what ``config.tables`` need (or everything), then verify it; ``writer`` gets a line on each step.

    Raises ServerNotReadyError where there is no server within the timeout, another TargetError where waiting
    is no use (no such service, a right that is missing), MigrationFailedError where a migration fails,
    MissingTablesError where a table is not there in the end; and UnknownTableError for a table that no
    migration makes.
    """
    project = _project(config.catalog)
    chosen = project.slice(*config.tables)
    with _target(config, writer) as target:
        progress = Lines(lambda line: _say(writer, line))
        done = apply(chosen, target, lock_timeout=config.timeout, progress=progress)
    for name in done.partitions:
        _say(writer, f"made partition {name}")
    _say(writer, f"verified {_tables(chosen)} on {target.label}")


def apply_audit_migrations(
    namespace: str, kubeconfig_path: str, writer: TextIO, *, dsn: str | None = None, timeout: float = 120.0
) -> None:
    """Apply the bundle ``audit``: audit_events with its partitions and indexes, as every emitter needs it.

    Raises as ``apply_migrations`` does.
    """
    tables = _project(None).config.bundle(AUDIT)
    config = MigrationConfig(namespace, kubeconfig_path, tables=tables, dsn=dsn, timeout=timeout)
    apply_migrations(config, writer)


def apply_all_migrations(
    namespace: str, kubeconfig_path: str, writer: TextIO, *, dsn: str | None = None, timeout: float = 120.0
) -> None:
    """Apply the whole catalog, as the Data Storage service's own tests need it.

    Raises as ``apply_migrations`` does.
    """
    apply_migrations(MigrationConfig(namespace, kubeconfig_path, dsn=dsn, timeout=timeout), writer)


def verify_migrations(config: MigrationConfig, writer: TextIO) -> None:
    """Check that what ``config.tables`` need (or everything) is there, and as it should be.

    Raises MissingTablesError where tables are missing, VerificationError where something else differs,
    ServerNotReadyError where there is no server within the timeout.
    """
    project = _project(config.catalog)
    chosen = project.slice(*config.tables)
    with _target(config, writer) as target:
        result = verify(chosen, target)
    for difference in result.differences:
        _say(writer, str(difference))
    result.raise_for_differences()
    _say(writer, f"verified {_tables(chosen)} on {target.label}")


def _project(catalog: str | Path | None) -> Project:
    if catalog is not None:
        return Project.open(config=catalog)
    try:
        beside = importlib.resources.files("datastorage")
    except ModuleNotFoundError:
        raise UsageError(
            "the Data Storage service's migrations are not installed", fix="give MigrationConfig(catalog=...)"
        ) from None
    return Project.open(config=Path(str(beside / FILE_NAME)))


def _target(config: MigrationConfig, writer: TextIO) -> Target:
    if config.dsn is not None:
        from pgslate.targets.dsn import wait_for

        return wait_for(config.dsn, timeout=config.timeout)
    if not config.namespace:
        raise UsageError("MigrationConfig names no target", fix="give it a namespace, or a dsn")
    from pgslate.targets.kubernetes import kubernetes

    return kubernetes(
        config.namespace,
        service=config.postgres_service,
        kubeconfig=config.kubeconfig_path or None,
        user=config.postgres_user,
        database=config.postgres_db,
        timeout=config.timeout,
        note=lambda line: _say(writer, line),
    )


def _tables_made(trace: Trace, effects: Iterable[Effect]) -> Iterator[str]:
    for effect in effects:
        made = (trace.units[unit] for unit in sorted(effect.creates))
        yield from (_bare(u.name) for u in made if u.kind == "table" and not u.name.startswith("pg_temp."))


def _indexes_made(trace: Trace, migration: CatalogMigration, effects: Iterable[Effect]) -> Iterator[str]:
    """The indexes that are made for themselves: not a constraint's, nor a partition's after its parent's.

    An index is no unit of a trace; its name is taken like a table's.
    """
    for effect in effects:
        made = {trace.units[unit].name for unit in effect.creates}
        kind = migration.statements[effect.statement].kind
        for taken in sorted(effect.takes):
            space, _, name = taken.partition(":")
            if space != "relation" or name in made:
                continue
            index = trace.schema.get("index", name)
            if index is None:  # a later migration drops or renames it
                for_itself = kind in ("IndexStmt", "RenameStmt")
            else:
                for_itself = not (index.get("constraint") or index.get("partition_of"))
            if for_itself:
                yield _bare(name)


def _description(project: Project, migration: CatalogMigration) -> str:
    """The first sentence of the file's first comment; annotations of the format are no comments."""
    words: list[str] = []
    for line in (project.catalog.root / migration.file).read_text(encoding="utf-8").splitlines():
        said = line.strip()
        if said.startswith("--") and not said.startswith(("-- +", "-- migrate:")):
            words.append(said.lstrip("- "))
        elif words:
            break
    sentence = re.match(r".*?[.!?](?=\s|$)", " ".join(word for word in words if word))
    return sentence.group() if sentence else " ".join(words)


def _tables(chosen: Slice) -> str:
    return ", ".join(chosen.tables) or "every table"


def _bare(name: str) -> str:
    return parts(name)[-1]


def _say(writer: TextIO, line: str) -> None:
    writer.write(line + "\n")
