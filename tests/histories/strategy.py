"""Random histories: valid catalogs of up to 60 migrations, drawn as operations and then written.

What is drawn is a list of migrations, each a few (operation, choices) pairs; the catalog is written from
that by keeping a model of the live schema. So an example shrinks by leaving out operations and by simpler
choices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from hypothesis import strategies as st
from tests.histories import functions, keys, partitions, surroundings, tables, types, views
from tests.histories.model import ROLES, Choices, Model, literal, quoted

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration

Operation = Callable[[Model, Choices], "list[str] | None"]
Step = tuple[int, bytes]

_CREATE_ROLE = (
    "DO $$ BEGIN CREATE ROLE {}; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;\n"
)
PRELUDE = "".join(_CREATE_ROLE.format(quoted(role)) for role in ROLES)
"""What every history expects to be there: the roles that it grants to."""


def do_static(m: Model, c: Choices) -> list[str] | None:
    """Some statements inside a DO block, one branch of it not taken."""
    inner = c.pick(_WRAPPED)(m, c)
    if inner is None:
        return None
    body = "".join(f"        {text};\n" for text in inner)
    return [
        "DO $do$\nBEGIN\n    IF EXISTS (SELECT FROM pg_catalog.pg_class WHERE relname = 'never there') THEN\n"
        f'        DROP TABLE "never there";\n    ELSE\n{body}    END IF;\nEND $do$'
    ]


def do_dynamic(m: Model, c: Choices) -> list[str] | None:
    """Some statements as texts that a DO block executes."""
    inner = c.pick(_WRAPPED)(m, c)
    if inner is None:
        return None
    body = "".join(f"    EXECUTE {literal(text)};\n" for text in inner)
    return [f"DO $do$\nBEGIN\n{body}END $do$"]


_WRAPPED: tuple[Operation, ...] = (
    tables.create_table,
    tables.add_column,
    keys.create_index,
    tables.insert,
    views.create_view,
    tables.comment,
    surroundings.grant,
    tables.drop_column,
    keys.add_foreign_key,
    tables.drop_table,
)

_OPERATIONS: tuple[tuple[int, Operation], ...] = (
    (16, tables.create_table),
    (8, tables.add_column),
    (7, keys.add_foreign_key),
    (6, tables.insert),
    (5, views.create_view),
    (4, keys.create_index),
    (4, functions.create_trigger),
    (3, tables.drop_column),
    (3, tables.rename_column),
    (4, tables.rename_table),
    (4, tables.drop_table),
    (4, tables.recreate_table),
    (3, tables.move_column),
    (3, tables.update),
    (2, tables.empty),
    (2, tables.alter_type),
    (2, tables.set_default),
    (2, tables.set_not_null),
    (2, tables.move_to_schema),
    (1, tables.create_table_again),
    (3, tables.comment),
    (3, surroundings.create_schema),
    (1, surroundings.drop_schema),
    (2, surroundings.set_path),
    (2, keys.add_check),
    (2, keys.add_unique),
    (3, keys.drop_constraint),
    (1, keys.rename_constraint),
    (2, keys.create_index_concurrently),
    (2, keys.drop_index),
    (1, keys.rename_index),
    (1, keys.create_statistics),
    (3, views.create_materialized_view),
    (1, views.refresh),
    (2, views.replace_view),
    (2, views.drop_view),
    (2, views.rename_view),
    (4, types.create_enum),
    (2, types.grow_enum),
    (1, types.rename_value),
    (2, types.create_domain),
    (1, types.alter_domain),
    (1, types.rename_type),
    (1, types.drop_type),
    (2, types.create_sequence),
    (2, types.alter_sequence),
    (2, functions.replace_function),
    (2, functions.rename_logged_table),
    (2, functions.drop_trigger),
    (2, functions.create_routine),
    (3, partitions.create_partitioned),
    (4, partitions.create_partition),
    (2, partitions.detach_partition),
    (2, partitions.inherit),
    (3, surroundings.grant),
    (1, surroundings.grant_schema),
    (2, surroundings.default_privileges),
    (2, surroundings.event_trigger),
    (2, surroundings.policy),
    (1, surroundings.drop_policy),
    (1, surroundings.table_option),
    (1, surroundings.temporary_table),
    (3, do_static),
    (3, do_dynamic),
)
_BOUNDS = tuple(accumulate(weight for weight, _ in _OPERATIONS))


def catalogs(*, most: int = 60) -> st.SearchStrategy[Catalog]:
    """Valid catalogs of up to ``most`` migrations, to be applied after ``PRELUDE`` on an empty database."""
    step = st.tuples(st.integers(0, _BOUNDS[-1] - 1), st.binary(max_size=10))
    migration = st.lists(step, min_size=1, max_size=4)
    sizes = [(5, 12), (12, 30), (30, 60)]
    ranges = [st.lists(migration, min_size=low, max_size=high) for low, high in sizes if high <= most]
    return st.one_of(*ranges or [st.lists(migration, min_size=1, max_size=most)]).map(written)


def written(history: Sequence[Sequence[Step]]) -> Catalog:
    """The catalog that a list of migrations, each a list of (operation, choices), comes to.

    An operation that has nothing to work on makes a table instead, or a row where there are many tables.
    What PostgreSQL refuses in a transaction gets a migration of its own.
    """
    model = Model()
    migrations: list[Migration] = []

    def close(statements: list[str], *, transactional: bool = True) -> None:
        if statements:
            migrations.append(_migration(len(migrations) + 1, statements, transactional=transactional))
        model.end_of_migration()

    for steps in history:
        statements: list[str] = []
        for number, data in steps:
            operation = next(
                op for bound, (_, op) in zip(_BOUNDS, _OPERATIONS, strict=True) if number < bound
            )
            if operation is surroundings.set_path and statements:
                continue
            choices = Choices(data)
            made = operation(model, choices) or _otherwise(model, choices)
            if operation is keys.create_index_concurrently and "CONCURRENTLY" in made[0]:
                close(statements)
                close(made, transactional=False)
                statements = []
            else:
                statements += made
        close(statements)
    return Catalog(Path("history"), "plain", tuple(migrations), "drawn by hypothesis")


def _otherwise(m: Model, c: Choices) -> list[str]:
    many = len(m.relations()) > 8
    return (tables.insert(m, c) if many else None) or tables.create_table(m, c) or []


def _migration(number: int, statements: Sequence[str], *, transactional: bool) -> Migration:
    words = statements[0].split("(")[0].lower().split()
    name = "_".join(word for word in words[:3] if word.isascii() and word.isalnum())
    return Migration(
        version=f"{number:04}",
        name=name,
        file=f"{number:04}_{name}.sql",
        source=";\n".join(statements) + ";\n",
        order=(number,),
        transactional=transactional,
    )
