"""Alembic's revisions, through its own offline mode."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError, MigrationFailedError
from pgslate.targets.target import Target
from pgslate.trace.tracer import trace

INI = """
[alembic]
script_location = %(here)s/migrations
sqlalchemy.url = postgresql://nobody@localhost/none
"""

ENV = """
from alembic import context

context.configure(
    url="postgresql://",
    dialect_name="postgresql",
    literal_binds=True,
    transaction_per_migration=PER_MIGRATION,
)
with context.begin_transaction():
    context.run_migrations()
"""

FIRST = """
from alembic import op
import sqlalchemy as sa

revision = "aaa111"
down_revision = None


def upgrade():
    op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))


def downgrade():
    op.drop_table("users")
"""

SECOND = """
from alembic import op

revision: str = "bbb222"
down_revision: str = "aaa111"


def upgrade():
    op.execute("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$")
    with op.get_context().autocommit_block():
        op.create_index("users_name", "users", ["name"], postgresql_concurrently=True)


def downgrade():
    pass
"""

needs_alembic = pytest.mark.skipif(find_spec("alembic") is None, reason="alembic is not installed")


@pytest.fixture
def project(folder: Callable[[Mapping[str, str]], Path]) -> Callable[..., Path]:
    def write(*, per_migration: bool, second: str = SECOND) -> Path:
        files = {
            "env.py": ENV.replace("PER_MIGRATION", str(per_migration)),
            "script.py.mako": "",
            "versions/aaa111_users.py": FIRST,
            "versions/bbb222_index.py": second,
        }
        root = folder(files)
        (root.parent / "alembic.ini").write_text(INI)
        return root

    return write


@needs_alembic
@pytest.mark.parametrize("per_migration", [False, True], ids=["one transaction", "a transaction each"])
def test_each_revision_is_a_migration(per_migration: bool, project: Callable[..., Path]) -> None:
    catalog = Catalog.load(project(per_migration=per_migration)).parse()
    assert catalog.format == "alembic"
    assert [(m.version, m.file) for m in catalog] == [
        ("aaa111", "versions/aaa111_users.py"),
        ("bbb222", "versions/bbb222_index.py"),
    ]
    kinds = [[s.kind for b in m.blocks for s in b.statements] for m in catalog]
    assert kinds == [["CreateStmt"], ["CreateFunctionStmt", "IndexStmt"]]
    assert [b.transactional for b in catalog.migrations[1].blocks] == [True, False]


@needs_alembic
def test_the_project_may_be_given_by_the_folder_of_its_ini(project: Callable[..., Path]) -> None:
    root = project(per_migration=False)
    catalog = Catalog.load(root.parent)
    assert catalog.migrations[0].file == "migrations/versions/aaa111_users.py"


READS_ROWS = """
from alembic import op
import sqlalchemy as sa

revision = "bbb222"
down_revision = "aaa111"


def upgrade():
    connection = op.get_bind()
    op.bulk_insert(sa.table("users", sa.column("id"), sa.column("name")), [{"id": 1, "name": "it's 100%"}])
    count = connection.execute(sa.text("SELECT count(*) FROM users WHERE name <> :no"), {"no": ":x"}).scalar()
    if sa.inspect(connection).has_table("users"):
        op.create_table(f"users_{count}", sa.Column("id", sa.Integer), sa.Column("at", sa.DateTime))
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY users_name ON users (name)")
"""


@needs_alembic
def test_revisions_that_read_rows_are_run_on_a_scratch_server(project: Callable[..., Path]) -> None:
    catalog = Catalog.load(project(per_migration=False, second=READS_ROWS)).parse()
    assert [s.kind for s in catalog.migrations[0].statements] == ["CreateStmt"]
    second = catalog.migrations[1]
    assert [s.kind for b in second.blocks for s in b.statements] == [
        "InsertStmt",
        "SelectStmt",
        "CreateStmt",
        "IndexStmt",
    ]
    assert "it''s 100%" in second.source
    assert "CREATE TABLE users_1" in second.source
    assert not any("alembic_version" in m.source or "pg_catalog" in m.source for m in catalog)


THIRD = """
from alembic import op
import sqlalchemy as sa

revision = "ccc333"
down_revision = "bbb222"


def upgrade():
    op.create_table("later", sa.Column("id", sa.Integer))
"""


@needs_alembic
def test_a_revision_that_reads_rows_leaves_the_others_as_they_were_printed(
    project: Callable[..., Path],
) -> None:
    root = project(per_migration=False)
    (root / "versions" / "ccc333_later.py").write_text(THIRD)
    before = Catalog.load(root)
    (root / "versions" / "bbb222_index.py").write_text(READS_ROWS)
    after = Catalog.load(root)
    assert [m.version for m in after] == ["aaa111", "bbb222", "ccc333"]
    assert [after.migrations[n].checksum == before.migrations[n].checksum for n in range(3)] == [
        True,
        False,
        True,
    ]


@needs_alembic
def test_the_place_of_a_statement_is_the_function_that_made_it(project: Callable[..., Path]) -> None:
    catalog = Catalog.load(project(per_migration=False))
    for migration in catalog:
        text = (catalog.root / migration.file).read_text().split("\n")
        assert migration.statements
        for statement in migration.statements:
            assert text[statement.line - 1] == "def upgrade():"


@needs_alembic
def test_an_error_in_generated_sql_names_no_line_that_is_not_there(
    project: Callable[..., Path], database: Target
) -> None:
    broken = SECOND.replace('op.execute("', 'op.execute("SELECT 1,\\n  2,\\n  nothing")\n    op.execute("')
    catalog = Catalog.load(project(per_migration=False, second=broken))
    with pytest.raises(MigrationFailedError, match="nothing") as raised:
        trace(catalog, database)
    assert str(raised.value.place) == "versions/bbb222_index.py:8:1"


@needs_alembic
@pytest.mark.parametrize("skip_code", [False, True])
def test_a_revision_that_fails_everywhere_is_told_with_its_error_or_skipped(
    project: Callable[..., Path], *, skip_code: bool
) -> None:
    broken = SECOND.replace('op.execute("', 'raise RuntimeError("no rows here")\n    op.execute("')
    root = project(per_migration=False, second=broken)
    if skip_code:
        assert [m.version for m in Catalog.load(root, skip_code=True)] == ["aaa111"]
        return
    with pytest.raises(CatalogError, match="no rows here") as raised:
        Catalog.load(root)
    assert raised.value.message.startswith("the revision bbb222 can't be printed")
    assert "--skip-code" in raised.value.fix


@needs_alembic
@pytest.mark.parametrize("where", ["env.py", "versions/bbb222_index.py"])
def test_a_module_that_is_not_installed_is_named_with_its_environment(
    project: Callable[..., Path], where: str
) -> None:
    root = project(per_migration=False)
    (root / where).write_text("import no_such_module.inner\n" + (root / where).read_text())
    with pytest.raises(CatalogError, match="no_such_module is not installed in") as raised:
        Catalog.load(root)
    assert f"{Path(where).name} imports it" in raised.value.message
    assert raised.value.fix.endswith("-m pip install no_such_module")
    assert sys.prefix in raised.value.message


@needs_alembic
@pytest.mark.parametrize(
    "env",
    ["import os\n", "from io import StringIO\n" + ENV.replace("url=", "output_buffer=StringIO(), url=")],
)
def test_an_env_that_prints_nothing_is_named(project: Callable[..., Path], env: str) -> None:
    root = project(per_migration=False)
    (root / "env.py").write_text(env.replace("PER_MIGRATION", "False"))
    with pytest.raises(CatalogError, match="offline mode printed no revision") as raised:
        Catalog.load(root)
    assert "env.py" in raised.value.fix


def test_revisions_without_an_ini_are_an_error(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({"versions/aaa111_users.py": FIRST, "env.py": ""})
    with pytest.raises(CatalogError, match=r"no alembic\.ini"):
        Catalog.load(root)
