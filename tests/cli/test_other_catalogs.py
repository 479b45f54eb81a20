"""What ``--catalog DIR`` does to the configuration: it counts whole where DIR is its own, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pgslate import Project, UsageError
from pgslate.verbs.down import names_for, names_of

from .conftest import Run

OTHER = "CREATE TABLE parts (id int);\n"


@pytest.fixture
def full(project: Path) -> Path:
    """The project with something of everything in its configuration."""
    (project / "roles.sql").write_text("SELECT 1;")
    (project / "db" / "999_later.sql").write_text("CREATE TABLE later (id int);")
    text = (project / "pgslate.toml").read_text()
    (project / "pgslate.toml").write_text(
        'format = "plain"\nignore = ["999_later.sql"]\nversions = "names"\nprelude = ["roles.sql"]\n'
        f'defines = {{ table = "theirs" }}\nsession = {{ work_mem = "5MB" }}\n{text}'
    )
    return project


def catalog_in(folder: Path, sql: str = OTHER) -> Path:
    folder.mkdir(parents=True)
    (folder / "001_parts.sql").write_text(sql)
    return folder


@pytest.mark.parametrize("spelled", ["db", "./db/", "db/../db"])
def test_the_whole_configuration_counts_for_its_own_folder(full: Path, spelled: str) -> None:
    given, said = Project.open(spelled), Project.open()
    assert given.config == said.config
    assert [m.version for m in given.catalog] == [m.version for m in said.catalog]
    assert (given.catalog.evidence, given.lock_file) == (said.catalog.evidence, said.lock_file)


def test_nothing_of_the_configuration_counts_for_another_folder(full: Path) -> None:
    other = Project.open(catalog_in(full / "vendor" / "db"))
    assert (other.prelude, other.catalog.settings, dict(other.policies)) == ((), {}, {})
    assert [migration.version for migration in other.catalog] == ["001"]
    with pytest.raises(UsageError, match="there is no contract 'audit'"):
        other.selection(contracts=["audit"])


def test_what_the_command_line_defines_counts_for_another_folder(full: Path) -> None:
    folder = catalog_in(full / "vendor" / "db", "CREATE TABLE {{.table}} (id int);")
    other = Project.open(folder, defines={"table": "ours"})
    assert other.catalog.migrations[0].source == "CREATE TABLE ours (id int);"


def test_what_the_command_line_defines_counts_for_downs_too(project: Path, run: Run) -> None:
    folder = catalog_in(
        project / "vendor" / "db", 'CREATE TABLE :"t" (id int);\n-- //@UNDO\nDROP TABLE :"t";'
    )
    assert run("lint", "--catalog", str(folder), "--define", "t=parts", "--rule", "down").status == 0


def test_another_folders_own_configuration_counts_for_it(full: Path) -> None:
    folder = catalog_in(full / "vendor" / "sql" / "parts")
    (full / "vendor" / "pgslate.toml").write_text(
        'catalog = "sql/parts"\n[contracts.mill]\ntables = ["parts"]\n'
    )
    other = Project.open(folder)
    assert other.config.contract("mill").tables == ("parts",)
    assert other.lock_file == full / "vendor" / "pgslate.lock"


def test_a_configuration_that_is_named_counts_for_any_folder(full: Path) -> None:
    folder = catalog_in(full / "vendor" / "db")
    (folder / "999_later.sql").write_text("CREATE TABLE later (id int);")
    other = Project.open(folder, config="pgslate.toml")
    assert other.config.contract("audit").tables == ("events",)
    assert [migration.version for migration in other.catalog] == ["001_parts"]
    assert other.lock_file == full / "vendor" / "pgslate.lock"


def test_a_configuration_that_has_no_catalog_counts_for_any_folder(project: Path) -> None:
    (project / "pgslate.toml").write_text('[contracts.mill]\ntables = ["parts"]\n')
    other = Project.open(catalog_in(project / "vendor" / "db"))
    assert other.config.contract("mill").tables == ("parts",)
    assert other.lock_file == project / "vendor" / "pgslate.lock"


def test_a_configuration_may_lie_among_its_migrations_as_in_a_config_map(project: Path) -> None:
    flat = catalog_in(project / "mounted")
    (flat / "pgslate.toml").write_text('catalog = "migrations"\n[contracts.mill]\ntables = ["parts"]\n')
    mounted = Project.open(flat, start=flat)
    assert mounted.config.contract("mill").tables == ("parts",)
    assert mounted.lock_file == flat / "pgslate.lock"


@pytest.mark.parametrize(
    ("folder", "lock"), [("vendor/db", "vendor/pgslate.lock"), ("legacy", "legacy/pgslate.lock")]
)
def test_to_lock_another_catalog_leaves_this_projects_lock_alone(
    project: Path, run: Run, folder: str, lock: str
) -> None:
    catalog_in(project / folder)
    (project / "pgslate.toml").write_text('catalog = "db"\n')
    (project / "pgslate.lock").write_text("ours")
    assert run("lock", "--catalog", folder).status == 0
    assert (project / "pgslate.lock").read_text() == "ours"
    assert run("lock", "--check", "--catalog", folder).status == 0
    assert (project / lock).is_file()


@pytest.mark.parametrize("folder", ["db", "vendor/db"])
@pytest.mark.parametrize("config", [None, "pgslate.toml"])
def test_down_looks_for_the_server_that_up_started(project: Path, folder: str, config: str | None) -> None:
    catalog_in(project / "vendor" / "db")
    called = names_of(Project.open(folder, config=config))
    assert called[0] == str(project / ("pgslate.toml" if folder == "db" else folder))
    assert names_for(folder, config=config) == called


def test_down_takes_no_server_for_another_catalogs_where_the_configuration_is_broken(project: Path) -> None:
    (project / "pgslate.toml").write_text("[")
    assert names_for("vendor") == (str(project / "vendor"),)
