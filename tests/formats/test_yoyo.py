"""yoyo's order, and what the comments that a file begins with say."""

from __future__ import annotations

import pytest
from tests.formats.conftest import Load

from pgslate.errors import CatalogError, CodeMigrationError


def test_a_file_runs_below_what_it_depends_on_and_else_by_name(load: Load) -> None:
    files = {
        "1_a.sql": "-- the first\n-- depends: 2_b\nSELECT 2;",
        "2_b.sql": "-- depends:\nSELECT 1;",
        "3_c.sql": "--depends: 1_a 2_b\n-- transactional: false\n\nSELECT 3;\n-- depends: nothing\n",
        "3_c.rollback.sql": "SELECT 0;",
        "post-apply.sql": "SELECT 4;",
    }
    catalog = load(files)
    assert [(m.version, m.name, m.transactional, m.repeatable) for m in catalog] == [
        ("2_b", "b", True, False),
        ("1_a", "a", True, False),
        ("3_c", "c", False, False),
        ("post-apply", "post-apply", True, True),
    ]
    assert catalog.evidence.startswith("1_a.sql has '-- depends: 2_b'")


def test_a_folder_is_told_by_its_configuration(load: Load) -> None:
    catalog = load({"yoyo.ini": "[DEFAULT]\n", "users.sql": "SELECT 1;"})
    assert (catalog.format, catalog.migrations[0].version) == ("yoyo", "users")


def test_a_comment_that_names_no_migration_tells_nothing(load: Load) -> None:
    assert load({"1_a.sql": "-- depends: on nothing\nSELECT 1;"}).format == "plain"


def test_a_migration_in_python_is_code(load: Load) -> None:
    files = {"a.sql": "SELECT 1;", "b.sql": "-- depends: a c\nSELECT 2;", "c.py": "from yoyo import step\n"}
    with pytest.raises(CodeMigrationError, match=r"c\.py"):
        load(files)
    assert len(load(files, skip_code=True)) == 2


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("-- depends: a\n-- depends: z\n", "there is no z.sql", "b.sql:2:1"),
        ("-- depends: a\n-- transactional: no\n", "not 'no'", "b.sql:2:1"),
        ("-- depends: b a\n", "none can be the first: b.sql", ""),
    ],
)
def test_a_directive_that_makes_no_sense_is_an_error(text: str, message: str, place: str, load: Load) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load({"a.sql": "SELECT 1;", "b.sql": text + "SELECT 2;"})
    assert str(raised.value.place or "") == place
    assert raised.value.fix
