"""The catalogs of this folder: one for each family of formats, with its prelude and its variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import datastorage
from pgslate.catalog.catalog import Catalog

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Sample:
    """A catalog in ``root``: its format, prelude, the values of its variables, the extensions it installs."""

    name: str
    root: Path
    format: str
    prelude: str = ""
    defines: Mapping[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()

    def catalog(self) -> Catalog:
        return Catalog.load(self.root, defines=self.defines)


def _roles(*names: str) -> str:
    unless = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"
    return "".join(f'DO $$ BEGIN CREATE ROLE "{name}"; {unless}; END $$;\n' for name in names)


def _sample(folder: str, format: str = "", **more: object) -> Sample:
    return Sample(folder, _HERE / folder, format or folder.replace("_", "-"), **more)  # type: ignore[arg-type]  # handed through


SAMPLES = (
    Sample("goose", Path(datastorage.__file__).parent / "migrations", "goose", extensions=("vector",)),
    _sample("golang_migrate"),
    _sample("prisma"),
    _sample("drizzle"),
    _sample("diesel"),
    _sample("sqlx"),
    _sample("flyway", defines={"schema": "clinic"}),
    _sample("liquibase", prelude=_roles("teller"), defines={"region": "north"}),
    _sample("dbmate", prelude=_roles("clerk", "Head of Books")),
    _sample("tern", defines={"prefix": "map"}),
    _sample("graphile_migrate", prelude=_roles("visitor"), defines={"DATABASE_VISITOR": "visitor"}),
    _sample("templated", "golang-migrate", prelude="CREATE SCHEMA auth;", defines={"Namespace": "auth"}),
)
