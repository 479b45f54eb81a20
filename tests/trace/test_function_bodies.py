"""What a function's body names: some of it must be there when the function is made, the rest when it runs."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

FUZZY = "CREATE EXTENSION fuzzystrmatch;"


def test_an_extension_whose_function_a_body_calls_is_required(server: Server) -> None:
    sound = """CREATE FUNCTION sound() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.sound := soundex(NEW.name); RETURN NEW; END $$;"""
    with court(
        server,
        FUZZY,
        "CREATE TABLE users (name text, sound text);",
        sound,
        "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION sound();",
        "CREATE TABLE other (i int);",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        case.assert_exact("users")


def test_an_sql_function_is_made_after_what_its_body_calls_and_reads(server: Server) -> None:
    with court(
        server,
        FUZZY,
        "CREATE TABLE kinds (name text);",
        "CREATE FUNCTION kind(text) RETURNS text LANGUAGE sql"
        " AS 'SELECT name FROM kinds WHERE soundex(name) = $1';",
        "CREATE TABLE users (kind text DEFAULT kind('x'));",
        "ALTER TABLE users ALTER COLUMN kind DROP DEFAULT;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4", "5"]
        assert not case.proof("users", "statements").failures
        case.assert_exact("users")


def test_a_function_of_postgresqls_own_name_does_not_call_for_an_extension(server: Server) -> None:
    with court(
        server,
        "CREATE EXTENSION citext;",
        "CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS $$SELECT replace($1, 'a', 'b')$$;",
        "CREATE TABLE users (name text DEFAULT f('x'));",
    ) as case:
        assert case.files("users") == ["2", "3"]
        case.assert_exact("users")


def test_an_extensions_function_that_dynamic_sql_calls_brings_the_extension(server: Server) -> None:
    call = "DO $$ BEGIN EXECUTE 'SELECT sound' || 'ex(''x'')'; ALTER TABLE users ADD COLUMN more int; END $$"
    with court(
        server,
        FUZZY,
        "CREATE TABLE users (name text, sound text);",
        call,
        "CREATE TABLE other (i int);",
    ) as case:
        proof = case.proof("users", "files")
        assert [migration.version for migration in proof.slice.files] == ["1", "2", "3"]
