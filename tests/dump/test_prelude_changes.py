"""What migrations do to a prelude's objects, in the objects form."""

from __future__ import annotations

import pytest
from tests.dump.test_contents import made
from tests.slices.judging import Court, court, dump

from pgslate.errors import FormUnavailableError
from pgslate.targets.embedded.server import Server

PRELUDE = """
    CREATE SCHEMA auth; CREATE TYPE auth.level AS ENUM ('one', 'three');
    CREATE FUNCTION auth.uid() RETURNS int LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE auth.users (id int PRIMARY KEY, email text, old int DEFAULT 1, level auth.level,
        CONSTRAINT short CHECK (length(email) < 99));
    CREATE INDEX users_email ON auth.users (email); CREATE VIEW auth.emails AS SELECT email FROM auth.users;
    CREATE SEQUENCE auth.numbers; COMMENT ON TABLE auth.users IS 'people';
    INSERT INTO auth.users VALUES (1, 'a''
b', 2, 'one');
"""

CHANGES = {
    "a trigger": """
        CREATE TABLE profiles (id int REFERENCES auth.users);
        CREATE FUNCTION made() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN INSERT INTO public.profiles VALUES (new.id); RETURN new; END';
        CREATE TRIGGER made AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION made();""",
    "policies": """
        ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON auth.users USING (id = auth.uid());""",
    "an index, a constraint and statistics": """
        CREATE INDEX again ON auth.users (lower(email)); ALTER TABLE auth.users ADD UNIQUE (email);
        CREATE STATISTICS auth.both ON id, email FROM auth.users;""",
    "columns": """
        ALTER TABLE auth.users ADD name varchar(9) COLLATE "C" DEFAULT 'x' NOT NULL,
            ADD twice int GENERATED ALWAYS AS (id * 2) STORED; ALTER TABLE auth.users DROP old;""",
    "columns of other names and types": """
        ALTER TABLE auth.users RENAME old TO older; ALTER TABLE auth.users ALTER older TYPE bigint,
            ALTER older SET NOT NULL, ALTER older DROP DEFAULT, ALTER level SET DEFAULT 'three';""",
    "rights and comments": """
        GRANT SELECT ON auth.users TO pg_monitor; GRANT UPDATE (email) ON auth.users TO PUBLIC;
        COMMENT ON TABLE auth.users IS 'accounts'; COMMENT ON COLUMN auth.users.email IS 'address';""",
    "a rule": "CREATE RULE silent AS ON DELETE TO auth.users DO INSTEAD NOTHING;",
    "what is gone": """
        DROP INDEX auth.users_email; ALTER TABLE auth.users DROP CONSTRAINT short; DROP VIEW auth.emails;""",
    "what is made anew": """
        DROP VIEW auth.emails; CREATE VIEW auth.emails AS SELECT id, email FROM auth.users;
        DROP FUNCTION auth.uid(); CREATE FUNCTION auth.uid() RETURNS text LANGUAGE sql AS 'SELECT ''a''';
        CREATE TABLE t (by text DEFAULT auth.uid());""",
    "what is replaced": """
        CREATE OR REPLACE FUNCTION auth.uid() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2';
        CREATE OR REPLACE VIEW auth.emails AS SELECT email, 1 AS one FROM auth.users;
        ALTER SEQUENCE auth.numbers INCREMENT 5; SELECT setval('auth.numbers', 40);""",
    "other names": """
        ALTER TYPE auth.level RENAME TO rank; ALTER TABLE auth.users RENAME TO people;
        ALTER FUNCTION auth.uid RENAME TO me; ALTER SEQUENCE auth.numbers RENAME TO counts;
        ALTER TABLE auth.people RENAME CONSTRAINT short TO brief; CREATE TABLE t (k auth.rank);
        ALTER INDEX auth.users_email RENAME TO people_email;""",
    "another schema": """
        CREATE SCHEMA "New one"; ALTER TABLE auth.users SET SCHEMA "New one";
        ALTER TYPE auth.level SET SCHEMA "New one"; ALTER FUNCTION auth.uid() SET SCHEMA "New one";
        CREATE TABLE t (k "New one".level);""",
    "labels": """
        ALTER TYPE auth.level ADD VALUE 'two' BEFORE 'three';
        ALTER TYPE auth.level RENAME VALUE 'one' TO 'a';""",
    "rows": "INSERT INTO auth.users VALUES (2, 'c', 3, 'three'), (3, 'd''\n', 4, NULL);",
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_comes_along(any_server: Server, name: str) -> None:
    with court(any_server, CHANGES[name], prelude=[PRELUDE]) as case, made(case):
        assert dump(case.server, "made", "*.*") == dump(case.server, case.database, "*.*")
        assert rows(case, "made") == rows(case, case.database)


RENAMED_AWAY = """
    ALTER TABLE auth.users RENAME TO old_users; CREATE TABLE auth.users (id int PRIMARY KEY, name text);
    INSERT INTO auth.users SELECT id, email FROM auth.old_users;
    CREATE TABLE other (u int REFERENCES auth.users);
"""

TYPE_MADE_ANEW = """
    DROP TYPE auth.level CASCADE; CREATE TYPE auth.level AS ENUM ('low', 'high');
    ALTER TABLE auth.users ADD level auth.level DEFAULT 'low'; CREATE TABLE other (l auth.level);
"""


@pytest.mark.parametrize(
    ("change", "table"),
    [
        (RENAMED_AWAY, "auth.users"),
        (RENAMED_AWAY, "auth.old_users"),
        (RENAMED_AWAY, "other"),
        (TYPE_MADE_ANEW, "auth.users"),
        (TYPE_MADE_ANEW, "other"),
    ],
)
def test_a_name_or_type_of_the_prelude_is_free_for_what_migrations_make(
    server: Server, change: str, table: str
) -> None:
    with court(server, change, prelude=[PRELUDE]) as case:
        case.assert_exact(table)


def test_nothing_is_changed_where_no_migration_does(server: Server) -> None:
    with court(server, "CREATE TABLE t (id int REFERENCES auth.users);", prelude=[PRELUDE]) as case:
        assert "auth.users" not in case.script("t").replace("REFERENCES auth.users(id)", "")
        case.assert_exact("t")


@pytest.mark.parametrize(
    "change", ["UPDATE auth.users SET email = 'z';", "ALTER TYPE auth.pair ADD ATTRIBUTE c int;"]
)
def test_what_cannot_be_said_as_a_change_is_refused(server: Server, change: str) -> None:
    with court(
        server,
        f"{change} CREATE TABLE t (id int REFERENCES auth.users, p auth.pair);",
        prelude=[PRELUDE, "CREATE TYPE auth.pair AS (a int, b int);"],
    ) as case:
        with pytest.raises(FormUnavailableError, match="the prelude makes"):
            case.script("t")
        assert case.difference("t", "statements") == ""


def rows(case: Court, dbname: str) -> list[tuple[str, str]]:
    """The rows of every table, by its name, and where the sequences stand."""
    with case.server.target(dbname).connect() as connection:
        names = connection.execute(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'S') AND oid >= 16384 ORDER BY 1"
        ).fetchall()
        return [
            (name, str(sorted(map(str, connection.execute(f"TABLE {name}".encode()).fetchall()))))
            for (name,) in names
        ]
