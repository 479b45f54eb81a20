"""Catalogs for measuring: as many migrations and tables as asked for, the same ones every time.

    python bench/generate.py FOLDER --migrations 400 --tables 250

Written like those of a service that grew for years: tables with foreign keys to older ones, indexes, enums
that gain values, functions, triggers, views, seeded rows, renames, columns that come and go, keys, functions
and views that are made anew, tables that are dropped. In nineteen public catalogs there are, in the median,
12.7 statements for each table that is made (from 6 to 31): of 100 statements, about 38 are ALTER TABLE,
19 CREATE INDEX, 8 CREATE TABLE and 7 DROP. So it is here. A file changes tables of one area, and most of
their foreign keys stay within it; the others lead to a few tables that every area knows.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

WORDS = tuple(
    """account audit batch cart claim comment contract coupon customer device document event export feature
    group image invoice item job label ledger member message metric note offer order page payment plan policy
    price product profile project quota receipt refund region report review role rule session shipment stock
    tag task team ticket token trace user vendor visit voucher wallet webhook""".split()  # noqa: SIM905  to be read
)
_AREA = 12
"""Tables in an area, about; the first of all stand in the middle."""

_CHANGES = (1, 2, 3, 4, 5, 6, 8)
"""How many changes a file makes besides a table, any of these."""

TYPES = ("text", "integer", "bigint", "numeric(12, 2)", "boolean", "timestamptz", "jsonb", "uuid", "date")


@dataclass
class Table:
    """A table as it stands: its columns by name, without id, with what each was made as."""

    name: str
    area: int = 0
    columns: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    keys: list[tuple[str, Table]] = field(default_factory=list)  # column, and the table it refers to

    @property
    def plain(self) -> list[str]:
        """The columns that nothing hangs on."""
        return [column for column in self.columns if column.startswith("its_")]


def generate(migrations: int = 400, tables: int = 250, *, seed: int = 1) -> dict[str, str]:
    """The files of a plain catalog, by name (``0001_create_users_1.sql``); ``tables`` stand at the end.

    ``migrations`` must be at least ``tables / 2``, since a file makes at most two tables.
    """
    return _History(migrations, tables, random.Random(seed)).files()  # noqa: S311  no secret


def write(folder: Path, migrations: int = 400, tables: int = 250, *, seed: int = 1) -> None:
    """Write the files of ``generate`` to a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in generate(migrations, tables, seed=seed).items():
        (folder / name).write_text(text)


class _History:
    """The schema after the files so far, from which the next is drawn."""

    def __init__(self, migrations: int, tables: int, random_: random.Random) -> None:
        if migrations * 2 < tables:
            raise ValueError(f"{migrations} migrations can't make {tables} tables")
        self._total, self._wanted = migrations, tables
        self._random = random_
        self._tables: list[Table] = []
        self._enums: list[str] = []
        self._functions: list[tuple[str, Table]] = []
        self._views: list[tuple[str, Table]] = []
        self._areas = max(1, tables // _AREA)
        self._area = self._serial = 0

    def files(self) -> dict[str, str]:
        found = {}
        for number in range(1, self._total + 1):
            name, text = self._next(self._total - number)
            found[f"{number:04}_{name}.sql"] = text
        return found

    def _next(self, left: int) -> tuple[str, str]:
        self._area = self._random.randrange(self._areas)
        missing = self._wanted - len(self._tables)
        if missing >= 2 * left + 1 and missing > 1:
            names, texts = zip(self._create(), self._create(), strict=True)
            return names[0], "\n".join(texts)
        parts: list[tuple[str, str]] = []
        if missing > 0 and (not self._tables or self._random.random() < missing / (left + 1) * 1.05):
            parts.append(self._create())
        for _ in range(self._random.choice(_CHANGES)):
            parts.append(self._random.choice(self._changes())())
        return parts[0][0], "\n".join(text for _, text in parts)

    def _changes(self) -> list[Callable[[], tuple[str, str]]]:
        changes = [
            *[self._add_column] * 5,
            *[self._alter_column] * 3,
            *[self._add_index] * 2,
            *[self._replace_index] * 3,
            *[self._add_key] * 2,
            *[self._replace_key] * 3,
            *[self._update_rows] * 2,
            self._seed_rows,
            self._rename_column,
            self._rename_table,
            self._add_function,
            self._add_trigger,
            self._add_view,
            self._add_enum,
            self._add_check,
            *[self._drop_column] * 2,
        ]
        if self._enums:
            changes.append(self._grow_enum)
        if self._functions:
            changes += [self._replace_function] * 2
        if self._views:
            changes.append(self._replace_view)
        return changes

    def _fresh(self, word: str) -> str:
        self._serial += 1
        return f"{word}_{self._serial}"

    def _table(self) -> Table:
        return self._random.choice(self._near() or self._tables)

    def _near(self) -> list[Table]:
        return [table for table in self._tables if table.area == self._area]

    def _other(self) -> Table:
        """One to refer to: of the same area, or one of the first."""
        return self._table() if self._random.random() < 0.8 else self._random.choice(self._tables[:4])

    def _create(self) -> tuple[str, str]:
        pick = self._random
        table = Table(self._fresh(pick.choice(WORDS) + "s"), self._area)
        lines = ["    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"]
        for word in pick.sample(WORDS, pick.randint(3, 9)):
            rest = pick.choice(("", "", " NOT NULL"))
            lines.append(f"    its_{word} {pick.choice(TYPES)}{rest}")
            table.columns.append(f"its_{word}")
        others = [self._other() for _ in range(pick.choice((0, 1, 1, 2)))] if self._tables else []
        for other in {other.name: other for other in others}.values():
            lines.append(f"    {other.name}_id bigint REFERENCES {other.name} (id)")
            table.columns.append(f"{other.name}_id")
        if self._enums and pick.random() < 0.2:
            lines.append(f"    state {pick.choice(self._enums)}")
            table.columns.append("state")
        lines.append("    created_at timestamptz NOT NULL DEFAULT now()")
        indexes = ""
        for column in table.columns:
            if column.endswith("_id"):
                table.indexes.append(self._fresh("idx"))
                indexes += f"CREATE INDEX {table.indexes[-1]} ON {table.name} ({column});\n"
        self._tables.append(table)
        text = f"CREATE TABLE {table.name} (\n" + ",\n".join(lines) + f"\n);\n{indexes}"
        return f"create_{table.name}", text

    def _add_column(self) -> tuple[str, str]:
        table, column = self._table(), self._fresh("col")
        table.columns.append(column)
        kind = self._random.choice(TYPES)
        text = f"ALTER TABLE {table.name} ADD COLUMN {column} {kind};\n"
        if self._random.random() < 0.25:
            text += f"COMMENT ON COLUMN {table.name}.{column} IS 'added later';\n"
        return f"add_{column}_to_{table.name}", text

    def _alter_column(self) -> tuple[str, str]:
        table = self._table()
        if not table.plain:
            return self._add_column()
        column = self._random.choice(table.plain)
        how = self._random.choice(("SET NOT NULL", "DROP NOT NULL", "SET DEFAULT NULL", "TYPE text"))
        using = f" USING {column}::text" if how == "TYPE text" else ""
        text = f"ALTER TABLE {table.name} ALTER COLUMN {column} {how}{using};\n"
        return f"alter_{column}_of_{table.name}", text

    def _update_rows(self) -> tuple[str, str]:
        table = self._table()
        text = f"UPDATE {table.name} SET created_at = now() WHERE created_at < '2020-01-01';\n"  # noqa: S608
        return f"update_{table.name}", text

    def _drop_column(self) -> tuple[str, str]:
        table, column = self._table(), self._fresh("old")
        if len(table.plain) > 2:
            column = self._random.choice(table.plain)
            table.columns.remove(column)
            return f"drop_{column}_of_{table.name}", f"ALTER TABLE {table.name} DROP COLUMN {column};\n"
        text = f"ALTER TABLE {table.name} ADD COLUMN {column} text;\n"
        text += f"ALTER TABLE {table.name} DROP COLUMN {column};\n"
        return f"drop_{column}_of_{table.name}", text

    def _add_index(self) -> tuple[str, str]:
        table, index = self._table(), self._fresh("idx")
        column = self._random.choice(["id", "created_at"])
        table.indexes.append(index)
        text = f"CREATE INDEX {index} ON {table.name} ({column}, id) WHERE id > 0;\n"
        return f"add_{index}", text

    def _replace_index(self) -> tuple[str, str]:
        table = self._table()
        if not table.indexes:
            return self._add_index()
        before = table.indexes.pop(0)
        name, text = self._add_index()
        return name, f"DROP INDEX {before};\n{text}"

    def _add_key(self) -> tuple[str, str]:
        table, other = self._table(), self._other()
        column = self._fresh("ref")
        table.keys.append((column, other))
        text = (
            f"ALTER TABLE {table.name} ADD COLUMN {column} bigint;\n"
            f"ALTER TABLE {table.name} ADD CONSTRAINT {column}_fkey FOREIGN KEY ({column})"
            f" REFERENCES {other.name} (id) ON DELETE SET NULL;\n"
            f"CREATE INDEX {column}_idx ON {table.name} ({column});\n"
        )
        return f"key_{table.name}_to_{other.name}", text

    def _replace_key(self) -> tuple[str, str]:
        table = self._table()
        if not table.keys:
            return self._add_key()
        column, other = self._random.choice(table.keys)
        action = self._random.choice(("CASCADE", "SET NULL", "RESTRICT"))
        text = (
            f"ALTER TABLE {table.name} DROP CONSTRAINT {column}_fkey;\n"
            f"ALTER TABLE {table.name} ADD CONSTRAINT {column}_fkey FOREIGN KEY ({column})"
            f" REFERENCES {other.name} (id) ON DELETE {action};\n"
        )
        return f"key_{column}_of_{table.name}", text

    def _seed_rows(self) -> tuple[str, str]:
        table = Table(self._fresh("kinds"))
        values = ", ".join(f"('{word}', {rank})" for rank, word in enumerate(WORDS[:12]))
        text = (
            f"CREATE TABLE {table.name} (kind text PRIMARY KEY, rank integer NOT NULL);\n"
            f"INSERT INTO {table.name} VALUES {values};\n"
            f"UPDATE {table.name} SET rank = rank + 1 WHERE rank > 3;\n"
            f"DROP TABLE {table.name};\n"
        )
        return f"try_{table.name}", text

    def _rename_column(self) -> tuple[str, str]:
        table, column, name = self._table(), self._fresh("before"), self._fresh("after")
        table.columns.append(name)
        text = f"ALTER TABLE {table.name} ADD COLUMN {column} integer;\n"
        text += f"ALTER TABLE {table.name} RENAME COLUMN {column} TO {name};\n"
        return f"rename_{column}", text

    def _rename_table(self) -> tuple[str, str]:
        table, name = self._table(), self._fresh(self._random.choice(WORDS) + "s")
        text = f"ALTER TABLE {table.name} RENAME TO {name};\n"
        before, table.name = table.name, name
        return f"rename_{before}_to_{name}", text

    def _add_function(self) -> tuple[str, str]:
        table, function = self._table(), self._fresh("count")
        self._functions.append((function, table))
        return f"add_{function}", self._function(function, table)

    def _replace_function(self) -> tuple[str, str]:
        near = [one for one in self._functions if one[1].area == self._area]
        if not near:
            return self._add_function()
        function, table = self._random.choice(near)
        return f"replace_{function}", self._function(function, table)

    def _function(self, function: str, table: Table) -> str:
        query = f"SELECT count(*) FROM {table.name}"  # noqa: S608  names of our own
        return (
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS bigint LANGUAGE plpgsql STABLE AS $$\n"
            f"BEGIN\n    RETURN ({query});\nEND\n$$;\n"
        )

    def _add_trigger(self) -> tuple[str, str]:
        table, function = self._table(), self._fresh("touch")
        text = (
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$\n"
            "BEGIN\n    NEW.created_at := now();\n    RETURN NEW;\nEND\n$$;\n"
            f"CREATE TRIGGER {function} BEFORE UPDATE ON {table.name}"
            f" FOR EACH ROW EXECUTE FUNCTION {function}();\n"
        )
        return f"add_{function}", text

    def _add_view(self) -> tuple[str, str]:
        table, view = self._table(), self._fresh("recent")
        self._views.append((view, table))
        return f"add_{view}", self._view(view, table)

    def _replace_view(self) -> tuple[str, str]:
        near = [one for one in self._views if one[1].area == self._area]
        if not near:
            return self._add_view()
        view, table = self._random.choice(near)
        return f"replace_{view}", f"DROP VIEW {view};\n{self._view(view, table)}"

    def _view(self, view: str, table: Table) -> str:
        query = f"SELECT id, created_at FROM {table.name} WHERE created_at > now()"  # noqa: S608  names of our own
        return f"CREATE VIEW {view} AS {query};\n"

    def _add_enum(self) -> tuple[str, str]:
        enum = self._fresh("state")
        self._enums.append(enum)
        return f"add_{enum}", f"CREATE TYPE {enum} AS ENUM ('new', 'open', 'done');\n"

    def _grow_enum(self) -> tuple[str, str]:
        enum, value = self._random.choice(self._enums), self._fresh("value")
        return f"grow_{enum}_by_{value}", f"ALTER TYPE {enum} ADD VALUE '{value}';\n"

    def _add_check(self) -> tuple[str, str]:
        table, name = self._table(), self._fresh("check")
        text = f"ALTER TABLE {table.name} ADD CONSTRAINT {name} CHECK (id > 0) NOT VALID;\n"
        text += f"ALTER TABLE {table.name} VALIDATE CONSTRAINT {name};\n"
        return f"add_{name}", text


def main() -> None:
    """Write a catalog to a folder."""
    parser = argparse.ArgumentParser(description="a catalog for measuring")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--migrations", type=int, default=400)
    parser.add_argument("--tables", type=int, default=250)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    write(asked.folder, asked.migrations, asked.tables, seed=asked.seed)


if __name__ == "__main__":
    main()
