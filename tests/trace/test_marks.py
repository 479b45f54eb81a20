"""Rights, row security and comments: giving them to many tables at once doesn't tie these together."""

from __future__ import annotations

from tests.slices.judging import court

from pgslate.targets.embedded.server import Server

USERS = "CREATE TABLE users (id int PRIMARY KEY);"
ORDERS = "CREATE TABLE orders (id int PRIMARY KEY);"
LATER = "ALTER TABLE orders ADD COLUMN note text; CREATE INDEX orders_note ON orders (note);"


def test_row_security_for_many_tables_needs_them_only_to_be_there(server: Server) -> None:
    block = """DO $$ BEGIN
        ALTER TABLE users ENABLE ROW LEVEL SECURITY;
        ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
        GRANT SELECT ON users, orders TO pg_monitor WITH GRANT OPTION;
        COMMENT ON TABLE orders IS 'what they bought';
    END $$"""
    with court(server, USERS, ORDERS, LATER, block, "CREATE TABLE other (i int);") as case:
        assert case.files("users") == ["1", "2", "4"]
        assert case.files("orders") == ["1", "2", "3", "4"]
        case.assert_exact("users", "orders")


def test_a_renamed_table_is_there_under_its_new_name(server: Server) -> None:
    with court(
        server,
        USERS,
        "CREATE TABLE old (id int PRIMARY KEY, note text); CREATE INDEX old_note ON old (note);",
        "DROP INDEX old_note;",
        "ALTER TABLE old RENAME TO orders;",
        "ALTER TABLE orders RENAME COLUMN note TO remark;",
        "GRANT SELECT ON users, orders TO pg_monitor;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4", "6"]
        case.assert_exact("users", "orders")


def test_rights_on_a_column_need_the_column(server: Server) -> None:
    with court(
        server,
        USERS,
        ORDERS,
        LATER,
        "GRANT SELECT (note) ON orders TO pg_monitor; GRANT SELECT ON users TO pg_monitor;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        assert case.statements("users") == [USERS.rstrip(";"), "GRANT SELECT ON users TO pg_monitor"]
        case.assert_exact("users", "orders")


def test_a_block_that_also_alters_a_table_needs_all_of_it(server: Server) -> None:
    block = (
        "DO $$ BEGIN GRANT SELECT ON users, orders TO pg_monitor; ALTER TABLE orders DROP COLUMN note; END $$"
    )
    with court(server, USERS, ORDERS, LATER, block) as case:
        assert case.files("users") == ["1", "2", "3", "4"]
        case.assert_exact("users", "orders")


def test_a_view_given_rights_beside_a_table_comes_with_what_it_reads(server: Server) -> None:
    with court(
        server,
        USERS,
        ORDERS,
        LATER,
        "CREATE VIEW notes AS SELECT note FROM orders;",
        "GRANT SELECT ON users, notes TO pg_monitor;",
    ) as case:
        assert case.files("users") == ["1", "2", "3", "4", "5"]
        case.assert_exact("users", "notes")
