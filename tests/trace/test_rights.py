"""Rights, comments, row security, default privileges: what belongs to a table without being part of it."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY);"


def test_comments_rights_row_security_and_sequence_types_come_along(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id serial, name text);",
        "COMMENT ON COLUMN users.name IS 'what people call them';",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY;",
        "ALTER SEQUENCE users_id_seq AS smallint;",
        "GRANT SELECT ON users TO PUBLIC;",
        "ALTER TABLE users REPLICA IDENTITY FULL;",
        "COMMENT ON COLUMN users.name IS NULL;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4", "5", "6", "7"]
        case.assert_exact("users")


def test_a_right_on_all_tables_does_not_tie_them_together(server: Server) -> None:
    with court(
        server, USERS, "CREATE TABLE other (i int);", "GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;"
    ) as case:
        assert case.files("users") == ["1", "3"]
        case.assert_exact("users", "other")


def test_default_privileges_reach_the_tables_made_after_them(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE before (i int);",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;",
        USERS,
    ) as case:
        assert case.files("before") == ["1"]
        assert case.files("users") == ["2", "3"]
        case.assert_exact("users", "before")


def test_a_later_default_privilege_comes_along_and_reaches_later_tables_only(server: Server) -> None:
    with court(
        server,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;",
        "CREATE TABLE early (i int);",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC;"
        "CREATE TABLE late (i int);",
    ) as case:
        assert len(case.statements("early")) == 3  # the later one acts on what a test makes
        assert len(case.statements("late")) == 3
        case.assert_exact("early", "late")


def test_rights_on_the_schema_public_come_along(server: Server) -> None:
    prelude = "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
    with court(server, USERS, "GRANT USAGE ON SCHEMA public TO reader;", prelude=[prelude]) as case:
        snapshot = case.script("users")
        assert "GRANT USAGE ON SCHEMA public TO reader" in snapshot
        case.assert_exact("users")
