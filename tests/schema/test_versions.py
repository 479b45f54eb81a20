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
