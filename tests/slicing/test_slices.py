"""What belongs to a slice and what does not: one test for each way in which slices go wrong."""

from __future__ import annotations

import pytest
from tests.slicing.judging import court

from pgslate.errors import UnknownTableError
from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY);"
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users (id));"


def test_a_table_needs_what_its_foreign_keys_refer_to(server: Server) -> None:
    with court(server, USERS, ORDERS, "CREATE TABLE other (i int);") as case:
        assert case.files("orders") == ["1", "2"]
        case.assert_exact("orders")


def test_a_table_does_not_need_what_refers_to_it(server: Server) -> None:
    with court(server, USERS, ORDERS) as case:
        assert case.files("users") == ["1"]
        case.assert_exact("users")


def test_a_foreign_key_made_and_dropped_by_files_apart_does_not_stand_in_the_way(server: Server) -> None:
    with court(
        server,
        USERS,
        "CREATE TABLE side (i int); ALTER TABLE users ADD COLUMN name text;"
        "CREATE TABLE orders (user_id int CONSTRAINT to_user REFERENCES users (id));",
        "ALTER TABLE orders DROP CONSTRAINT to_user;",
        "ALTER TABLE users DROP CONSTRAINT users_pkey;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        assert case.files("side") == ["1", "2"]
        case.assert_exact("users", "side")


def test_a_self_reference_that_was_dropped_is_dropped_in_the_slice(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE folders (id int PRIMARY KEY, parent int CONSTRAINT up REFERENCES folders (id));",
        "ALTER TABLE folders DROP CONSTRAINT up;",
        "ALTER TABLE folders DROP CONSTRAINT folders_pkey;",
    ) as case:
        case.assert_exact("folders")


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


def test_a_loop_over_the_catalog_does_not_tie_tables_together(server: Server) -> None:
    loop = """DO $$ DECLARE t text; BEGIN
        FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
            EXECUTE format('ALTER TABLE %I ADD COLUMN added int', t);
        END LOOP; END $$;"""
    with court(server, USERS, "CREATE TABLE other (i int);", loop) as case:
        assert case.files("other") == ["2", "3"]
        case.assert_exact("users", "other")


def test_ddl_built_at_run_time_is_seen(server: Server) -> None:
    block = """DO $$ BEGIN FOR n IN 1..3 LOOP
        EXECUTE format('CREATE TABLE part_%s (LIKE users)', n); END LOOP; END $$;"""
    with court(server, USERS, block, "CREATE INDEX ON part_2 (id);") as case:
        assert case.files("part_2") == ["1", "2", "3"]
        case.assert_exact("part_2")


def test_a_rename_is_a_change_and_not_a_new_table(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE alerts (i int);",
        "ALTER TABLE alerts RENAME TO signals;",
        "CREATE TABLE alerts (j text);",
    ) as case:
        assert case.files("signals") == ["1", "2"]
        case.assert_exact("signals", "alerts")


def test_a_table_made_again_does_not_need_its_first_life(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (old int);",
        "DROP TABLE users;",
        USERS,
        "ALTER TABLE users ADD COLUMN b int;",
    ) as case:
        assert case.files("users") == ["3", "4"]
        case.assert_exact("users")


def test_a_name_that_is_still_held_is_freed_first(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int); CREATE TABLE orders (id int); CREATE INDEX by_id ON orders (id);",
        "DROP INDEX by_id;",
        "CREATE INDEX by_id ON users (id);",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        case.assert_exact("users")


def test_a_temporary_table_lives_as_long_as_its_file(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int);",
        "CREATE TEMP TABLE scratch ON COMMIT DROP AS SELECT 7 AS id;"
        "INSERT INTO users SELECT id FROM scratch;",
        "CREATE TEMP TABLE scratch AS SELECT 8 AS id; INSERT INTO users SELECT id FROM scratch;",
    ) as case:
        case.assert_exact("users")
        assert len(case.statements("users")) == 5


def test_a_search_path_reaches_to_the_end_of_its_file_only(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA app;",
        "SET search_path = app; CREATE TABLE users (id int); CREATE TABLE noise (i int);",
        "CREATE TABLE users (other text);",
        "SET LOCAL search_path = app; ALTER TABLE users ADD COLUMN name text;",
    ) as case:
        assert case.files("app.users") == ["1", "2", "4"]
        assert case.files("public.users") == ["3"]
        assert not any("noise" in text for text in case.statements("app.users"))
        case.assert_exact("app.users", "public.users")


def test_seeded_rows_and_what_they_were_copied_from_are_needed(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE a (i int); CREATE TABLE noise (i int);",
        "CREATE TABLE b (i int);",
        "COPY a (i) FROM stdin;\n1\n2\n\\.\n",
        "INSERT INTO b SELECT i FROM a;",
        "DROP TABLE a;",
    ) as case:
        assert case.files("b") == ["1", "2", "3", "4"]
        case.assert_exact("b")


def test_an_enum_needs_the_values_added_to_it(server: Server) -> None:
    with court(
        server,
        "CREATE TYPE mood AS ENUM ('sad');",
        "CREATE TABLE users (m mood);",
        "ALTER TYPE mood ADD VALUE 'happy';",
        "ALTER TABLE users ALTER m SET DEFAULT 'happy';",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        case.assert_exact("users")


def test_a_view_needs_what_it_reads_and_its_tables_do_not_need_it(server: Server) -> None:
    with court(
        server, USERS, "CREATE TABLE other (i int);", "CREATE VIEW names AS SELECT id FROM users;"
    ) as case:
        assert case.files("names") == ["1", "3"]
        assert case.files("users") == ["1"]
        case.assert_exact("names", "users")


def test_a_view_in_the_way_is_dropped_as_it_was(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (id int, name text); CREATE VIEW names AS SELECT name FROM users;",
        "DROP VIEW names;",
        "ALTER TABLE users DROP COLUMN name;",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        case.assert_exact("users")


def test_partitions_come_with_their_table(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE events (day date) PARTITION BY RANGE (day);",
        "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
        "CREATE TABLE loose (day date);",
        "ALTER TABLE events ATTACH PARTITION loose FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');",
        "CREATE INDEX ON events (day);",
        "ALTER TABLE events DETACH PARTITION loose;",
    ) as case:
        case.assert_exact("events", "events_2026", "loose")
        assert "2" in case.files("events")


def test_an_index_made_concurrently_is_seen(server: Server) -> None:
    with court(
        server,
        USERS,
        "-- no transaction\nCREATE INDEX CONCURRENTLY by_id ON users (id);",
        "CREATE TABLE o (i int);",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")


def test_a_block_that_commits_is_run_outside_a_transaction(server: Server) -> None:
    block = "DO $$ BEGIN FOR i IN 1..2 LOOP INSERT INTO users VALUES (i); COMMIT; END LOOP; END $$;"
    with court(server, USERS, block, "ALTER TABLE users ADD COLUMN b int;") as case:
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


def test_an_update_of_no_rows_still_needs_its_table(server: Server) -> None:
    with court(
        server,
        USERS,
        "CREATE TABLE orders (i int);",
        "ALTER TABLE users ADD COLUMN n int; UPDATE orders SET i = 1;",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        assert len(case.statements("users")) == 2


def test_names_that_differ_by_case_are_two_tables(server: Server) -> None:
    with court(
        server,
        'CREATE TABLE "Users" (i int);',
        "CREATE TABLE users (j int);",
        'ALTER TABLE "Users" ADD k int;',
    ) as case:
        assert case.files("users") == ["2"]
        assert case.files('"Users"') == ["1", "3"]
        case.assert_exact('"Users"', "public.users")


def test_a_schema_renamed_keeps_its_tables(server: Server) -> None:
    with court(
        server,
        "CREATE SCHEMA app; CREATE TABLE app.users (i int);",
        "ALTER SCHEMA app RENAME TO shop;",
        "ALTER TABLE shop.users ADD COLUMN j int;",
        "CREATE TABLE public.other (i int);",
    ) as case:
        assert case.files("shop.users") == ["1", "2", "3"]
        case.assert_exact("shop.users")


def test_a_prelude_is_there_and_belongs_to_no_migration(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE app.users (i int REFERENCES app.accounts (id));",
        prelude=["CREATE SCHEMA app; CREATE TABLE app.accounts (id int PRIMARY KEY);"],
    ) as case:
        assert case.files("app.users") == ["1"]
        case.assert_exact("app.users")


def test_an_unknown_table_is_told_what_it_may_have_been(server: Server) -> None:
    with court(server, USERS) as case, pytest.raises(UnknownTableError, match="did you mean users"):
        case.slice("user")


def test_a_dropped_table_is_told_by_which_migration(server: Server) -> None:
    with (
        court(server, USERS, "DROP TABLE users;") as case,
        pytest.raises(UnknownTableError, match=r"2_step\.sql:1"),
    ):
        case.slice("users")


def test_a_statement_built_at_run_time_names_what_it_drops(server: Server) -> None:
    with court(
        server,
        'CREATE TABLE "order" (id int);',
        """DO $$ BEGIN EXECUTE 'DROP TABLE "order"'; END $$; CREATE TABLE users (id int);""",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")


def test_a_table_is_named_by_its_index_too(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE items (id int); CREATE INDEX by_id ON items (id);",
        "CREATE TABLE users (id int); DO $$ BEGIN COMMENT ON INDEX by_id IS 'quick'; END $$;",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users", "items")


def test_a_name_that_postgresql_numbered_needs_the_names_before_it(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE items (id serial);",
        "ALTER TABLE items RENAME TO things;",
        "CREATE TABLE items (id serial);",
    ) as case:
        case.assert_exact("items", "things")


def test_a_name_is_freed_by_who_held_it_in_the_slice(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE base (i int); CREATE TABLE items (i int);",
        "CREATE VIEW tags AS SELECT i FROM base; DROP TABLE items;",
        "ALTER VIEW tags RENAME TO items;",
        "DROP TABLE base CASCADE;",
        "CREATE SEQUENCE items; ALTER SEQUENCE items START 3;",
    ) as case:
        assert case.files("items") == ["5"]
        case.assert_exact("items")


def test_a_later_default_privilege_reaches_later_tables_only(server: Server) -> None:
    with court(
        server,
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;",
        "CREATE TABLE early (i int);",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT INSERT ON TABLES TO PUBLIC;"
        "CREATE TABLE late (i int);",
    ) as case:
        assert len(case.statements("early")) == 2
        assert len(case.statements("late")) == 3
        case.assert_exact("early", "late")


def test_a_list_of_varchar_values_is_written_as_it_was(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE users (state varchar(10) CHECK (state IN ('new', 'old')));",
        "CREATE TABLE b (i int);",
    ) as case:
        case.assert_exact("users")


def test_a_row_needs_the_values_its_table_took_by_then(server: Server) -> None:
    with court(
        server,
        "CREATE TYPE kind AS ENUM ('hill'); CREATE TABLE places (k kind);",
        "ALTER TYPE kind ADD VALUE 'cave';",
        "INSERT INTO places VALUES ('cave');",
    ) as case:
        assert len(case.statements("places")) == 4
        case.assert_exact("places")


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


def test_rights_on_the_schema_public_come_along(server: Server) -> None:
    prelude = "DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
    with court(server, USERS, "GRANT USAGE ON SCHEMA public TO reader;", prelude=[prelude]) as case:
        snapshot = case.script("users")
        assert "GRANT USAGE ON SCHEMA public TO reader" in snapshot
        case.assert_exact("users")


def test_a_function_without_a_string_for_a_body_is_read(server: Server) -> None:
    with court(
        server,
        "CREATE FUNCTION size(x bigint) RETURNS bigint LANGUAGE sql IMMUTABLE RETURN abs(x);",
        "CREATE TABLE users (id bigint DEFAULT size(-1));",
    ) as case:
        assert case.files("users") == ["1", "2"]
        case.assert_exact("users")
