"""Names that hold a dot, or a quote, are one name: a bare name is what comes after the schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from datastorage.infrastructure.migrations import available_migrations
from pgslate.errors import UsageError
from pgslate.project.project import Project
from pgslate.schema.identifiers import qualified

SQL = """CREATE TABLE "app.users" (id int); CREATE INDEX "by.id" ON "app.users" (id);
CREATE TABLE "say ""hi"".y2026m01" (id int);"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "001_first.sql").write_text(SQL)
    (tmp_path / "pgslate.toml").write_text(
        """catalog = "migrations"
[contracts.right]
tables = ["*"]
indexes = ['"by.id"']
[contracts.wrong]
tables = ["*"]
indexes = ["id"]
"""
    )
    return tmp_path


def test_a_contract_relies_on_an_index_by_its_whole_name(folder: Path) -> None:
    project = Project.open(start=folder)
    assert project.selection(contracts=["right"]).tables == ()
    with pytest.raises(UsageError, match="which no migration makes"):
        project.selection(contracts=["wrong"])


def test_the_seeds_list_of_tables_has_their_whole_names(folder: Path) -> None:
    (migration,) = available_migrations(folder)
    assert migration.tables == ("app.users", 'say "hi".y2026m01')
    assert migration.indexes == ("by.id",)


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("public.t", ("public", "t")),
        ('public."Odd.Table"', ("public", "Odd.Table")),
        ('"a""b".""""', ('a"b', '"')),
        ("t", ("", "t")),
    ],
)
def test_a_name_is_taken_apart_as_postgresql_quotes_it(identity: str, name: tuple[str, str]) -> None:
    assert qualified(identity) == name
