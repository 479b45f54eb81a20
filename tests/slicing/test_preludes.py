"""A prelude that PostgreSQL refuses is told as a migration is: where, why, and what to do."""

from __future__ import annotations

import pytest
from tests.slicing.judging import court

from pgslate.errors import MigrationFailedError, Place
from pgslate.targets.embedded.server import Server


def test_a_prelude_that_fails_is_told_with_its_place(server: Server) -> None:
    prelude = ["CREATE SCHEMA app;\n", "CREATE TABLE app.keys (id int);\n  SELECT missing FROM app.keys;\n"]
    with pytest.raises(MigrationFailedError) as caught, court(server, "SELECT 1", prelude=prelude):
        pass
    assert caught.value.place == Place("prelude file 2", 2, 10, "  SELECT missing FROM app.keys;")
    assert 'prelude file 2 failed: column "missing" does not exist (SQLSTATE 42703)' in caught.value.message


def test_a_prelude_that_makes_a_role_twice_is_told_to_mind_that(server: Server) -> None:
    prelude = ["CREATE ROLE pgslate_twice;", "CREATE ROLE pgslate_twice;"]
    with pytest.raises(MigrationFailedError) as caught, court(server, "SELECT 1", prelude=prelude):
        pass
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE pgslate_twice")
    assert "let it run twice" in caught.value.fix
