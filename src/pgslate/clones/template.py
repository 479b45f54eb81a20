"""A template: a sealed database with just the contents asked for, verified before it has its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from pgslate.catalog.prelude import run_prelude
from pgslate.clones import database_names
from pgslate.clones.base import create_from_base
from pgslate.clones.contents import Contents
from pgslate.clones.registry import Book
from pgslate.clones.seal import Step, is_complete, make_sealed, nothing, unseal_and_drop
from pgslate.clones.sessions import wait_until_empty
from pgslate.errors import MigrationFailedError, PgslateError, ProofError, TargetError
from pgslate.slices.replay import ReplayFailedError, replay, told
from pgslate.trace.effects import Trace

#: How long (seconds) one process waits for another to make the same template.
TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Template:
    """A sealed database to make clones of; ``tables`` are its contents, for people."""

    name: str
    tables: str
    form: str


def ensure_template(
    book: Book,
    contents: Contents,
    *,
    instead: Callable[[], Contents] | None = None,
    timeout: float = TIMEOUT,
    step: Step = nothing,
) -> Template:
    """The template with those contents: the one that stands, or a new one, made by one process at a time.

    ``instead`` gives the same contents in the statements form, where the server doesn't take the script of
    the objects form. Raises MigrationFailedError, ProofError where what came out is not what the catalog
    gives, LockTimeoutError where another process has been making it for ``timeout`` seconds, TargetError.
    """
    name = database_names.template_name(contents.key(book.facts))
    template = Template(name, contents.label, "statements" if contents.script is None else "objects")
    if not book.run(lambda c: is_complete(c, name)):
        with book.exclusively(f"template {name}", timeout=timeout) as connection:
            if not is_complete(connection, name):
                _make(book, connection, template, contents, instead, step)
    book.template_is_used(name, template.tables, template.form)
    return template


def drop_template(
    book: Book, name: str, *, unless_used_for: float | None = None, timeout: float = 0.05
) -> bool:
    """Drop a template, also an unfinished one; False where it is in use or isn't there.

    ``unless_used_for``: only if nobody has used it for so many seconds, and no clone of it is somebody's.
    """
    final = name.removesuffix("_building")
    with book.exclusively(f"template {final}", timeout=timeout) as connection:
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
        there = unseal_and_drop(connection, name)
        connection.execute("DELETE FROM template WHERE name = %s", [name])
        connection.execute("DELETE FROM timing WHERE template = %s", [name])
        return there


def reseal(book: Book, template: Template) -> None:
    """End the sessions of somebody who opened a sealed template; it is made anew when asked for again.

    Nobody can tell what they did in it.
    """
    with book.exclusively(f"template {template.name}", timeout=TIMEOUT) as connection:
        if not is_complete(connection, template.name):
            unseal_and_drop(connection, template.name)


def _make(
    book: Book,
    connection: psycopg.Connection[Any],
    template: Template,
    contents: Contents,
    instead: Callable[[], Contents] | None,
    step: Step,
) -> None:
    def build(building: str) -> None:
        try:
            _build(book, connection, building, contents, step)
        except (MigrationFailedError, TargetError):  # the prelude, or the disk: the other form has the same
            raise
        except (psycopg.Error, PgslateError) as error:
            if instead is None or contents.script is None:
                raise
            book.note(
                f"the template for {contents.label} is made statement by statement: as objects it failed"
                f" with {_said(error)}"
            )
            step("instead")
            unseal_and_drop(connection, building)
            _build(book, connection, building, instead(), step)

    make_sealed(connection, template.name, f"pgslate template: {contents.label}", build, step=step)


def _build(
    book: Book, connection: psycopg.Connection[Any], building: str, contents: Contents, step: Step
) -> None:
    step("create")
    begun = contents.slice.catalog.settings
    database = book.server.with_dbname(building)
    try:
        create_from_base(book, connection, building)
        step("fill")
        with database.connect(settings=begun, autocommit=True, prepare_threshold=None) as inside:
            inside.execute("SET synchronous_commit = off")
            moment = contents.as_of or book.facts.now  # the one that the key is of
            fill(inside, contents, moment)
            step("verify")
            check(inside, contents, moment)
    except psycopg.errors.DiskFull as error:
        raise no_room(book, error) from error
    step("leave")
    wait_until_empty(connection, building)


def fill(connection: psycopg.Connection[Any], contents: Contents, as_of: datetime) -> None:
    """Make the contents in the empty database of ``connection``, which is in autocommit mode.

    Partitions are counted from ``as_of``.

    Raises MigrationFailedError, psycopg.Error and PartitionBlockedError.
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
    """Raise ProofError unless the database holds just what the catalog gives."""
    from pgslate.execution.verification import compare_database

    result = compare_database(
        contents.slice.expected, connection, contents.required, contents.policies, as_of
    )
    if result.differences:
        said = "\n".join(f"  {difference}" for difference in result.differences[:10])
        raise ProofError(
            f"a template for {contents.label} came out other than the catalog says:\n{said}",
            fix="make the migrations independent of time, chance and the server's settings; `pgslate lock`"
            " proves every slice",
            differences=result.differences,
        )


def _replay(connection: psycopg.Connection[Any], contents: Contents) -> None:
    """Replay the statements; roles belong to the whole server, and may be there from another template."""
    from dataclasses import replace

    chosen = contents.slice
    known = frozenset(
        row[0] for row in connection.execute("SELECT quote_ident(rolname) FROM pg_catalog.pg_roles")
    )
    standing = frozenset(index for index in chosen.effects if _makes_only_roles(chosen.trace, index, known))
    if standing:
        chosen = replace(chosen, effects=chosen.effects - standing)
    try:
        replay(chosen, connection)
    except ReplayFailedError as failure:
        raise told(failure, chosen) from failure.error


def _makes_only_roles(trace: Trace, index: int, known: frozenset[str]) -> bool:
    """Whether a statement makes roles that are all there already, and nothing else."""
    made = [trace.units[unit] for unit in trace.effects[index].creates]
    return bool(made) and all(unit.kind == "role" and unit.name in known for unit in made)


def _said(error: psycopg.Error | PgslateError) -> str:
    if isinstance(error, PgslateError):
        return error.message
    return error.diag.message_primary or str(error).strip()


def no_room(book: Book, error: psycopg.Error) -> TargetError:
    """The error for a server without room for another database."""
    said = _said(error)
    return TargetError(
        f"{book.server.label} has no room for another database: {said}",
        fix="free disk space on the server; `pgslate reap` drops what tests left behind",
    )
