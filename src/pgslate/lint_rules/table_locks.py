"""Statements that lock a table for as long as it takes to read or rewrite its rows, where it has rows.

A table has rows if an earlier migration wrote some: on a database that lives on there are more of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pgslate.catalog import statements
from pgslate.lint_rules.finding import Case, Finding
from pgslate.schema.identifiers import parts
from pgslate.trace.effects import Effect, Unit

_CONCURRENTLY = "make it CONCURRENTLY, in a migration that is not a transaction"
_NOT_VALID = "add it NOT VALID, and VALIDATE CONSTRAINT in a later migration"
_USING_INDEX = "build the index CONCURRENTLY, then ADD CONSTRAINT ... USING INDEX"
_ELSEWHERE = "leave it to pg_repack"
_IN_STEPS = "add a new column, fill it in batches, and swap the two"

_CONSTRAINTS = {
    "CONSTR_CHECK": ("checks every row under ACCESS EXCLUSIVE", _NOT_VALID),
    "CONSTR_FOREIGN": ("checks every row, and locks both tables against writes", _NOT_VALID),
    "CONSTR_UNIQUE": ("builds an index under ACCESS EXCLUSIVE", _USING_INDEX),
    "CONSTR_PRIMARY": ("builds an index under ACCESS EXCLUSIVE", _USING_INDEX),
    "CONSTR_EXCLUSION": ("builds an index under ACCESS EXCLUSIVE", "do it while nobody writes"),
}
_VOLATILE = ("nextval", "gen_random_uuid", "uuid_generate_v4", "random", "clock_timestamp", "timeofday")
_SERIAL = ("serial", "bigserial", "smallserial", "serial4", "serial8", "serial2")


def check(case: Case) -> Iterator[Finding]:
    """Each such statement on a table into which an earlier migration wrote rows."""
    trace = case.trace
    filled: dict[Unit, str] = {}
    for effect in trace.effects:
        migration = case.project.catalog.migrations[effect.migration]
        statement = migration.statements[effect.statement]
        trees = statements.parse(statement.text)
        for table, does, fix in _heavy(trees[0]) if trees else ():
            for unit in _meant(case, effect, table):
                if unit in filled and filled[unit] != migration.file:
                    yield Finding(
                        "lock-on-rows",
                        migration.file,
                        effect.line,
                        trace.units[unit].name,
                        f"{does}, and {trace.units[unit].name} has rows since {filled[unit]}",
                        fix,
                    )
        if statement.kind == "TruncateStmt":
            for unit in effect.writes:
                filled.pop(unit, None)
            continue
        rows = effect.writes | (effect.creates if statement.kind == "CreateTableAsStmt" else frozenset())
        for unit in rows:
            if trace.units[unit].kind in ("table", "materialized view"):
                filled.setdefault(unit, migration.file)


def _meant(case: Case, effect: Effect, table: str) -> list[Unit]:
    units = case.trace.units
    touched = effect.changes | effect.sweeps | effect.writes | effect.reads
    # a later rename changed the name that the unit is known by
    found = [unit for unit in sorted(touched) if parts(units[unit].name)[-1] == table]
    changed = [unit for unit in sorted(effect.changes) if units[unit].kind == "table"]
    return found or (changed if len(changed) == 1 else [])


def _heavy(tree: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(table, what it does, what to do instead) for each heavy lock that a statement takes."""
    kind, node = next(iter(tree.items()))
    table = node.get("relation", {}).get("relname", "")
    match kind:
        case "IndexStmt" if not node.get("concurrent"):
            yield table, "builds an index, and locks out writes meanwhile", _CONCURRENTLY
        case "AlterTableStmt" if node.get("objtype", "OBJECT_TABLE") == "OBJECT_TABLE":
            for command in node.get("cmds", []):
                for does, fix in _alters(command["AlterTableCmd"]):
                    yield table, does, fix
        case "ClusterStmt" if table:
            yield table, "rewrites the table under ACCESS EXCLUSIVE", _ELSEWHERE
        case "VacuumStmt" if any(o["DefElem"]["defname"] == "full" for o in node.get("options", [])):
            for relation in node.get("rels", []):
                name = relation["VacuumRelation"]["relation"]["relname"]
                yield name, "rewrites the table under ACCESS EXCLUSIVE", _ELSEWHERE
        case "RefreshMatViewStmt" if not node.get("concurrent"):
            yield table, "locks out readers while it refills the view", "REFRESH it CONCURRENTLY"


def _alters(command: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    definition = command.get("def", {})
    match command.get("subtype"):
        case "AT_SetNotNull":
            yield (
                "SET NOT NULL reads every row under ACCESS EXCLUSIVE",
                "add CHECK (... IS NOT NULL) NOT VALID, validate it later, then SET NOT NULL",
            )
        case "AT_AlterColumnType":
            yield "a new column type may rewrite the table under ACCESS EXCLUSIVE", _IN_STEPS
        case "AT_AddConstraint":
            node = definition.get("Constraint", {})
            if not node.get("skip_validation") and not node.get("indexname"):
                lock = _CONSTRAINTS.get(node.get("contype", ""))
                if lock:
                    yield f"ADD CONSTRAINT {lock[0]}", lock[1]
        case "AT_AddColumn":
            column = definition.get("ColumnDef", {})
            if _is_filled_in(column):
                yield "ADD COLUMN with a value computed for each row rewrites the table", _IN_STEPS


def _is_filled_in(column: Mapping[str, Any]) -> bool:
    """Whether a new column's value differs from row to row, so that it can't be a stored default."""
    names = [name["String"]["sval"] for name in column.get("typeName", {}).get("names", [])]
    if names and names[-1] in _SERIAL:
        return True
    for each in column.get("constraints", []):
        constraint = each["Constraint"]
        if constraint.get("contype") in ("CONSTR_GENERATED", "CONSTR_IDENTITY"):
            return True
        if constraint.get("contype") == "CONSTR_DEFAULT":
            text = repr(constraint.get("raw_expr", {}))
            return any(f"'sval': '{name}'" in text for name in _VOLATILE)
    return False
