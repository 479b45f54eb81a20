"""A schema for each test, where the role may not make databases."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgslate.clones.databases import Databases
from pgslate.clones.schema_per_test import Schemas
from pgslate.errors import MigrationFailedError, PrivilegeError, TargetError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target


@pytest.fixture
def modest(server: Server, database: Target) -> Iterator[Target]:
    """A database as a role sees it that may make schemas in it, and nothing else."""
    with database.connect(autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN")
        dbname = connection.info.dbname
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO modest").format(sql.Identifier(dbname))
        connection.execute(grant)
    yield Target(server.dsn(dbname, user="modest"))
    with database.connect(autocommit=True) as connection:
        connection.execute("DROP OWNED BY modest CASCADE; DROP ROLE modest")


def test_a_role_without_createdb_is_told_what_else_there_is(modest: Target, shop: Project) -> None:
    with pytest.raises(PrivilegeError, match="modest may not create databases") as caught:
        Databases(modest, shop)
    assert caught.value.right == "CREATEDB"
    assert "--pgslate-isolation schema" in caught.value.fix
    assert "transactions that are rolled back" in caught.value.fix


def test_each_schema_has_just_the_tables_asked_for(modest: Target, shop: Project) -> None:
    with Schemas(modest, shop) as schemas, schemas.database("orders") as one, one.connect() as connection:
        rows = connection.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1"
        ).fetchall()
    assert rows == [("customers",), ("orders",)]


def test_two_schemas_share_nothing(modest: Target, shop: Project) -> None:
    with Schemas(modest, shop) as schemas, schemas.database("stock") as one, schemas.database("stock") as two:
        with one.connect() as connection:
            connection.execute("INSERT INTO stock VALUES ('nails', 100)")
        with two.connect() as connection:
            assert connection.execute("SELECT * FROM stock").fetchall() == []


def test_a_schema_is_gone_after_its_test(modest: Target, shop: Project) -> None:
    with Schemas(modest, shop) as schemas, schemas.database("stock"):
        pass
    with modest.connect() as connection:
        rows = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pgslate%'").fetchall()
    assert rows == []


def test_partitions_are_in_the_schema_too(modest: Target, shop: Project) -> None:
    as_of = dt.datetime(2031, 5, 5, tzinfo=dt.UTC)
    with (
        Schemas(modest, shop, as_of=as_of) as schemas,
        schemas.database("visits") as one,
        one.connect() as connection,
    ):
        connection.execute("INSERT INTO visits VALUES ('2031-06-01', 'home')")


def test_the_settings_of_the_session_hold_in_every_migration(modest: Target, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    for number, table in enumerate("ab"):
        (tmp_path / "migrations" / f"{number}_{table}.sql").write_text(
            f"CREATE TABLE {table} AS SELECT current_setting('app.tenant') AS tenant; SET app.tenant = 'y';"
        )
    (tmp_path / "pgslate.toml").write_text('[session]\napp.tenant = "x"\nsearch_path = "public"\n')
    with (
        Schemas(modest, Project.open(start=tmp_path)) as schemas,
        schemas.database("a", "b") as one,
        one.connect() as connection,
    ):
        rows = connection.execute("SELECT tenant FROM a UNION ALL SELECT tenant FROM b").fetchall()
    assert rows == [("x",), ("x",)]


def test_an_index_made_concurrently_is_made_all_the_same(modest: Target, tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("CREATE TABLE a (x int);")
    (tmp_path / "002_i.sql").write_text("CREATE INDEX CONCURRENTLY a_x ON a (x);")
    with (
        Schemas(modest, Project.open(tmp_path)) as schemas,
        schemas.database("a") as one,
        one.connect() as connection,
    ):
        assert connection.execute("SELECT to_regclass('a_x')").fetchone() != (None,)


def test_migrations_that_name_a_schema_are_refused_and_leave_nothing(modest: Target, tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("CREATE TABLE public.a (x int);")
    with modest.connect(autocommit=True) as connection, connection.transaction(force_rollback=True):
        may = connection.execute("SELECT has_schema_privilege('public', 'CREATE')").fetchone()
    expected = TargetError if may == (True,) else MigrationFailedError
    with Schemas(modest, Project.open(tmp_path)) as schemas, pytest.raises(expected):
        schemas.database("a")
    with pytest.raises(psycopg.errors.UndefinedTable), modest.connect() as connection:
        connection.execute("SELECT * FROM public.a")


def test_migrations_that_name_a_schema_are_told_to_do_so(database: Target, tmp_path: Path) -> None:
    (tmp_path / "001_a.sql").write_text("CREATE TABLE public.a (x int);")
    with Schemas(database, Project.open(tmp_path)) as schemas, pytest.raises(TargetError, match=r"public\.a"):
        schemas.database("a")


OUTSIDE = {
    "another schema": "CREATE SCHEMA warehouse; CREATE TABLE a (x int);",
    "a table there": "CREATE SCHEMA warehouse; CREATE TABLE warehouse.a (x int);",
    "an extension": (
        "CREATE EXTENSION pg_trgm; CREATE TABLE a (x text); CREATE INDEX ON a USING gin (x gin_trgm_ops);"
    ),
    "a role": "CREATE ROLE storekeeper; CREATE TABLE a (x int); GRANT SELECT ON a TO storekeeper;",
    "a publication": "CREATE TABLE a (x int); CREATE PUBLICATION news FOR TABLE a;",
    "an event trigger": (
        "CREATE TABLE a (x int); CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        " CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION e();"
    ),
    "default privileges": (
        "CREATE TABLE a (x int); ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;"
    ),
    "made in a block": "DO $$ BEGIN EXECUTE 'CREATE SCHEMA warehouse'; END $$; CREATE TABLE a (x int);",
    "a function in public": (
        "CREATE FUNCTION public.one() RETURNS int LANGUAGE sql RETURN 1;"
        " CREATE TABLE a (x int DEFAULT one());"
    ),
    "a type in public, within a savepoint": (
        "DO $$ BEGIN CREATE TYPE public.size AS ENUM ('s'); EXCEPTION WHEN division_by_zero THEN END $$;"
        " CREATE TABLE a (x size);"
    ),
}


def everything_in(target: Target) -> list[tuple[str]]:
    """The schemas, functions, types, publications, triggers on events and default rights of a database."""
    with target.connect() as connection:
        return connection.execute(
            "SELECT 'n', nspname::text FROM pg_namespace UNION SELECT 'p', proname::text FROM pg_proc"
            " UNION SELECT 't', typname::text FROM pg_type"
            " UNION SELECT 'u', pubname::text FROM pg_publication"
            " UNION SELECT 'e', evtname::text FROM pg_event_trigger"
            " UNION SELECT 'd', oid::text FROM pg_default_acl"
            " UNION SELECT 'x', extname::text FROM pg_extension"
            " UNION SELECT 'r', rolname::text FROM pg_roles ORDER BY 1, 2"
        ).fetchall()


@pytest.mark.parametrize("what", OUTSIDE)
def test_whatever_is_made_outside_of_the_schema_is_refused_and_leaves_nothing(
    database: Target, tmp_path: Path, what: str
) -> None:
    (tmp_path / "001_a.sql").write_text(OUTSIDE[what])
    project = Project.open(tmp_path)
    project.selection([])  # traces the catalog
    before = everything_in(database)
    with Schemas(database, project) as schemas:
        for _ in range(2):
            with pytest.raises(TargetError) as caught:
                schemas.database()  # with every table, and all that the migrations make
            assert "CREATEDB" in caught.value.fix
            assert everything_in(database) == before


def test_a_statement_that_the_tables_do_not_need_is_not_run_and_not_refused(
    database: Target, tmp_path: Path
) -> None:
    (tmp_path / "001_a.sql").write_text("CREATE SCHEMA warehouse; CREATE TABLE a (x int);")
    before = everything_in(database)
    with Schemas(database, Project.open(tmp_path)) as schemas:
        schemas.database("a").close()
    assert everything_in(database) == before
