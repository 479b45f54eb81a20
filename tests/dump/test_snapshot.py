"""What pg_dump says otherwise than it is read, and the objects form must not."""

from __future__ import annotations

import psycopg
import pytest
from tests.slices.judging import Court, catalog_of, court

from pgslate.targets.embedded.server import Server


def test_seeded_rows_find_their_columns_where_a_parent_gained_one(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE animals (id bigint NOT NULL);",
        "CREATE TABLE dogs (twice bigint GENERATED ALWAYS AS (id * 2) STORED) INHERITS (animals);",
        "ALTER TABLE animals ADD COLUMN name text;",
        "INSERT INTO dogs (id, name) VALUES (1, 'Rex');",
    ) as case:
        assert case.difference("dogs", "objects") == ""


@pytest.mark.parametrize("type_", ["integer", "varchar(80)", "numeric(9, 2)"])
def test_a_partition_without_its_parents_default_has_none(server: Server, type_: str) -> None:
    with court(
        server,
        f"CREATE TABLE events (id bigint NOT NULL, amount {type_} DEFAULT '1') PARTITION BY RANGE (id);",
        f"CREATE TABLE first_events (id bigint NOT NULL, amount {type_} NOT NULL);",
        "ALTER TABLE events ATTACH PARTITION first_events FOR VALUES FROM (1) TO (9);",
    ) as case:
        case.assert_exact("first_events")


def test_a_partition_without_a_default_may_have_a_not_null_of_its_parents_name(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE events (day date NOT NULL, at timestamp(3) NOT NULL DEFAULT now())"
        " PARTITION BY RANGE (day);",
        "CREATE TABLE first_events (LIKE events);",
        "ALTER TABLE events ATTACH PARTITION first_events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
    ) as case:
        case.assert_exact("events", "first_events")


def test_a_child_without_its_parents_default_has_none(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE parents (a varchar(9) DEFAULT 'x', b text);",
        "CREATE TABLE children (c integer) INHERITS (parents);",
        "ALTER TABLE children ALTER COLUMN a DROP DEFAULT;",
    ) as case:
        case.assert_exact("children")


def test_a_list_of_varchar_values_that_are_not_allowed_is_written_as_it_was(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (state varchar(10) CHECK (state NOT IN ('new', 'old')));",
    ) as case:
        case.assert_exact("users")


def test_roles_that_migrations_make_come_along(server: Server) -> None:
    """As the catalog made them; memberships only where both are needed."""
    make = """DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'team x') THEN
            CREATE ROLE "team x" CREATEDB;
        END IF;
    END $$;
    CREATE ROLE reader_x NOINHERIT LOGIN PASSWORD 'secret' CONNECTION LIMIT 3 IN ROLE "team x", pg_monitor;
    CREATE ROLE idle_x IN ROLE "team x";
    ALTER ROLE reader_x SET search_path = app, public;"""
    case = Court(
        server,
        catalog_of(
            make,
            "CREATE TABLE users (id int); GRANT SELECT ON users TO reader_x;"
            'ALTER TABLE users OWNER TO "team x";',
        ),
    )
    with server.target().connect(autocommit=True) as admin:
        try:
            script = case.script("users")
            case.close()
            drop_roles(admin)
            with server.create_database("with_roles").connect() as connection:
                connection.execute(script.encode())
                connection.execute(script.partition("CREATE TABLE")[0].encode())  # they are there: left alone
                owner, rights = connection.execute(
                    "SELECT relowner::regrole::text, relacl::text FROM pg_class WHERE relname = 'users'"
                ).fetchone() or ("", "")
            assert (owner, "reader_x=r/" in rights) == ('"team x"', True)
            assert admin.execute(
                "SELECT rolname, rolcreatedb, rolinherit, rolcanlogin, rolconnlimit, rolconfig,"
                " ARRAY(SELECT roleid::regrole::text FROM pg_auth_members WHERE member = r.oid ORDER BY 1)"
                " FROM pg_roles r WHERE rolname LIKE '%x' ORDER BY 1"
            ).fetchall() == [
                ("reader_x", False, False, True, 3, ["search_path=app, public"], ['"team x"', "pg_monitor"]),
                ("team x", True, True, False, -1, None, []),
            ]
            assert admin.execute(
                "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'reader_x'"
            ).fetchone() == (True,)
        finally:
            case.close()
            server.drop_database("with_roles")
            drop_roles(admin)


def drop_roles(admin: psycopg.Connection[object]) -> None:
    for role in ('"team x"', "reader_x", "idle_x"):
        admin.execute(f"DROP ROLE IF EXISTS {role}".encode())
