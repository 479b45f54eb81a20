"""What stood before a catalog and no migration changes only has to be there: its owner may do as he likes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.slices.judging import catalog_of

from pgslate import apply, verify
from pgslate.catalog.prelude import PreludeFile
from pgslate.slices.selection import select
from pgslate.slices.slice import Slice, slice_of, whole
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.tracer import trace

Traced = Callable[..., Slice]


@pytest.fixture
def whole_of(server: Server) -> Traced:
    """The whole of a catalog of these migrations, traced after a prelude."""

    def of(*sources: str, prelude: str = "", table: str = "") -> Slice:
        catalog = catalog_of(*sources)
        scratch = server.create_database("as_found", template="template0")
        try:
            found = trace(catalog, scratch, prelude=[PreludeFile("prelude", prelude)]).trace
        finally:
            server.drop_database("as_found")
        if not table:
            return whole(catalog, found)
        return slice_of(catalog, found, select(catalog, found, [table]), tables=(table,))

    return of


def run(target: Target, statement: str) -> None:
    with target.connect(autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_hosts_rights_on_public_are_no_difference(whole_of: Traced, database: Target) -> None:
    chosen = whole_of("CREATE TABLE users (id int);")
    run(database, "GRANT ALL ON SCHEMA public TO PUBLIC; COMMENT ON SCHEMA public IS 'the host''s own'")
    apply(chosen, database)
    assert verify(chosen, database).differences == ()


def test_rights_on_public_that_a_migration_gives_are_compared(whole_of: Traced, database: Target) -> None:
    chosen = whole_of("CREATE TABLE users (id int);", "GRANT CREATE ON SCHEMA public TO pg_read_all_data;")
    apply(chosen, database)
    run(database, "GRANT CREATE ON SCHEMA public TO PUBLIC")
    assert [(each.kind, each.object) for each in verify(chosen, database).differences] == [
        ("schema", "public")
    ]


def test_another_tools_table_may_be_more_than_the_prelude_says(whole_of: Traced, database: Target) -> None:
    chosen = whole_of(
        "CREATE TABLE orders (user_id int REFERENCES users (id));",
        prelude="CREATE TABLE users (id int PRIMARY KEY);",
        table="orders",
    )
    run(database, "CREATE TABLE users (id int PRIMARY KEY, name text, mail text UNIQUE)")
    apply(chosen, database)
    assert verify(chosen, database).ok


def test_what_should_stand_before_has_to_be_there(whole_of: Traced, database: Target) -> None:
    chosen = whole_of(
        "CREATE TABLE orders (status status);",
        prelude="CREATE TYPE status AS ENUM ('new'); CREATE TABLE users (id int);",
    )
    run(database, "CREATE TYPE status AS ENUM ('new', 'old')")
    run(database, "CREATE TABLE orders (status status)")
    assert [str(each) for each in verify(chosen, database).differences] == [
        "table public.users: expected table public.users, found missing"
    ]
