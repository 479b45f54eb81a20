"""A fix is SQL that mends the difference as it is printed, a command that exists, or plainly a sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

import psycopg
import pytest
from tests.schema.conftest import Connection
from tests.schema.test_every_kind import CHANGES
from tests.schema.test_mutations import MUTATIONS

from pgslate.cli.commands import VERBS
from pgslate.schema.compare import compare
from pgslate.schema.difference import Difference
from pgslate.schema.read import read

_SQL = re.compile(r"(ALTER|COMMENT|CREATE|DROP|GRANT|REFRESH|REINDEX|REVOKE|SECURITY) [A-Z]")
_LOSES_DATA = re.compile(
    r"\bDROP (TABLE|COLUMN|SCHEMA|TYPE|SEQUENCE|MATERIALIZED|EXTENSION|FOREIGN)\b|\bDROP [^;]* CASCADE;"
)

MORE = """
ALTER SEQUENCE shop.countdown INCREMENT BY -7
ALTER SEQUENCE shop.countdown CACHE 5
ALTER SEQUENCE shop.countdown NO CYCLE
ALTER SEQUENCE shop.people_id_seq MAXVALUE 9000
ALTER SEQUENCE shop.people_id_seq START WITH 5
ALTER TABLE shop.people SET (fillfactor = 70, parallel_workers = 2)
ALTER TABLE shop.people SET (autovacuum_enabled = off, toast.autovacuum_enabled = off)
ALTER TABLE shop.people ALTER weight SET (n_distinct = 7)
ALTER VIEW shop.busy SET (security_barrier = true)
ALTER SERVER far OPTIONS (ADD fetch_size '9')
ALTER FOREIGN DATA WRAPPER nowhere OPTIONS (ADD debug 'true')
ALTER FOREIGN TABLE shop.remote OPTIONS (ADD schema_name 'x y')
ALTER TABLE shop.people DISABLE TRIGGER ALL
ALTER TABLE shop.orders DISABLE TRIGGER ALL
GRANT SELECT (name) ON shop.people TO rich_writer WITH GRANT OPTION
REVOKE INSERT ON shop.people FROM CURRENT_USER
ALTER INDEX shop.people_pkey RENAME TO renamed
CREATE INDEX by_hand ON shop.people (weight)
CREATE UNLOGGED TABLE shop.by_hand (i int) INHERITS (shop.parent)
ALTER TABLE shop.events DETACH PARTITION shop.events_2026_01
ALTER DOMAIN shop.email SET NOT NULL
ALTER DOMAIN shop.email ADD CONSTRAINT by_hand CHECK (value <> 'x')
DROP EVENT TRIGGER watch
""".strip().splitlines()


def _differences(connection: Connection, statement: str) -> tuple[Difference, ...]:
    """The differences that a statement makes; the connection is left in its transaction."""
    before = read(connection)
    connection.execute(statement.encode())
    return compare(before, read(connection))


def _try_fixes(connection: Connection, statement: str) -> None:
    before = read(connection)
    try:
        differences = _differences(connection, statement)
    except (
        psycopg.errors.UndefinedObject,
        psycopg.errors.UndefinedTable,
        psycopg.errors.FeatureNotSupported,
    ):
        pytest.skip("this version of PostgreSQL has nothing like it")
    mended = []
    for each in differences:
        assert each.fix
        if each.fix.startswith("pgslate "):
            assert each.fix.split()[1] in {verb for verb, _, _ in VERBS}
        elif _SQL.match(each.fix):
            assert not _LOSES_DATA.search(each.fix), each
            try:
                connection.execute(each.fix.encode())
            except psycopg.Error as error:
                raise AssertionError(f"{each}\nfix: {each.fix}\n{error}") from None
            mended.append(each)
        else:
            assert not each.fix.rstrip().endswith(";"), each.fix
    left = set(map(str, compare(before, read(connection))))
    assert not [each.fix for each in mended if str(each) in left]


@pytest.mark.parametrize("statement", [*[m[0] for m in MUTATIONS], *MORE])
def test_a_fix_that_is_sql_mends_the_difference_on_each_version(rich: Connection, statement: str) -> None:
    with rich.transaction(force_rollback=True):
        _try_fixes(rich, statement)


@pytest.mark.parametrize("statement", CHANGES if isinstance(CHANGES, list) else CHANGES.strip().splitlines())
def test_a_fix_of_every_kind_that_is_sql_mends_the_difference(
    rich_on: Callable[[int], Connection], statement: str
) -> None:
    rich = rich_on(18)
    with rich.transaction(force_rollback=True):
        _try_fixes(rich, statement)
