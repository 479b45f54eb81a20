"""Databases for tests, as somebody who writes tests meets them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.databases import Databases
from pgslate.errors import UnknownTableError, UsageError
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import Open
from .looking import clones, tables_of, templates


def test_a_database_holds_only_what_its_tables_need(databases: Databases) -> None:
    with databases.database("orders") as database:
        assert tables_of(database.dsn) == ["customers", "orders"]


def test_a_contract_names_the_tables(databases: Databases) -> None:
    with databases.database(contracts=["till"]) as database:
        assert tables_of(database.dsn) == ["customers", "orders"]


def test_no_names_give_every_table(databases: Databases) -> None:
    with databases.database() as database:
        assert {"countries", "customers", "orders", "stock", "visits"} <= set(tables_of(database.dsn))


def test_rows_that_migrations_seeded_are_there(databases: Databases) -> None:
    with databases.database("countries") as database, database.connect() as connection:
        assert connection.execute("SELECT code FROM countries ORDER BY 1").fetchall() == [("at",), ("ch",)]


def test_where_nothing_can_be_cached_a_database_is_made_all_the_same(
    server: Server, shop: Project, databases_on: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("PGSLATE_CACHE", str(tmp_path / "cache"))
    with databases_on(server, shop).database("stock") as database:
        assert tables_of(database.dsn) == ["stock"]


def test_two_databases_share_nothing(databases: Databases) -> None:
    with databases.database("stock") as one, databases.database("stock") as other:
        with one.connect() as connection:
            connection.execute("INSERT INTO stock VALUES ('nails', 100)")
        with other.connect() as connection:
            assert connection.execute("SELECT * FROM stock").fetchall() == []


def test_a_database_that_was_given_back_is_never_seen_again(databases: Databases) -> None:
    seen = set()
    for _ in range(12):
        with databases.database("stock") as database, database.connect() as connection:
            assert connection.execute("SELECT * FROM stock").fetchall() == []
            connection.execute("INSERT INTO stock VALUES ('nails', 100)")
            seen.add(database.name)
    assert len(seen) == 12


def test_nothing_is_left_but_the_template(server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(server, shop)
    for _ in range(5):
        databases.database("stock").close()
    template = databases.prepare("stock").name
    databases.close()
    assert [name for name in clones(server) if name.startswith(database_names.clone_prefix(template))] == []
    assert template in templates(server)


def test_a_session_left_open_does_not_keep_its_database(databases: Databases, server: Server) -> None:
    database = databases.database("stock")
    left_open = database.connect()
    database.close()
    databases.close()
    assert database.name not in clones(server)
    with pytest.raises(psycopg.OperationalError):
        left_open.execute("SELECT 1")


def test_an_unknown_table_is_told_as_everywhere(databases: Databases) -> None:
    with pytest.raises(UnknownTableError, match="did you mean orders"):
        databases.database("order")


def test_an_unknown_contract_is_told_as_everywhere(databases: Databases) -> None:
    with pytest.raises(UsageError, match="till"):
        databases.database(contracts=["tills"])


def test_partitions_are_those_of_the_policy_at_the_moment_given(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop, as_of=dt.datetime(2031, 12, 31, 23, 59, tzinfo=dt.UTC))
    with databases.database("visits") as database:
        assert tables_of(database.dsn) == ["visits", "visits_y2031m12", "visits_y2032m01"]


def test_another_month_is_another_template(server: Server, shop: Project, databases_on: Open) -> None:
    december = databases_on(server, shop, as_of=dt.datetime(2031, 12, 31, tzinfo=dt.UTC))
    january = databases_on(server, shop, as_of=dt.datetime(2032, 1, 1, tzinfo=dt.UTC))
    assert december.prepare("visits") != january.prepare("visits")
    assert december.prepare("stock") == january.prepare("stock")


def test_a_template_that_outlives_its_month_gives_databases_of_this_month(
    server: Server, shop: Project, databases_on: Open
) -> None:
    databases = databases_on(server, shop)
    today = databases.facts.now
    databases.registry.facts = dataclasses.replace(databases.facts, now=today - dt.timedelta(days=70))
    with databases.database("visits") as database, database.connect() as connection:
        connection.execute("INSERT INTO visits VALUES (now(), 'home')")
        rows = connection.execute("SELECT tableoid::regclass::text FROM visits").fetchall()
    assert rows == [(f"visits_y{today.year}m{today.month:02}",)]
    assert len(tables_of_template(server, databases)) == 3


def tables_of_template(server: Server, databases: Databases) -> list[str]:
    """What a template of visits holds: the table and two months, of the time when it was made."""
    with databases.registry.connect() as connection:
        name = "pgslate_visits_then"
        template = sql.Identifier(databases.prepare("visits").name)
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), template))
    try:
        return tables_of(server.dsn(name))
    finally:
        server.drop_database(name)


def test_a_changed_migration_is_another_template(server: Server, databases_on: Open, tmp_path: Path) -> None:
    file = tmp_path / "001_a.sql"
    file.write_text("CREATE TABLE a (x int); CREATE TABLE b (x int);")
    before = databases_on(server, Project.open(tmp_path)).prepare("a")
    file.write_text("CREATE TABLE a (x int); CREATE TABLE b (x int, y int);")
    other = databases_on(server, Project.open(tmp_path))
    assert other.prepare("a") == before  # it doesn't hold b
    file.write_text("CREATE TABLE a (x int, y int); CREATE TABLE b (x int, y int);")
    after = databases_on(server, Project.open(tmp_path))
    assert after.prepare("a") != before
    with after.database("a") as database, database.connect() as connection:
        connection.execute("INSERT INTO a (x, y) VALUES (1, 2)")


def test_clones_work_on_every_version(any_server: Server, shop: Project, databases_on: Open) -> None:
    databases = databases_on(any_server, shop)
    for _ in range(3):
        with databases.database("orders") as database:
            assert tables_of(database.dsn) == ["customers", "orders"]


def test_a_database_can_be_used_from_asyncio(databases: Databases) -> None:
    import asyncio

    async def ask(dsn: str) -> object:
        async with await database.async_connect() as connection:
            return await (await connection.execute("SELECT count(*) FROM stock")).fetchone()

    with databases.database("stock") as database:
        assert asyncio.run(ask(database.dsn)) == (0,)


def made_with(tmp_path: Path, text: str) -> Project:
    """A project of one migration, which makes the table t and runs ``text`` about its database."""
    (tmp_path / "001.sql").write_text(
        f"CREATE TABLE t (); DO $$ BEGIN EXECUTE format({text}, current_database()); END $$;"
    )
    return Project.open(tmp_path)


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("tables", [("t",), ()])
def test_a_setting_of_the_database_is_set_on_every_clone(
    server: Server, databases_on: Open, tmp_path: Path, ahead: int, tables: tuple[str, ...]
) -> None:
    setting = '\'ALTER DATABASE %I SET search_path = "$user", "My app", public\''
    databases = databases_on(server, made_with(tmp_path, setting), ahead=ahead)
    for _ in range(3):
        with databases.database(*tables) as database, database.connect() as connection:
            row = connection.execute("SHOW search_path").fetchone()
            assert row == ('"$user", "My app", public',)


def test_settings_and_rights_that_a_prelude_gives_are_given_to_every_clone(
    server: Server, databases_on: Open, tmp_path: Path
) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "001.sql").write_text("CREATE TABLE t ();")
    (tmp_path / "roles.sql").write_text(PRELUDE)
    (tmp_path / "pgslate.toml").write_text('catalog = "migrations"\n[prelude]\nfiles = ["roles.sql"]\n')
    databases = databases_on(server, Project.open(start=tmp_path), ahead=0)
    with databases.database("t") as database:
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(server.dsn(database.name, user="stranger"))
        with psycopg.connect(server.dsn(database.name, user="guest")) as connection:
            assert connection.execute("SHOW app.greeting").fetchone() == ("good, day",)


PRELUDE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'guest') THEN
        CREATE ROLE guest LOGIN; CREATE ROLE stranger LOGIN;
    END IF;
    EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO guest', current_database());
    EXECUTE format('ALTER ROLE guest IN DATABASE %I SET app.greeting = ''good, day''', current_database());
END $$;
"""
