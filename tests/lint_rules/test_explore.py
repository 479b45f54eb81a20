"""The catalog as a page: what is in it, and that nothing in a migration can break it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgslate.errors import ConfigError
from pgslate.report.explore import page
from pgslate.verbs.explore import explore, gathered

from .conftest import Folder

FILES = {
    "1_a.sql": "CREATE TABLE users (id int PRIMARY KEY);\nCREATE TABLE other (i int);",
    "2_b.sql": "CREATE TABLE orders (id int, u int REFERENCES users);"
    "COMMENT ON TABLE orders IS '</script><b>';",
}


def test_each_table_has_its_statements_each_with_its_reason(folder: Folder) -> None:
    data = gathered(folder(FILES))
    orders = next(table for table in data["tables"] if table["name"] == "orders")
    needed = {data["statements"][index][2]: data["reasons"][reason] for index, reason in orders["needed"]}
    assert needed["CREATE TABLE users (id int PRIMARY KEY)"] == [
        "creates table users",
        "needed by table orders (constraint)",
        "asked for",
    ]
    assert [data["statements"][index][2] for index in orders["along"]] == ["CREATE TABLE other (i int)"]
    assert orders["columns"] == [["id", "integer"], ["u", "integer"]]


def test_the_page_is_one_file_that_asks_for_no_other(folder: Folder, tmp_path: Path) -> None:
    text = explore(folder(FILES), tmp_path / "page.html").page.read_text()
    assert "http://" not in text
    assert "https://" not in text
    assert " src=" not in text


def test_sql_can_not_end_the_script_that_holds_it(folder: Folder) -> None:
    text = page(gathered(folder(FILES)))
    assert text.count("</script>") == 1
    data = text.partition("const D = ")[2].partition(";\nconst $")[0]
    assert json.loads(data)["statements"][3][2].endswith("'</script><b>'")


def test_a_folder_that_is_not_there_is_an_error(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be written"):
        explore(folder(FILES), tmp_path / "nowhere" / "page.html")
