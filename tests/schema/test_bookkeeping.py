"""What the server keeps in options for itself is never read, since no statement can set it."""

from __future__ import annotations

import pytest

from pgslate.schema import Schema
from pgslate.schema.read import read
from pgslate.targets.target import Target

TABLE = """
CREATE TABLE orders (id int PRIMARY KEY, note text) WITH (fillfactor = 70);
ALTER TABLE orders ALTER note SET (n_distinct = 5);
CREATE FUNCTION total() RETURNS int LANGUAGE sql SET work_mem = '1MB' RETURN 1;
"""


def attribute(schema: Schema, kind: str, name: str, attribute: str) -> object:
    found = schema.get(kind, name)
    assert found is not None
    return found.get(attribute)


@pytest.mark.parametrize(
    "bookkeeping",
    [
        "UPDATE pg_attribute SET attoptions = attoptions || '{pg_attver=26872472}'"
        " WHERE attrelid = 'orders'::regclass AND attnum > 0",
        "UPDATE pg_attribute SET attoptions = '{nobody_knows=1}'"
        " WHERE attrelid = 'orders'::regclass AND attname = 'id'",
        "UPDATE pg_class SET reloptions = reloptions || '{pg_relver=1}' WHERE oid = 'orders'::regclass",
        "UPDATE pg_class SET reloptions = '{pg_relver=1}'"
        " WHERE oid = (SELECT reltoastrelid FROM pg_class WHERE oid = 'orders'::regclass)",
        "UPDATE pg_proc SET proconfig = proconfig || '{pg_procver=1}' WHERE proname = 'total'",
    ],
)
def test_an_option_that_no_statement_can_set_is_not_read(any_database: Target, bookkeeping: str) -> None:
    with any_database.connect(autocommit=True) as connection:
        connection.execute(TABLE)
        before = read(connection)
        connection.execute("SET allow_system_table_mods = on")
        assert connection.execute(bookkeeping.encode()).rowcount > 0
        assert read(connection) == before


def test_the_options_that_statements_set_are_read(any_database: Target) -> None:
    with any_database.connect(autocommit=True) as connection:
        connection.execute(TABLE)
        schema = read(connection)
    assert attribute(schema, "table", "public.orders", "options") == ("fillfactor=70",)
    assert attribute(schema, "table column", "public.orders.note", "options") == ("n_distinct=5",)
    assert attribute(schema, "function", "public.total()", "settings") == ("work_mem=1MB",)


def test_a_setting_of_an_extension_whose_name_begins_like_the_servers_own_is_read(
    any_database: Target,
) -> None:
    with any_database.connect(autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET pg_stat_statements.track = 'none' RETURN 1"
        )
        assert attribute(read(connection), "function", "public.f()", "settings") == (
            "pg_stat_statements.track=none",
        )
