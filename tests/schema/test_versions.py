"""The same migrations, applied to PostgreSQL 15, 17 and 18, give the same schema, however each spells it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.schema.conftest import Connection

from pgslate.schema.compare import compare
from pgslate.schema.read import read

PAIRS = [(15, 17), (15, 18), (17, 18), (17, 15), (18, 15), (18, 17), (15, 15), (17, 17), (18, 18)]


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_rich_schema_is_the_same_on_two_versions(
    here: int, there: int, rich_on: Callable[[int], Connection]
) -> None:
    expected, found = read(rich_on(here)), read(rich_on(there))
    assert len(expected) > 200
    assert compare(expected, found) == ()


def test_rights_that_only_the_newer_version_knows_are_told_on_that_version(
    rich_on: Callable[[int], Connection],
) -> None:
    connection = rich_on(17)
    expected = read(connection)
    with connection.transaction(force_rollback=True):
        connection.execute("REVOKE MAINTAIN ON shop.people FROM rich_writer")
        (difference,) = compare(expected, read(connection))
    assert difference.object == "shop.people"
    assert difference.fix == "GRANT MAINTAIN ON shop.people TO rich_writer;"


def test_a_view_over_another_column_differs_across_versions(rich_on: Callable[[int], Connection]) -> None:
    expected = read(rich_on(15))
    with rich_on(18).transaction(force_rollback=True):
        rich_on(18).execute(
            "CREATE OR REPLACE VIEW shop.aliased AS SELECT b AS a, 1 AS n FROM shop.scratch x"
        )
        differences = compare(expected, read(rich_on(18)))
    assert [each.object for each in differences] == ["shop.aliased"]


IDENTITIES = """
CREATE TABLE public.log (id bigint GENERATED ALWAYS AS IDENTITY, kind text, at date) PARTITION BY LIST (kind);
CREATE TABLE public.log_a PARTITION OF public.log FOR VALUES IN ('a') PARTITION BY RANGE (at);
CREATE TABLE public.log_a_24 PARTITION OF public.log_a FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE public.log_b PARTITION OF public.log DEFAULT PARTITION BY HASH (id);
CREATE TABLE public.log_b_0 (kind text, id bigint NOT NULL, at date);
ALTER TABLE public.log_b ATTACH PARTITION public.log_b_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE public.copy (LIKE public.log_a_24 INCLUDING ALL);
CREATE TABLE public.plain (id bigint GENERATED ALWAYS AS IDENTITY);
"""


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_partitions_have_an_identity_by_the_rules_of_the_older_server(
    here: int, there: int, rich_on: Callable[[int], Connection]
) -> None:
    schemas = []
    for major in (here, there):
        with rich_on(major).transaction(force_rollback=True):
            rich_on(major).execute(IDENTITIES)
            schemas.append(read(rich_on(major)))
    assert compare(schemas[0], schemas[1], copies=[("table", "public.copy")]) == ()


def test_an_identity_that_is_gone_is_found_on_another_version_too(
    rich_on: Callable[[int], Connection],
) -> None:
    expected = read(rich_on(18))
    with rich_on(15).transaction(force_rollback=True):
        rich_on(15).execute("ALTER TABLE shop.people ALTER id DROP IDENTITY")
        differences = compare(expected, read(rich_on(15)))
    assert "shop.people.id" in [each.object for each in differences]


def test_the_order_of_options_means_nothing(rich_on: Callable[[int], Connection]) -> None:
    connection = rich_on(18)
    statements = {
        "SERVER": "ALTER SERVER far OPTIONS (ADD {0}, ADD {1})",
        "FOREIGN DATA WRAPPER": "ALTER FOREIGN DATA WRAPPER nowhere OPTIONS (ADD {0}, ADD {1})",
        "FOREIGN TABLE": "ALTER FOREIGN TABLE shop.remote OPTIONS (ADD {0}, ADD {1})",
        "COLUMN": "ALTER FOREIGN TABLE shop.remote ALTER a OPTIONS (ADD {0}, ADD {1})",
        "MAPPING": "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD {0}, ADD {1})",
    }
    schemas = []
    for first, second in [("b '1'", "a 'x'"), ("a 'x'", "b '1'")]:
        with connection.transaction(force_rollback=True):
            for statement in statements.values():
                connection.execute(statement.format(first, second).encode())
            connection.execute("ALTER TABLE shop.people SET (fillfactor = 70)")
            schemas.append(read(connection))
    assert compare(*schemas) == ()
