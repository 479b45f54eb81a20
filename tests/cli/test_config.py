"""pgslate.toml and [tool.pgslate]: found upward, checked key by key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pgslate import Config, ConfigError, Project, UsageError


def written(folder: Path, text: str, name: str = "pgslate.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_everything_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "roles.sql").write_text("SELECT 1;")
    file = written(
        tmp_path,
        """
        catalog = "db/migrations"
        format = "goose"
        skip_code = true
        ignore = ["drafts/*"]
        versions = "names"
        defines = { schema = "app", size = 3 }
        [prelude]
        files = ["roles.sql"]
        [bundles]
        audit = ["events"]
        [contracts.gateway]
        tables = ["events"]
        indexes = ["i"]
        [partitions.events]
        every = "month"
        """,
    )
    config = Config.load(file)
    assert config.catalog == tmp_path.resolve() / "db" / "migrations"
    assert (config.format, config.skip_code, config.ignore) == ("goose", True, ("drafts/*",))
    assert config.versions == "names"
    assert dict(config.defines) == {"schema": "app", "size": "3"}
    assert config.prelude == (tmp_path.resolve() / "roles.sql",)
    assert config.bundle("audit") == ("events",)
    assert config.contract("gateway").indexes == ("i",)
    assert config.partitions["events"].every == "month"


def test_the_nearest_configuration_upward_is_found(tmp_path: Path) -> None:
    file = written(tmp_path, 'catalog = "db"')
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert Config.find(below).file == file
    nearer = written(tmp_path / "a", "[tool.pgslate]\ncatalog = 'here'", "pyproject.toml")
    assert Config.find(below).file == nearer


def test_a_pyproject_of_something_else_is_passed_over(tmp_path: Path) -> None:
    file = written(tmp_path, 'catalog = "db"')
    below = tmp_path / "a"
    below.mkdir()
    written(below, "[tool.ruff]\nline-length = 80", "pyproject.toml")
    assert Config.find(below).file == file


def test_without_any_configuration_all_is_empty(tmp_path: Path) -> None:
    config = Config.find(tmp_path)
    assert config.file is None or config.file.parent != tmp_path


@pytest.mark.parametrize(
    ("text", "said", "fix"),
    [
        ('catalogue = "db"', "catalogue is unknown", "did you mean catalog?"),
        ("catalog = 3", "catalog should be text, not a number", 'catalog = "..."'),
        ('catalog = ""', "catalog should be text, not empty text", "catalog"),
        ('[contracts.x]\ntable = ["a"]', "contracts.x.table is unknown", "did you mean tables?"),
        ("[contracts.x]\nindexes = []", "contracts.x names no tables", "tables"),
        ('[contracts]\nx = "a"', "contracts.x should be a table, not text", "[contracts.x]"),
        ('[bundles]\nx = "a"', "bundles.x should be a list of names", "x = ["),
        ('[bundles]\nx = [""]', "bundles.x should be a list of names", "x = ["),
        ('[prelude]\nfile = ["a"]', "prelude.file is unknown", "did you mean files?"),
        ('[prelude]\nfiles = ["gone.sql"]', "names a file that isn't there", "path"),
        ('skip_code = "yes"', "skip_code should be true or false, not text", "true"),
        ("[defines]\nx = [1]", "defines.x is not a value", "NAME"),
        ('[partitions.t]\nevery = "fortnight"', "every is 'fortnight'", "month"),
        ('[partitions.t]\nevry = "month"', "evry is unknown", "every"),
        ("catalog = ", "not TOML", "correct"),
    ],
)
def test_what_is_wrong_is_named_with_its_fix(tmp_path: Path, text: str, said: str, fix: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert fix in caught.value.fix


def test_toml_that_does_not_parse_is_shown_with_a_caret(tmp_path: Path) -> None:
    file = written(tmp_path, 'catalog = "db"\nformat = goose\n')
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    assert caught.value.place is not None
    assert (caught.value.place.line, caught.value.place.text) == (2, "format = goose")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "pgslate.toml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Config.load(file)


def test_an_unknown_contract_or_bundle_is_suggested(tmp_path: Path) -> None:
    config = Config.load(written(tmp_path, '[contracts.gateway]\ntables = ["a"]\n[bundles]\naudit = ["a"]'))
    with pytest.raises(UsageError) as caught:
        config.contract("gatway")
    assert caught.value.fix == "did you mean gateway?"
    with pytest.raises(UsageError) as caught:
        config.bundle("x")
    assert caught.value.fix == "use one of audit"


@pytest.mark.parametrize("ask", [Config.contract, Config.bundle])
def test_where_there_is_no_configuration_that_is_said(ask: Callable[[Config, str], object]) -> None:
    with pytest.raises(UsageError, match="'gateway': this catalog has no configuration file") as caught:
        ask(Config(), "gateway")
    assert "name its file with --config" in caught.value.fix


def test_the_usual_folder_is_taken_where_nothing_names_one(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "1_a.sql").write_text("CREATE TABLE a (i int);")
    config = written(tmp_path, "")
    assert [migration.file for migration in Project.open(config=config).catalog] == ["1_a.sql"]


def test_no_folder_at_all_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Project.open(config=written(tmp_path, ""))
    assert "--catalog" in caught.value.fix
    assert "none of migrations, db/migrations, db/migration, " in caught.value.message


def test_a_name_that_a_policy_would_give_selects_its_table(project: Path) -> None:
    opened = Project.open()
    selection = opened.selection(["events_y2031m07", "users"])
    assert selection.tables == ("events", "users")
    assert dict(selection.partitions) == {"events": ("events_y2031m07",)}


def test_a_contract_with_an_index_that_no_migration_makes_is_an_error(project: Path) -> None:
    text = (project / "pgslate.toml").read_text()
    (project / "pgslate.toml").write_text(text.replace("idx_events_by", "idx_event_by"))
    with pytest.raises(UsageError, match="idx_event_by") as caught:
        Project.open().selection(contracts=["audit"])
    assert caught.value.fix == "did you mean idx_events_by?"


@pytest.mark.parametrize("folder", ["db/migration", "src/main/resources/db/migration", "alembic"])
def test_the_folders_of_other_tools_are_looked_into(tmp_path: Path, folder: str) -> None:
    from pgslate.project.project import Project

    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "V1__users.sql").write_text("CREATE TABLE users (id int);")
    assert Project.open(start=tmp_path).catalog.root == tmp_path / folder
