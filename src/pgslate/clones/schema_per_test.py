"""A schema for each test, for a role that may not make databases: slower, and not for every catalog.

The statements form is replayed with the schema in front of the search path. It is one transaction, so that a
migration that names another schema is found out before anybody sees what it made there. The settings of
``[session]`` hold in it, but for a search path. No prelude is run: what it makes is for the whole server or
database, such as roles, and has to be there already, made by somebody who may.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pgslate.catalog import session
from pgslate.catalog.sqlstates import migration_failed
from pgslate.catalog.statements import Statement
from pgslate.clones import database_names
from pgslate.clones.clone import Clone
from pgslate.clones.connections import connect_patiently
from pgslate.errors import ProofError, TargetError
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target, dsn_with

if TYPE_CHECKING:
    from pgslate.project.project import Project, Selection

#: Seconds after which a schema that a run left behind is dropped by the next one.
OLD = 24 * 3600

_CONCURRENTLY = re.compile(r"(\bINDEX\s+)CONCURRENTLY\b", re.IGNORECASE)


class Schemas:
    """Schemas for tests in the database of ``server``, with the tables of one project."""

    def __init__(self, server: Target, project: Project, *, as_of: datetime | None = None) -> None:
        self.server = server
        self.project = project
        self._as_of = as_of
        self._slices: dict[tuple[str, ...], Slice] = {}
        with connect_patiently(server, autocommit=True) as connection:
            _drop_old(connection)

    def database(
        self, *tables: str, contracts: Sequence[str] = (), bundles: Sequence[str] = (), purpose: str = ""
    ) -> Clone:
        """A schema of its own with what the tables need, and a DSN whose search path begins with it.

        Raises TargetError where the migrations name another schema, and MigrationFailedError.
        """
        selection = self.project.selection(tables, contracts=contracts, bundles=bundles)
        slice_ = self._slice(selection)
        with connect_patiently(self.server, autocommit=True) as connection:
            name = _make_schema(connection, purpose)
        clone = Clone(
            Target(_dsn_for(self.server.dsn, name)),
            str(conninfo_to_dict(self.server.dsn).get("dbname") or ""),
            tables=f"schema {name}",
            on_close=lambda: self._drop(name),
        )
        try:
            with clone.connect(autocommit=True, settings=_settings(slice_)) as connection:
                self._fill(connection, slice_, selection, name)
        except BaseException:
            clone.close()
            raise
        return clone

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Schemas:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _slice(self, selection: Selection) -> Slice:
        if selection.tables not in self._slices:
            self._slices[selection.tables] = self.project.slice_for(selection, form="statements")
        return self._slices[selection.tables]

    def _fill(
        self, connection: psycopg.Connection[Any], slice_: Slice, selection: Selection, name: str
    ) -> None:
        from pgslate.partitions.ensure import ensure

        with connection.transaction():
            for index, migration in zip(slice_.migrations, slice_.files, strict=True):
                for number in slice_.statements(index):
                    statement = migration.statements[number]
                    try:
                        _run(connection, statement)
                    except psycopg.Error as error:
                        raise migration_failed(error, migration, statement) from error
                connection.execute(session.RESET_BUT_PREPARED.encode())
            _check(connection, slice_, name)
            for policy in slice_.policies:
                here = _in_schema(policy, name)
                also = selection.partitions.get(policy.table, ())
                ensure(connection, here, as_of=self._as_of, also=also)

    def _drop(self, name: str) -> None:
        with connect_patiently(self.server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def _settings(slice_: Slice) -> dict[str, str]:
    """What the catalog's sessions begin with, but for the search path, which the DSN gives."""
    settings = slice_.catalog.settings
    return {name: value for name, value in settings.items() if name.lower() != "search_path"}


def _in_schema(policy: Any, name: str) -> Any:
    from dataclasses import replace

    return replace(policy, table=f"{name}.{policy.table_name}")


def _run(connection: psycopg.Connection[Any], statement: Statement) -> None:
    if statement.data is not None:
        with connection.cursor().copy(statement.text.encode()) as copy:
            copy.write(statement.data)
        return
    text = statement.text
    if statement.kind in ("IndexStmt", "DropStmt"):
        text = _CONCURRENTLY.sub(r"\1", text, count=1)  # nobody else uses the table yet
    connection.execute(text.encode(), prepare=False)


def _check(connection: psycopg.Connection[Any], slice_: Slice, name: str) -> None:
    """Raise where something was made outside of the schema, or a table is not in it.

    A transaction holds the strongest lock on each relation that it made or altered.
    """
    outside = connection.execute(
        "SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname) FROM pg_catalog.pg_locks l"
        " JOIN pg_catalog.pg_class c ON c.oid = l.relation"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode = 'AccessExclusiveLock'"
        " AND n.nspname <> %s AND n.nspname NOT LIKE 'pg\\_%%' ORDER BY 1",
        [name],
    ).fetchall()
    if outside:
        listed = ", ".join(row[0] for row in outside)
        raise TargetError(
            f"the migrations name a schema of their own: they made {listed} instead of tables in {name}",
            fix="give the role CREATEDB, so that each test can have a database; or take the schema's name out"
            " of the migrations",
        )
    there = {
        row[0]
        for row in connection.execute(
            "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = %s", [name]
        )
    }
    missing = sorted({table for schema, table in _required_tables(slice_) if schema == "public"} - there)
    if missing:
        raise ProofError(
            f"{', '.join(missing)} did not come out in the schema {name}",
            fix="give the role CREATEDB, so that each test can have a database",
        )


def _required_tables(slice_: Slice) -> list[tuple[str, str]]:
    from pgslate.schema.identifiers import qualified

    units = (slice_.trace.units[unit] for unit in slice_.required)
    return [qualified(unit.name) for unit in units if unit.kind == "table"]


def _make_schema(connection: psycopg.Connection[Any], purpose: str) -> str:
    row = connection.execute(
        f"SELECT 'pgslate_000000000000_' || {database_names.NEW_UUID7}".encode()
    ).fetchone()
    assert row is not None
    name = str(row[0])
    schema = sql.Identifier(name)
    connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    connection.execute(
        sql.SQL("COMMENT ON SCHEMA {} IS {}").format(schema, sql.Literal(f"pgslate: {purpose}"))
    )
    return name


def _drop_old(connection: psycopg.Connection[Any]) -> None:
    """Drop the schemas that runs left behind more than a day ago."""
    for name, now in connection.execute(
        "SELECT nspname::text, clock_timestamp() FROM pg_catalog.pg_namespace"
        " WHERE nspname ~ %s AND pg_catalog.pg_has_role(nspowner, 'USAGE')",
        [database_names.CLONES],
    ).fetchall():
        made = database_names.parse(name)
        if made is not None and (now - made.made).total_seconds() > OLD:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def _dsn_for(dsn: str, schema: str) -> str:
    """The DSN with the schema, whose name needs no quotes, in front of the search path."""
    options = str(conninfo_to_dict(dsn).get("options") or "")
    return dsn_with(dsn, options=f"{options} -csearch_path={schema},public".strip())
