"""Sqitch's plan, and the scripts that it deploys."""

from __future__ import annotations

import pytest
from tests.formats.conftest import Load

from pgslate.errors import CatalogError, SqlSyntaxError

WHO = "2024-01-01T00:00:00Z Me <me@example.org>"


def plan(*lines: str) -> dict[str, str]:
    stamped = [line if line.startswith(("%", "#")) or not line else f"{line} {WHO} # why" for line in lines]
    return {"sqitch.plan": "\n".join(["%syntax-version=1.0.0", "%project=shop", "", *stamped, ""])}


def deploy(**scripts: str) -> dict[str, str]:
    return {f"deploy/{name}.sql": text for name, text in scripts.items()}


def test_the_plan_gives_the_order(load: Load) -> None:
    files = {
        **plan("users", "# a comment", "@v1", "app/posts [users]", "audit [users@v1 app/posts !comments]"),
        **deploy(users="SELECT 1;", audit="SELECT 3;"),
        "deploy/app/posts.sql": "SELECT 2;",
        "revert/users.sql": "SELECT 0;",
        "verify/users.sql": "SELECT 0;",
    }
    catalog = load(files)
    assert [(m.version, m.file) for m in catalog] == [
        ("users", "deploy/users.sql"),
        ("app/posts", "deploy/app/posts.sql"),
        ("audit", "deploy/audit.sql"),
    ]
    assert catalog.evidence.startswith("there is sqitch.plan")


def test_a_reworked_change_runs_as_it_was_and_again_as_it_is(load: Load) -> None:
    files = {
        **plan("f", "@v1", "g", "@v2", "f [f@v1]", "@v3"),
        "deploy/f@v2.sql": "SELECT 1;",
        **deploy(g="SELECT 2;", f="SELECT 3;"),
    }
    assert [(m.version, m.file) for m in load(files)] == [
        ("f", "deploy/f@v2.sql"),
        ("g", "deploy/g.sql"),
        ("f#2", "deploy/f.sql"),
    ]


def test_a_script_runs_as_psql_runs_it(load: Load) -> None:
    script = (
        "-- Deploy shop:a to pg\n\\set ON_ERROR_STOP 1\nBEGIN;\nSELECT 1;\nSELECT 2;\nCOMMIT;\nSELECT 3;\n"
    )
    blocks = load(plan("a") | deploy(a=script)).migrations[0].blocks
    assert [([s.text for s in b.statements], b.transactional) for b in blocks] == [
        (["SELECT 1", "SELECT 2"], True),
        (["SELECT 3"], False),
    ]
    assert blocks[0].statements[0].line == 4


def test_psql_variables_are_filled_in(load: Load) -> None:
    files = plan("a") | deploy(a='SELECT count(*) FROM :"registry".changes, :"app".t;')
    assert load(files, defines={"app": "shop"}).migrations[0].statements[0].text == (
        'SELECT count(*) FROM "sqitch".changes, "shop".t'
    )
    with pytest.raises(CatalogError, match="app is a variable"):
        load(files)


def test_a_backslash_command_is_an_error(load: Load) -> None:
    with pytest.raises(SqlSyntaxError, match="psql backslash command"):
        load(plan("a") | deploy(a="\\ir other.sql\n")).parse()


@pytest.mark.parametrize(
    ("lines", "message", "line"),
    [
        (["b [a]", "a"], "requires a", 4),
        (["a", "b [!a]"], "conflicts with a", 5),
        (["a", "b [a@v9]"], "requires a@v9", 5),
        (["a", "@v1", "b", "c [b@v1]"], "requires b@v1", 7),
        (["a", "b", "c [b@ROOT]"], "requires b@ROOT", 6),
        (["a", "b [!a@HEAD]"], "conflicts with a@HEAD", 5),
        (["a", "a"], "no tag lies between", 5),
        (["@v1", "a"], "has no change before it", 4),
        (["a", "@v1", "b", "@v1"], "stands twice", 7),
        (["a", "-b"], "no change and no tag", 5),
        (["a", "c"], "no deploy/c.sql", 5),
        (["a", "@v1", "a"], "no deploy/a@v1.sql", 4),
    ],
)
def test_a_plan_that_can_not_be_deployed_is_an_error(
    lines: list[str], message: str, line: int, load: Load
) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load(plan(*lines) | deploy(a="SELECT 1;", b="SELECT 2;"))
    assert raised.value.place is not None
    assert (raised.value.place.file, raised.value.place.line) == ("sqitch.plan", line)
    assert raised.value.fix


def test_a_dependency_at_a_tag_is_met_by_what_stands_before_the_tag(load: Load) -> None:
    files = plan("a", "@v1", "b", "@v2", "c [a@v1 a@v2 b@v2 !b@v1 a@ROOT b@HEAD @v1]")
    assert len(load(files | deploy(a="SELECT 1;", b="SELECT 2;", c="SELECT 3;"))) == 3


@pytest.mark.parametrize("pragma", ["", "%project\n", "%uri=https://example.org\n"])
def test_a_plan_without_a_project_is_an_error(pragma: str, load: Load) -> None:
    files = {"sqitch.plan": f"%syntax-version=1.0.0\n{pragma}\na {WHO}\n"} | deploy(a="SELECT 1;")
    with pytest.raises(CatalogError, match="the plan names no project") as raised:
        load(files)
    assert raised.value.place is not None
    assert raised.value.place.text == f"a {WHO}"


def test_what_another_project_has_is_not_looked_for(load: Load) -> None:
    assert len(load(plan("a [other:b shop:@HEAD]") | deploy(a="SELECT 1;"))) == 1


def test_a_script_that_is_not_planned_is_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match=r"doesn't name deploy/b\.sql"):
        load(plan("a") | deploy(a="SELECT 1;", b="SELECT 2;"))


def test_changes_for_another_database_are_an_error(load: Load) -> None:
    with pytest.raises(CatalogError, match="for mysql") as raised:
        load(plan("a") | deploy(a="SELECT 1;") | {"sqitch.conf": "[core]\n\tengine = mysql\n"})
    assert str(raised.value.place) == "sqitch.conf:2:1"


def test_a_script_may_set_its_variables(load: Load) -> None:
    script = """
\\set greeting 'it\\'s ' :who '\\tend'
\\set who you
CREATE TABLE :"who" (v text DEFAULT :'greeting', note text DEFAULT 'a
\\set who me');
\\set who them
CREATE TABLE :who (i int);
"""
    catalog = load(plan("a") | deploy(a=script), defines={"who": "nobody"})
    assert [(s.text, s.line) for s in catalog.migrations[0].statements] == [
        (
            "CREATE TABLE \"you\" (v text DEFAULT 'it''s nobody\tend', note text DEFAULT 'a\n\\set who me')",
            4,
        ),
        ("CREATE TABLE them (i int)", 7),
    ]


@pytest.mark.parametrize(
    ("script", "message", "place"),
    [
        ("\\set a `date`\nSELECT :a;", "a shell's command", "deploy/a.sql:1:8"),
        ("\n\\set a :other\n", "other is a variable", "deploy/a.sql:2:8"),
        ("\\set a 1\n\nSELECT :other;", "other is a variable", "deploy/a.sql:3:8"),
    ],
)
def test_a_variable_without_a_value_is_told_with_its_place(
    load: Load, script: str, message: str, place: str
) -> None:
    with pytest.raises(CatalogError, match=message) as raised:
        load(plan("a") | deploy(a=script))
    assert str(raised.value.place) == place
    assert "--define" in raised.value.fix
