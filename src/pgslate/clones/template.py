"""A template: a sealed database with the contents that were asked for, verified before it gets its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.catalog.prelude import run_prelude
from pgslate.clones import database_names
from pgslate.clones.connections import wait_until_empty
from pgslate.clones.registry import Registry
from pgslate.clones.sealed_database import (
    Step,
    create_empty,
    is_complete,
    make_sealed,
    no_step,
    unseal_and_drop,
)
from pgslate.clones.template_contents import Contents
from pgslate.errors import MigrationFailedError, PgslateError, ProofError, TargetError
from pgslate.slices.replay import ReplayFailedError, located, replay
from pgslate.trace.effects import Trace

#: Seconds that one process waits for another to make the same template.
TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Template:
    """A sealed database to copy; ``tables`` are its contents in words, ``form`` is how it was made."""

    name: str
    tables: str
    form: str


def ensure_template(
    registry: Registry,
    contents: Contents,
    *,
    fallback: Callable[[], Contents] | None = None,
    timeout: float = TIMEOUT,
    step: Step = no_step,
) -> Template:
    """Return the template with those contents. If it doesn't exist, make it; one process does, others wait.

    Args:
        registry: the registry of the server.
        contents: the contents, which determine the template's name.
        fallback: returns the same contents in the statements form, for a server that refuses the script of
            the objects form. The registry is noted, and ``Template.form`` says so.
        timeout: seconds to wait for another process.
        step: receives the name of each step.

    Raises:
        MigrationFailedError: a migration or the prelude failed.
        ProofError: the result is not what the catalog gives.
        LockTimeoutError: another process was still making the template after ``timeout``.
        TargetError: the disk is full.
    """
    name = database_names.template_name(contents.key(registry.facts))
    form: str | None = contents.form
    if registry.run(lambda c: is_complete(c, name)):
        form = registry.form_of_template(name)
    else:
        with registry.exclusively(f"template {name}", timeout=timeout) as connection:
            if is_complete(connection, name):  # another process made it meanwhile
                form = registry.form_of_template(name)
            else:
                form = _make(registry, connection, name, contents, fallback, step)
    template = Template(name, contents.label, form or contents.form)
    registry.mark_template_used(name, template.tables, template.form)
    return template


def drop_template(
    registry: Registry, name: str, *, unless_used_for: float | None = None, timeout: float = 0.05
) -> bool:
    """Drop a template, complete or not. Returns False if it is in use or doesn't exist.

    With ``unless_used_for``, only if nobody has used it for so many seconds and no clone of it is in use.
    """
    final = name.removesuffix("_building")
    with registry.exclusively(f"template {final}", timeout=timeout) as connection:
        if unless_used_for is not None:
            row = connection.execute(
                "SELECT coalesce((SELECT used < clock_timestamp() - %s * interval '1 second'"
                " FROM template WHERE name = %s), true)"
                " AND NOT EXISTS (SELECT FROM clone WHERE template = %s"
                " AND state IN ('making', 'taken', 'returning'))",
                [unless_used_for, final, final],
            ).fetchone()
            if not (row and row[0]):
                return False
        dropped = unseal_and_drop(connection, name)
        connection.execute("DELETE FROM template WHERE name = %s", [name])
        connection.execute("DELETE FROM timing WHERE template = %s", [name])
        return dropped


def drop_opened_template(registry: Registry, template: Template) -> None:
    """Drop a template that somebody opened, because nobody can tell what they changed in it."""
    with registry.exclusively(f"template {template.name}", timeout=TIMEOUT) as connection:
        if not is_complete(connection, template.name):
            unseal_and_drop(connection, template.name)


def _make(
    registry: Registry,
    connection: psycopg.Connection[Any],
    name: str,
    contents: Contents,
    fallback: Callable[[], Contents] | None,
    step: Step,
) -> str:
    """Make the template; return the form in which it was made."""
    form = contents.form

    def build(building: str) -> None:
        nonlocal form
        try:
            _build(registry, connection, building, contents, step)
        except (MigrationFailedError, TargetError):  # the prelude or the disk: the other form fails as well
            raise
        except (psycopg.Error, PgslateError) as error:
            if fallback is None or contents.script is None:
                raise
            registry.note(
                f"the template for {contents.label} is made in the statements form, because the objects form"
                f" failed with: {_message(error)}"
            )
            step("fallback")
            unseal_and_drop(connection, building)
            other = fallback()
            form = other.form
            _build(registry, connection, building, other, step)

    make_sealed(connection, name, f"pgslate template: {contents.label}", build, step=step)
    return form


def _build(
    registry: Registry, connection: psycopg.Connection[Any], building: str, contents: Contents, step: Step
) -> None:
    step("create")
    session = contents.slice.catalog.settings
    database = registry.server.with_dbname(building)
    try:
        create_empty(registry, connection, building)
        step("fill")
        with database.connect(settings=session, autocommit=True, prepare_threshold=None) as inside:
            inside.execute("SET synchronous_commit = off")
            moment = contents.as_of or registry.facts.now  # the template's key is computed for this moment
            fill(inside, contents, moment)
            step("verify")
            check(inside, contents, moment)
    except psycopg.errors.DiskFull as error:
        raise no_room(registry, error) from error
    step("leave")
    wait_until_empty(connection, building)


def fill(connection: psycopg.Connection[Any], contents: Contents, as_of: datetime) -> None:
    """Make the contents in an empty database; partitions are counted from ``as_of``.

    ``connection`` is in autocommit mode. Raises MigrationFailedError, psycopg.Error, PartitionBlockedError.
    """
    from pgslate.partitions.ensure import ensure

    run_prelude(connection, contents.prelude)
    if contents.script is not None:
        with connection.transaction():
            connection.execute(contents.script.encode(), prepare=False)
    else:
        _replay(connection, contents)
    for policy in contents.policies:
        ensure(connection, policy, as_of=as_of, also=contents.named.get(policy.table, ()))


def check(connection: psycopg.Connection[Any], contents: Contents, as_of: datetime) -> None:
    """Raise ProofError unless the database holds exactly what the catalog gives."""
    from pgslate.execution.verification import compare_database

    result = compare_database(
        contents.slice.expected,
        connection,
        contents.required,
        contents.policies,
        as_of,
        copies=contents.slice.copies,
    )
    if result.differences:
        listed = "\n".join(f"  {difference}" for difference in result.differences[:10])
        raise ProofError(
            f"a template for {contents.label} differs from what the catalog gives:\n{listed}",
            fix="make the migrations independent of time, chance and the server's settings; `pgslate lock`"
            " proves every slice",
            differences=result.differences,
        )


def _replay(connection: psycopg.Connection[Any], contents: Contents) -> None:
    """Replay the statements, without those that make roles of the server that exist already."""
    from dataclasses import replace

    chosen = contents.slice
    known = frozenset(
        row[0] for row in connection.execute("SELECT quote_ident(rolname) FROM pg_catalog.pg_roles")
    )
    superfluous = frozenset(
        index for index in chosen.effects if _makes_only_roles(chosen.trace, index, known)
    )
    if superfluous:
        chosen = replace(chosen, effects=chosen.effects - superfluous)
    try:
        replay(chosen, connection)
    except ReplayFailedError as failure:
        raise located(failure, chosen) from failure.error


def _makes_only_roles(trace: Trace, index: int, known: frozenset[str]) -> bool:
    """Whether a statement makes only roles that exist already."""
    made = [trace.units[unit] for unit in trace.effects[index].creates]
    return bool(made) and all(unit.kind == "role" and unit.name in known for unit in made)


def _message(error: psycopg.Error | PgslateError) -> str:
    if isinstance(error, PgslateError):
        return error.message
    return error.diag.message_primary or str(error).strip()


def no_room(registry: Registry, error: psycopg.Error) -> TargetError:
    """The error for a server that has no room for another database."""
    return TargetError(
        f"{registry.server.label} has no room for another database: {_message(error)}",
        fix="free disk space on the server; `pgslate reap` drops what tests left behind",
    )
