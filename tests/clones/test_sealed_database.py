"""The base: what templates are copies of has fewer files than template0, and nothing depends on it."""

from __future__ import annotations

import pytest
from psycopg import sql

from pgslate.clones.databases import Databases
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server

from .conftest import Open
from .looking import tables_of


def files_of(server: Server, database: str) -> int:
    """How many files a database has."""
    with server.target().connect() as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_database, pg_ls_dir(format('base/%%s', oid)) WHERE datname = %s",
            [database],
        ).fetchone()
    assert row is not None
    return int(row[0])


def empty_databases(databases: Databases) -> list[str]:
    rows = databases.registry.run(
        lambda c: c.execute("SELECT name FROM template WHERE form = 'empty'").fetchall()
    )
    return [row[0] for row in rows]


def test_a_template_is_a_copy_of_a_base_with_fewer_files_than_template0(
    server: Server, databases: Databases
) -> None:
    template = databases.prepare("stock")
    (base,) = empty_databases(databases)
    empty = files_of(server, "template0")
    assert files_of(server, base) < empty * 0.85
    assert files_of(server, template.name) < empty


@pytest.mark.parametrize("fate", ["DROP DATABASE {}", "ALTER DATABASE {} ALLOW_CONNECTIONS true"])
def test_a_base_that_is_gone_or_was_opened_is_made_anew(
    server: Server, shop: Project, databases_on: Open, fate: str
) -> None:
    databases = databases_on(server, shop, ahead=0)
    databases.prepare("stock")
    (base,) = empty_databases(databases)
    with server.target().connect(autocommit=True) as connection:
        name = sql.Identifier(base)
        connection.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(name))
        connection.execute(sql.SQL(fate).format(name))
    with databases.database("orders") as database:
        assert "orders" in tables_of(database.dsn)
    assert files_of(server, base) < files_of(server, "template0")


def test_where_catalogs_cannot_be_rewritten_templates_are_made_of_template0(
    server: Server, shop: Project, databases_on: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgslate.clones.sealed_database._CATALOGS", "SELECT 'pg_catalog', 'no_such_table'")
    monkeypatch.setattr("pgslate.clones.sealed_database.TEMPLATE_VERSION", 0)  # one that nobody has made yet
    databases = databases_on(server, shop, ahead=0)
    with databases.database("customers") as database:
        assert "customers" in tables_of(database.dsn)
