"""Apply and verify the tables that a service's end-to-end tests need, in a Kubernetes namespace or by DSN.

    config = default_migration_config("test", kubeconfig_path)
    apply_migrations(replace(config, tables=("audit_events",)), sys.stdout)

They raise different errors for different causes: ``ServerNotReadyError``, ``MigrationFailedError``,
``MissingTablesError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TextIO

from datastorage.services import CONFIG
from pgslate.catalog.migration import Migration as CatalogMigration
from pgslate.errors import MigrationFailedError, MissingTablesError, ServerNotReadyError, UsageError
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

#: The bundle of pgslate.toml that ``apply_audit_migrations`` applies.
AUDIT = "audit"

#: The names that the teams know these migrations by; every other is named after its file.
_NAMES = {
    "012_adr033_multidimensional_tracking.sql": "adr033_tracking",
    "013_create_audit_events_table.sql": "audit_events",
    "015_create_workflow_catalog_table.sql": "workflow_catalog",
    "1000_create_audit_events_partitions.sql": "audit_partitions",
}


@dataclass(frozen=True, slots=True)
class MigrationConfig:
    """Which tables to apply or verify, and where.

    Args:
        namespace: The Kubernetes namespace that PostgreSQL runs in.
        kubeconfig_path: The kubeconfig file; empty: where kubectl looks for it.
        postgres_service: The Service in front of PostgreSQL.
        postgres_user: The role to log in as; its password comes from the workload behind the Service.
        postgres_db: The database.
        tables: The tables that are needed; empty: all of them.
        dsn: A database to connect to directly. No cluster is needed then, and the names above are ignored.
        timeout: How long to wait for the server, in seconds.
        catalog: A ``pgslate.toml``, or a folder that has one; without it, the Data Storage service's.
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
    """A migration, and the tables and indexes that it creates.

    ``description`` is the first sentence of the file's first comment.
    """

    name: str
    file: str
    description: str
    tables: tuple[str, ...]
    indexes: tuple[str, ...]


def default_migration_config(namespace: str, kubeconfig_path: str) -> MigrationConfig:
    """The service ``postgresql`` of a namespace, as ``slm_user`` in ``action_history``, and all tables."""
    return MigrationConfig(namespace, kubeconfig_path)


def available_migrations(catalog: str | Path | None = None) -> tuple[Migration, ...]:
    """Every migration in order, with the tables and indexes that it creates, as its trace has them."""
    project = _project(catalog)
    names = _NAMES if catalog is None else {}
    found = []
    for number, migration in enumerate(project.catalog):
        effects = [project.trace.effects[index] for index in project.trace.by_migration[number]]
        found.append(
            Migration(
                name=names.get(migration.file, migration.name),
                file=migration.file,
                description=_description(project, migration),
                tables=tuple(_tables_made(project.trace, effects)),
                indexes=tuple(_indexes_made(project.trace, migration, effects)),
            )
        )
    return tuple(found)


def apply_migrations(config: MigrationConfig, writer: TextIO) -> None:
    """Apply what ``config.tables`` need (or everything), then verify it; each step is a line in ``writer``.

    Raises:
        ServerNotReadyError: The server did not answer within the timeout.
        TargetError: The server can't be reached, and waiting doesn't help: no such service, a missing right.
        UnknownTableError: No migration creates a table of that name.
        MigrationFailedError: A migration failed.
        MissingTablesError: A table is missing in the end, since somebody dropped it.
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
    """Compare what ``config.tables`` need (or everything) with what the database has.

    Raises:
        ServerNotReadyError: The server did not answer within the timeout.
        MissingTablesError: Tables are missing.
        VerificationError: Something else differs.
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
    return _own_project() if catalog is None else Project.open(config=catalog)


@cache
def _own_project() -> Project:
    return Project.open(config=CONFIG)


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
    """The indexes that a statement asks for: not a constraint's, nor a partition's copy of its parent's.

    An index is no unit of a trace; a trace only has its name, among the names that a statement takes.
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
                asked_for = kind in ("IndexStmt", "RenameStmt")
            else:
                asked_for = not (index.get("constraint") or index.get("partition_of"))
            if asked_for:
                yield _bare(name)


def _description(project: Project, migration: CatalogMigration) -> str:
    """The first sentence of the file's first comment, without the annotations of the format."""
    words: list[str] = []
    for line in (project.catalog.root / migration.file).read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if text.startswith("--") and not text.startswith(("-- +", "-- migrate:")):
            words.append(text.lstrip("- "))
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
