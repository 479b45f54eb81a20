"""Statements that break what runs beside a migration, lose data, or fail where a table has rows.

While a migration is rolled out, the previous release of a program still runs: it names the columns and tables
that it knows. An object that the same migration made is nobody's yet, and may be changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pgslate.catalog import statements
from pgslate.lint_rules.finding import Case, Finding
from pgslate.trace.effects import Effect, Unit

RULE = "breaking-change"

_EXPAND_AND_CONTRACT = (
    "add the new one, write to both, move the readers, and drop the old one in a later release"
)
_FIRST_THE_READERS = "release what no longer names it first; keep a copy of the data that matters"
_IN_STEPS = "add it without NOT NULL (or with a DEFAULT), fill it in, then SET NOT NULL"
_KINDS = ("table", "view", "materialized view", "foreign table", "schema", "type", "domain", "function")


class _Change(NamedTuple):
    what: str
    fix: str


_RENAMED = {
    "OBJECT_COLUMN": "renames a column, and every query with the old name fails",
    "OBJECT_TABLE": "renames a table, and every query with the old name fails",
    "OBJECT_VIEW": "renames a view, and every query with the old name fails",
    "OBJECT_MATVIEW": "renames a view, and every query with the old name fails",
    "OBJECT_SCHEMA": "renames a schema, and every query with the old name fails",
    "OBJECT_FUNCTION": "renames a function, and every call with the old name fails",
    "OBJECT_TYPE": "renames a type, and every query with the old name fails",
    "OBJECT_ATTRIBUTE": "renames an attribute, and every query with the old name fails",
}


def check(case: Case) -> Iterator[Finding]:
    """Each such statement on an object that an earlier migration made."""
    trace = case.trace
    for effect in trace.effects:
        migration = case.project.catalog.migrations[effect.migration]
        trees = statements.parse(migration.statements[effect.statement].text)
        changes = list(_changes(trees[0])) if trees else []
        if not changes:
            continue
        units = _of_earlier_migrations(case, effect)
        for what, fix in changes if units else ():
            name = trace.units[units[0]].name
            yield Finding(RULE, migration.file, effect.line, name, f"{name}: {what}", fix)


def _of_earlier_migrations(case: Case, effect: Effect) -> list[Unit]:
    """What a statement changes, drops or renames, and an earlier migration made: what is dropped first."""
    trace = case.trace

    def is_older(unit: Unit) -> bool:
        made = trace.units[unit].made
        return made is None or trace.effects[made].migration != effect.migration

    touched = (*sorted(effect.drops), *sorted(effect.changes), *sorted(effect.writes))
    return [unit for unit in touched if trace.units[unit].kind in _KINDS and is_older(unit)]


def _changes(tree: Mapping[str, Any]) -> Iterator[_Change]:
    kind, node = next(iter(tree.items()))
    match kind:
        case "AlterTableStmt" if node.get("objtype", "OBJECT_TABLE") in ("OBJECT_TABLE", "OBJECT_VIEW"):
            for command in node.get("cmds", []):
                yield from _altered(command["AlterTableCmd"])
        case "RenameStmt" if node.get("renameType") in _RENAMED:
            yield _Change(_RENAMED[node["renameType"]], _EXPAND_AND_CONTRACT)
        case "AlterObjectSchemaStmt":
            yield _Change(
                "moves to another schema, and every query that names the old one fails", _EXPAND_AND_CONTRACT
            )
        case "AlterEnumStmt" if node.get("oldVal"):
            yield _Change(
                "renames a value, and every query with the old one fails", "add the new value, and keep both"
            )
        case "DropStmt" if node.get("removeType") in ("OBJECT_TABLE", "OBJECT_SCHEMA", "OBJECT_MATVIEW"):
            yield _Change("is dropped with its rows, and every query that names it fails", _FIRST_THE_READERS)
        case "DropStmt" if node.get("removeType") in ("OBJECT_VIEW", "OBJECT_FUNCTION", "OBJECT_TYPE"):
            yield _Change("is dropped, and every query that names it fails", _FIRST_THE_READERS)
        case "TruncateStmt":
            yield _Change("loses all its rows", "delete just what has to go, or keep a copy")


def _altered(command: Mapping[str, Any]) -> Iterator[_Change]:
    column = command.get("name", "")
    match command.get("subtype"):
        case "AT_DropColumn":
            yield _Change(
                f"the column {column} is dropped with its values, and every query that names it fails",
                _FIRST_THE_READERS,
            )
        case "AT_AlterColumnType":
            yield _Change(
                f"the column {column} gets another type, which programs that know the old one may not read",
                _EXPAND_AND_CONTRACT,
            )
        case "AT_AddColumn":
            definition = command.get("def", {}).get("ColumnDef", {})
            kinds = {each["Constraint"].get("contype") for each in definition.get("constraints", [])}
            filled = kinds & {"CONSTR_DEFAULT", "CONSTR_IDENTITY", "CONSTR_GENERATED"}
            if kinds & {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} and not filled and not _is_serial(definition):
                yield _Change(
                    f"the new column {definition.get('colname')} is NOT NULL and has no DEFAULT: this fails"
                    " where the table has rows, and so does every INSERT that doesn't name it",
                    _IN_STEPS,
                )


def _is_serial(definition: Mapping[str, Any]) -> bool:
    names = [name["String"]["sval"] for name in definition.get("typeName", {}).get("names", [])]
    return bool(names) and names[-1].startswith(("serial", "bigserial", "smallserial"))
