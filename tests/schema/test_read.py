"""Reading a database is one round trip, by any role, whatever its session's settings, and leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from tests.schema.conftest import Connection

from pgslate.schema import Schema
from pgslate.schema.compare import compare
from pgslate.schema.read import read
from pgslate.targets.target import Target

ODD_SETTINGS = """
SET search_path = shop, public; SET datestyle = 'SQL, DMY'; SET intervalstyle = 'iso_8601';
SET timezone = 'Pacific/Auckland'; SET quote_all_identifiers = on; SET bytea_output = 'escape';
SET extra_float_digits = -5; SET standard_conforming_strings = off; SET jit = on
"""


@pytest.fixture
def connection(database: Target) -> Iterator[psycopg.Connection[Any]]:
    with database.connect(autocommit=True) as connection:
        yield connection


def settings(connection: Connection) -> dict[str, str]:
    return dict(
        connection.execute("SELECT name, setting FROM pg_settings WHERE name <> 'client_encoding'").fetchall()
    )


def test_what_is_read_does_not_depend_on_the_sessions_settings(rich: Connection) -> None:
    expected = read(rich)
    with rich.transaction(force_rollback=True):
        rich.execute(ODD_SETTINGS)
        assert read(rich) == expected


@pytest.mark.parametrize("in_transaction", [False, True])
def test_the_sessions_settings_stay_as_they_were(
    connection: psycopg.Connection[Any], in_transaction: bool
) -> None:
    connection.execute(ODD_SETTINGS)
    before = settings(connection)
    if in_transaction:
        with connection.transaction():
            connection.execute("SET LOCAL search_path = pg_catalog")
            read(connection)
            assert "pg_catalog" in str(connection.execute("SHOW search_path").fetchone())
    else:
        read(connection)
    assert settings(connection) == before


def test_a_role_without_any_rights_reads_the_same(rich: Connection) -> None:
    expected = read(rich)
    with rich.transaction(force_rollback=True):
        rich.execute("SET LOCAL ROLE rich_reader")
        found = read(rich)
    assert set(found.objects) == set(expected.objects)
    assert found.role == "rich_reader"
    people = found.get("table", "shop.people")
    assert people
    assert people.get("owner") == "postgres"


def test_only_what_is_asked_for_is_read_each_with_its_parts(rich: Connection) -> None:
    whole = read(rich)
    names = [
        *[("table", f"shop.{each}") for each in ("people", "nowhere")],
        ("type", "shop.email"),
        ("schema", "shop"),
        ("view", "shop.happy"),
        ("function", "shop.touch()"),
        ("sequence", "shop.ticket"),
    ]
    found = read(rich, within=names)
    assert found == whole.within(names)
    assert ("sequence", "shop.people_id_seq") in found
    assert ("policy", "own_rows on shop.people") in found


def test_nothing_is_read_where_nothing_is_asked_for(rich: Connection) -> None:
    assert len(read(rich, within=[])) == 0


def test_each_table_alone_reads_as_it_does_among_all(rich: Connection) -> None:
    whole = read(rich)
    tables = [each.key for each in whole.top_level() if each.kind == "table"]
    assert len(tables) > 15
    for key in tables:
        assert read(rich, within=[key]) == whole.within([key])


def test_members_of_extensions_and_excluded_schemas_are_left_out(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE EXTENSION hstore; CREATE SCHEMA pgslate; CREATE TABLE pgslate.ledger (a int)")
    connection.execute("CREATE SCHEMA other; CREATE TABLE other.t (a int)")
    assert {each.key for each in read(connection)} == {
        ("extension", "hstore"),
        ("schema", "public"),
        ("schema", "other"),
        ("table", "other.t"),
        ("table column", "other.t.a"),
    }
    assert ("table", "pgslate.ledger") in read(connection, exclude_schemas=["other"])


def test_a_plain_column_is_just_its_type(connection: psycopg.Connection[Any]) -> None:
    connection.execute("CREATE TABLE t (a text)")
    column = read(connection).get("table column", "public.t.a")
    assert column
    assert column.attributes == {"type": "text"}


def test_the_name_of_a_not_null_constraint_is_no_difference_to_a_server_that_has_none(
    rich_on: Callable[[int], Connection],
) -> None:
    def made(connection: Connection) -> Schema:
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE TABLE shop.named (a int CONSTRAINT must NOT NULL)")
            connection.execute("ALTER TABLE shop.named RENAME TO renamed")
            return read(connection, within=[("table", "shop.renamed")])

    old, new = made(rich_on(17)), made(rich_on(18))
    column = new.get("table column", "shop.renamed.a")
    assert column
    assert column.get("not_null_constraint") == "must"
    assert compare(old, new) == compare(new, old) == ()


def test_it_is_one_message(database: Target) -> None:
    sent: list[object] = []

    class Counting(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            sent.append(query)
            return super().execute(query, *args, **kwargs)

    with database.connect(autocommit=True, cursor_factory=Counting) as connection:
        read(connection)
    assert len(sent) == 1


def test_passwords_of_user_mappings_are_never_read(rich: Connection) -> None:
    text = read(rich).dumps()
    assert '"options":["password","username=x"]' in text
    assert "secret" not in text


def test_a_comment_on_a_not_null_constraint_is_its_columns(rich_on: Callable[[int], Connection]) -> None:
    connection = rich_on(18)
    expected = read(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("COMMENT ON CONSTRAINT people_name_not_null ON shop.people IS 'a name, please'")
        (difference,) = compare(expected, read(connection))
    assert (difference.object, difference.found) == ("shop.people.name", "not null comment a name, please")
