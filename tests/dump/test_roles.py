"""Migrations that go on as another role: what they did is observed all the same."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from psycopg import sql
from tests.slices.judging import court

from pgslate.targets.embedded.server import Server


@pytest.fixture
def role(server: Server) -> Iterator[str]:
    """A role that may do little; dropped after the test."""
    name = f"limited_{uuid.uuid4().hex[:8]}"
    with server.target().connect(autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("become", ["SET ROLE", "SET LOCAL ROLE", "SET SESSION AUTHORIZATION"])
def test_a_file_may_go_on_as_a_role_that_may_not_read_every_catalog(
    server: Server, role: str, become: str
) -> None:
    with court(
        server,
        f"CREATE SCHEMA app AUTHORIZATION {role};",
        f"{become} {role}; CREATE TABLE app.users (id int); CREATE TABLE app.other (id int);",
        "CREATE TABLE app.as_ourselves (id int);",
    ) as case:
        assert case.statements("app.users") == [
            f"CREATE SCHEMA app AUTHORIZATION {role}",
            f"{become} {role}",
            "CREATE TABLE app.users (id int)",
        ]
        assert case.trace.schema.objects["table", "app.users"].get("owner") == role
        assert case.trace.schema.objects["table", "app.as_ourselves"].get("owner") is None
        case.assert_exact("app.users", "app.as_ourselves")


def test_a_role_stays_what_it_was_between_statements_outside_a_transaction(server: Server, role: str) -> None:
    with court(
        server,
        f"CREATE SCHEMA app AUTHORIZATION {role};",
        f"-- no transaction\nSET ROLE {role}; CREATE TABLE app.users (id int);"
        "CREATE INDEX CONCURRENTLY users_id ON app.users (id); DROP INDEX CONCURRENTLY app.users_id;"
        "CREATE TABLE app.theirs (id int);",
    ) as case:
        assert case.trace.schema.objects["table", "app.theirs"].get("owner") == role
        case.assert_exact("app.users", "app.theirs")


def test_what_a_lesser_role_writes_where_it_may_not_read_is_observed(server: Server, role: str) -> None:
    with court(
        server,
        "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;"
        f"CREATE SCHEMA app AUTHORIZATION {role}; ALTER SERVER far OWNER TO {role};"
        f"GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {role};",
        f"SET ROLE {role}; CREATE TABLE app.users (id int);"
        "CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS (user 'x', password 'y');"
        "CREATE FOREIGN TABLE app.there (id int) SERVER far; DROP USER MAPPING FOR CURRENT_USER SERVER far;",
    ) as case:
        assert [unit.kind for unit in case.trace.units if unit.dropped is not None] == ["user mapping"]
        case.assert_exact("app.users", "app.there")


def test_rights_on_the_schema_public_need_the_role_that_has_them(server: Server) -> None:
    name = f"granted_{uuid.uuid4().hex[:8]}"
    made, granted = f"CREATE ROLE {name}", f"GRANT USAGE ON SCHEMA public TO {name}"
    try:
        with court(server, f"{made}; {granted};", "CREATE TABLE users (id int);") as case:
            assert case.statements("users") == [made, granted, "CREATE TABLE users (id int)"]
    finally:
        with server.target().connect(autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
