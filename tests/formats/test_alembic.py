"""Alembic's revisions, through its own offline mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import pytest

from pgslate.catalog.catalog import Catalog
from pgslate.errors import CatalogError

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


@needs_alembic
def test_a_revision_that_can_not_be_printed_is_an_error(project: Callable[..., Path]) -> None:
    broken = SECOND.replace('op.execute("', 'raise RuntimeError("no rows here")\n    op.execute("')
    with pytest.raises(CatalogError, match="no rows here") as raised:
        Catalog.load(project(per_migration=False, second=broken))
    assert "offline mode" in raised.value.fix


def test_revisions_without_an_ini_are_an_error(folder: Callable[[Mapping[str, str]], Path]) -> None:
    root = folder({"versions/aaa111_users.py": FIRST, "env.py": ""})
    with pytest.raises(CatalogError, match=r"no alembic\.ini"):
        Catalog.load(root)
