"""A schema for each test, for a role that may not make databases: slower, and not for every catalog.

The statements form is replayed with the schema in front of the search path. A slice is refused before
anything is made if its trace shows that it makes or changes something outside of one schema: another schema,
an extension, a role, a publication. The trace can't tell ``CREATE TABLE public.a`` from ``CREATE TABLE a``,
so the replay is one transaction, rolled back if anything was made outside of the test's schema.

The settings of ``[session]`` hold, except for the search path. No prelude is run: it makes things for the
whole server or database, such as roles, and somebody who may must have made them already.
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
from pgslate.schema.identifiers import parts, qualified
from pgslate.slices.slice import Slice
from pgslate.targets.target import Target, dsn_with

if TYPE_CHECKING:
    from pgslate.project.project import Project, Selection

#: Seconds after which a schema that a run left behind is dropped by the next one.
OLD = 24 * 3600

_CONCURRENTLY = re.compile(r"(\bINDEX\s+)CONCURRENTLY\b", re.IGNORECASE)


class Schemas:
    """Makes schemas for tests in the database of ``server``, with the tables of one project."""

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
        """Make a schema with everything that the tables need; the DSN's search path begins with it.

        Raises TargetError if the migrations make something outside of the schema, and MigrationFailedError.
        """
        selection = self.project.selection(tables, contracts=contracts, bundles=bundles)
        slice_ = self._slice(selection)
        _require_one_schema(slice_)
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
        """Do nothing: each schema is dropped when its test gives it back."""

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
    """The settings of the catalog's sessions, without the search path, which the DSN gives."""
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
    """Raise if something was made outside of the schema, or if a table is not in it."""
    outside = connection.execute(_OUTSIDE, {"schema": name, "schemas": database_names.CLONES}).fetchall()
    if outside:
        listed = ", ".join(row[0] for row in outside)
        raise TargetError(
            f"the migrations name a schema of their own: they made {listed} instead of objects in {name}",
            fix=_FIX,
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


_FIX = (
    "give the role CREATEDB, so that each test can have a database; or take the schema's name out of the"
    " migrations"
)

# A transaction holds the strongest lock on each relation that it made or altered. Rows of other catalogs that
# it wrote have its transaction number or, in a subtransaction, a later one: their age is not above 0.
_OUTSIDE = """
SELECT DISTINCT format('%%I.%%I', n.nspname, o.name) FROM (
    SELECT c.relnamespace, c.relname::text FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c
        ON c.oid = l.relation WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode = 'AccessExclusiveLock'
    UNION ALL SELECT pronamespace, proname::text FROM pg_catalog.pg_proc WHERE age(xmin) <= 0
    UNION ALL SELECT typnamespace, typname::text FROM pg_catalog.pg_type WHERE age(xmin) <= 0
    UNION ALL SELECT oprnamespace, oprname::text FROM pg_catalog.pg_operator WHERE age(xmin) <= 0
    UNION ALL SELECT opcnamespace, opcname::text FROM pg_catalog.pg_opclass WHERE age(xmin) <= 0
    UNION ALL SELECT collnamespace, collname::text FROM pg_catalog.pg_collation WHERE age(xmin) <= 0
    UNION ALL SELECT cfgnamespace, cfgname::text FROM pg_catalog.pg_ts_config WHERE age(xmin) <= 0
    UNION ALL SELECT dictnamespace, dictname::text FROM pg_catalog.pg_ts_dict WHERE age(xmin) <= 0
) o(namespace, name) JOIN pg_catalog.pg_namespace n ON n.oid = o.namespace
WHERE n.nspname <> %(schema)s AND n.nspname !~ %(schemas)s AND n.nspname NOT LIKE 'pg\\_%%' ORDER BY 1"""


def _require_one_schema(slice_: Slice) -> None:
    """Raise TargetError if a statement of the slice makes or changes something outside of one schema."""
    path = slice_.catalog.settings.get("search_path", "")
    home = parts(path.split(",")[0].strip())[0] if path else "public"
    units = slice_.trace.units
    for index in sorted(slice_.effects):
        effect = slice_.trace.effects[index]
        for verb, touched in (
            ("makes", effect.creates),
            ("drops", effect.drops | effect.cascades),
            ("writes to", effect.writes),
            ("changes", effect.changes | effect.sweeps),
        ):
            for unit in sorted(touched):
                info = units[unit]
                if qualified(info.name)[0] not in (home, "pg_temp"):
                    file = slice_.catalog.migrations[effect.migration].file
                    raise TargetError(
                        f"{file}:{effect.line} {verb} {info}, which can't be in a schema of the test's own",
                        fix=_FIX,
                    )


def _required_tables(slice_: Slice) -> list[tuple[str, str]]:
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
