"""What belongs to a slice and what does not: one test for each way in which slices go wrong."""

from __future__ import annotations

from tests.slices.judging import court

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


def test_a_foreign_key_that_was_made_anew_over_another_key_does_not_stand_in_the_way(server: Server) -> None:
    made = "FOREIGN KEY (id, {}) REFERENCES base (id, {})"
    with court(
        server,
        "CREATE TABLE base (id int, old int, new int, CONSTRAINT base_old UNIQUE (id, old));",
        "DO $$ BEGIN CREATE TABLE wanted (id int);"
        f"CREATE TABLE sub (id int, old int, new int, CONSTRAINT key {made.format('old', 'old')}); END $$;",
        "ALTER TABLE base ADD CONSTRAINT base_new UNIQUE (id, new);",
        f"ALTER TABLE sub DROP CONSTRAINT key, ADD CONSTRAINT key {made.format('new', 'new')};",
        "ALTER TABLE base DROP CONSTRAINT base_old;",
        "ALTER TABLE wanted ADD FOREIGN KEY (id, id) REFERENCES base (id, new);",
    ) as case:
        assert case.files("wanted") == ["1", "2", "3", "4", "5", "6"]
        case.assert_exact("wanted", "sub")


def test_a_self_reference_that_was_dropped_is_dropped_in_the_slice(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE folders (id int PRIMARY KEY, parent int CONSTRAINT up REFERENCES folders (id));",
        "ALTER TABLE folders DROP CONSTRAINT up;",
        "ALTER TABLE folders DROP CONSTRAINT folders_pkey;",
    ) as case:
        case.assert_exact("folders")


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


def test_a_statement_that_says_a_value_of_an_enum_needs_it_there(server: Server) -> None:
    with court(
        server,
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TABLE people (id int, feels mood, other mood[]);",
        "ALTER TYPE mood ADD VALUE 'so so'; CREATE TABLE beside (id int);",
        "UPDATE people SET id = 1 WHERE 'so so' = ANY (other); CREATE TABLE wanted (id int);",
        "ALTER TYPE mood ADD VALUE 'bored'; CREATE TABLE beside_too (id int);",
        "UPDATE people SET id = 1 WHERE id = 2; CREATE TABLE another (id int);",
    ) as case:
        assert case.files("wanted") == ["1", "2", "3"]
        assert case.files("another") == ["1", "5"]
        case.assert_exact("wanted", "beside", "people")


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


def test_an_update_of_no_rows_still_needs_its_table(server: Server) -> None:
    with court(
        server,
        USERS,
        "CREATE TABLE orders (i int);",
        "ALTER TABLE users ADD COLUMN n int; UPDATE orders SET i = 1;",
    ) as case:
        assert case.files("users") == ["1", "2", "3"]
        assert len(case.statements("users")) == 2


def test_a_prelude_is_there_and_belongs_to_no_migration(server: Server) -> None:
    with court(
        server,
        "CREATE TABLE app.users (i int REFERENCES app.accounts (id));",
        prelude=["CREATE SCHEMA app; CREATE TABLE app.accounts (id int PRIMARY KEY);"],
    ) as case:
        assert case.files("app.users") == ["1"]
        case.assert_exact("app.users")


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


def test_a_partition_makes_room_for_the_next_with_its_values(server: Server) -> None:
    made = "CREATE TABLE public.%I PARTITION OF public.events FOR VALUES FROM (1) TO (%s)"
    with court(
        server,
        "CREATE TABLE events (id bigint NOT NULL) PARTITION BY RANGE (id);",
        "CREATE TABLE users (id int); CREATE TABLE old PARTITION OF events FOR VALUES FROM (1) TO (9);"
        "ALTER TABLE events ADD COLUMN note text;",
        "CREATE TABLE noise (id int);",
        "ALTER TABLE events DETACH PARTITION old; CREATE TABLE other (id int);",
        f"DO $$ BEGIN EXECUTE format('{made}', 'new', 9); END $$;",
    ) as case:
        assert case.files("new") == ["1", "2", "4", "5"]
        case.assert_exact("new", "events", "old")
