"""A prelude that PostgreSQL refuses is told as a migration is: where, why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.slices.judging import court

from pgslate.catalog.prelude import run_prelude
from pgslate.errors import MigrationFailedError, Place
from pgslate.project.project import Project
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target

Written = Callable[[Mapping[str, str]], Project]

SHOP = {
    "pgslate.toml": 'prelude = ["../shared.sql", "db/app.sql"]\n',
    "../shared.sql": "CREATE SCHEMA app;",
    "db/app.sql": "CREATE TABLE app.keys (id int);",
    "migrations/1_a.up.sql": "DELETE FROM schema_migrations;",
}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A project of these files, beside a ``shop`` that has the configuration."""

    def write(files: Mapping[str, str]) -> Project:
        for name, text in files.items():
            file = tmp_path / "shop" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Project.open(config=tmp_path / "shop" / "pgslate.toml")

    return write


def test_a_prelude_that_fails_is_told_with_its_place_in_the_file(written: Written, database: Target) -> None:
    project = written(
        SHOP | {"db/app.sql": "CREATE TABLE app.keys (id int);\n  SELECT missing FROM app.keys;\n"}
    )
    with (
        database.connect(autocommit=True) as connection,
        pytest.raises(MigrationFailedError) as caught,
    ):
        run_prelude(connection, project.prelude)
    assert caught.value.place == Place("db/app.sql", 2, 10, "  SELECT missing FROM app.keys;")
    assert 'db/app.sql failed: column "missing" does not exist (SQLSTATE 42703)' in caught.value.message


def test_each_part_of_a_prelude_says_what_it_is(written: Written) -> None:
    assert [file.name for file in written(SHOP).prelude] == [
        "../shared.sql",
        "db/app.sql",
        "the table that golang-migrate keeps",
    ]


def test_a_prelude_that_makes_a_role_twice_is_told_to_mind_that(server: Server) -> None:
    prelude = ["CREATE ROLE pgslate_twice;", "CREATE ROLE pgslate_twice;"]
    with pytest.raises(MigrationFailedError) as caught, court(server, "SELECT 1", prelude=prelude):
        pass
    with server.target().connect(autocommit=True) as connection:
        connection.execute("DROP ROLE pgslate_twice")
    assert "let the prelude run twice" in caught.value.fix
