"""Functions and triggers: what their bodies touch, and what calls them."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY);"


def test_words_of_a_function_body_are_not_tables(server: Server) -> None:
    function = """CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        -- orders and other words are just words here
        BEGIN NEW.note := 'orders'; RETURN NEW; END $$;"""
    with court(
        server,
        "CREATE TABLE users (id int, note text);",
        "CREATE TABLE orders (i int);",
        function,
        "CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();",
    ) as case:
        assert case.files("users") == ["1", "3", "4"]
        case.assert_exact("users")


def test_what_a_trigger_function_touches_is_required(server: Server) -> None:
    function = """CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO log SELECT NEW.id; RETURN NEW; END $$;"""
    with court(
        server,
        USERS,
        function,
        "CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION log_it();",
        "CREATE TABLE log (id int);",
        "CREATE TABLE other (i int);",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]


def test_a_function_that_only_an_update_calls_is_needed(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int, name text); INSERT INTO users VALUES (1, 'a');",
        "CREATE FUNCTION loud(t text) RETURNS text LANGUAGE sql AS 'SELECT upper(t)';",
        "UPDATE users SET name = loud(name);",
        "DROP FUNCTION loud(text);",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        case.assert_exact("users")


def test_an_event_trigger_that_fired_is_needed(server: Server) -> None:
    secure = """CREATE FUNCTION secure() RETURNS event_trigger LANGUAGE plpgsql AS $$
        DECLARE made record; BEGIN
            FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_type = 'table' LOOP
                EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.object_identity);
            END LOOP; END $$;"""
    with court(
        server,
        "CREATE TABLE before (i int);",
        secure,
        "CREATE EVENT TRIGGER secure ON ddl_command_end WHEN TAG IN ('CREATE TABLE')"
        " EXECUTE FUNCTION secure();",
        USERS,
    ) as case:
        assert case.files("users") == ["2", "3", "4"]
        assert case.files("before") == ["1"]
        case.assert_exact("users")


def test_a_variable_of_a_row_type_does_not_hide_what_a_function_touches(server: Server) -> None:
    function = """CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE entry log; BEGIN entry.id := NEW.id; INSERT INTO log SELECT entry.*; RETURN NEW; END $$;"""
    with court(
        server,
        USERS,
        "CREATE TABLE log (id int);",
        f"{function} CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION log_it();",
        "ALTER TABLE log ADD COLUMN at timestamptz;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]


def test_a_function_without_a_string_for_a_body_is_read(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION size(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN abs(x);",
        "CREATE TABLE users (id bigint DEFAULT size(-1));",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")
