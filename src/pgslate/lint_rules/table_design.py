"""Tables as the catalog leaves them: no primary key, a foreign key without an index, an index made twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pgslate.catalog import statements
from pgslate.lint_rules.finding import Case, Finding
from pgslate.schema.model import SchemaObject

Columns = tuple[str, ...]

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")


def without_primary_key(case: Case) -> Iterator[Finding]:
    """Tables without a key to distinguish their rows: replication, upserts and clean-ups need a key."""
    for table in _tables(case):
        if any(_says(each, "PRIMARY KEY") for each in _constraints(case, table)):
            continue
        file, line = case.place_of(case.units[table.name])
        yield Finding(
            "no-primary-key",
            file,
            line,
            table.name,
            f"{table.name} has no primary key",
            "add one: logical replication can't send its updates without",
        )


def foreign_keys_without_index(case: Case) -> Iterator[Finding]:
    """Foreign keys that make each DELETE of what they refer to read the whole table."""
    for table in _tables(case):
        indexed = [_indexed(each) for each in _indexes(case, table)]
        for constraint in _constraints(case, table):
            if not _says(constraint, "FOREIGN KEY"):
                continue
            columns, refers_to = _foreign_key(str(constraint.get("definition")))
            if any(set(index[: len(columns)]) == set(columns) for index in indexed):
                continue
            target = next((u for name, u in case.units.items() if _names(name, refers_to)), None)
            unit = case.units[table.name]
            file, line = case.place_of(unit, made_by=lambda e, u=unit, t=target: (u, t) in e.links)  # type: ignore[misc]  # bound now
            listed = ", ".join(map(_quoted, columns))
            yield Finding(
                "foreign-key-index",
                file,
                line,
                table.name,
                f"no index of {table.name} begins with {listed}: for each row that {refers_to} loses, the"
                f" foreign key {constraint.name.rpartition(' on ')[0]} reads all of it",
                f"CREATE INDEX ON {table.name} ({listed})",
            )


def duplicate_indexes(case: Case) -> Iterator[Finding]:
    """Indexes that say what another one says already, and cost each write twice."""
    for table in _tables(case):
        kept: dict[str, SchemaObject] = {}
        # the primary key stays, then what belongs to a constraint, then what is unique; of two that are
        # alike, the first by name
        primary = [each.name for each in _constraints(case, table) if _says(each, "PRIMARY KEY")]
        keys = {name.removesuffix(f" on {table.name}") for name in primary}
        ranked = sorted(
            _indexes(case, table),
            key=lambda i: (
                i.get("constraint") not in keys,
                not i.get("constraint"),
                not _is_unique(i),
                i.name,
            ),
        )
        for index in ranked:
            node = _parsed(index)
            if node is None:
                continue
            same = repr(_without_places({k: v for k, v in node.items() if k not in ("idxname", "unique")}))
            first = kept.setdefault(same, index)
            if first is index or (_is_unique(index) and not _is_unique(first)):
                continue
            unit = case.units[table.name]
            key = f"relation:{index.name}"
            file, line = case.place_of(unit, made_by=lambda e, k=key: k in e.takes)  # type: ignore[misc]  # bound now
            yield Finding(
                "duplicate-index",
                file,
                line,
                index.name,
                f"{index.name} indexes what {first.name} does",
                _dropping(table, index),
            )


def _dropping(table: SchemaObject, index: SchemaObject) -> str:
    """How an index goes: with its constraint, where it has one."""
    constraint = index.get("constraint")
    if constraint is None:
        return f"DROP INDEX CONCURRENTLY {index.name}"
    return f"ALTER TABLE {table.name} DROP CONSTRAINT {constraint}, after any foreign key that relies on it"


def _tables(case: Case) -> Iterator[SchemaObject]:
    """The tables that migrations made, without partitions, whose findings are reported for their parent."""
    for each in case.trace.schema:
        unit = case.units.get(each.name) if each.kind == "table" else None
        if unit is None or each.get("partition_of") is not None or case.trace.units[unit].made is None:
            continue
        yield each


def _constraints(case: Case, table: SchemaObject) -> Iterator[SchemaObject]:
    return (each for each in case.trace.schema.parts.get(table.key, ()) if each.kind == "table constraint")


def _indexes(case: Case, table: SchemaObject) -> Iterator[SchemaObject]:
    return (each for each in case.trace.schema.parts.get(table.key, ()) if each.kind == "index")


def _says(constraint: SchemaObject, word: str) -> bool:
    return str(constraint.get("definition")).startswith(word)


def _is_unique(index: SchemaObject) -> bool:
    return str(index.get("definition")).startswith("CREATE UNIQUE")


def _parsed(index: SchemaObject) -> dict[str, Any] | None:
    for tree in statements.parse(str(index.get("definition"))):
        if "IndexStmt" in tree:
            node: dict[str, Any] = tree["IndexStmt"]
            return node
    return None


def _indexed(index: SchemaObject) -> Columns:
    """The leading plain columns of an index that finds every row with a value in them."""
    node = _parsed(index)
    if node is None or node.get("accessMethod", "btree") not in ("btree", "hash"):
        return ()
    where = node.get("whereClause")
    if where is not None and where.get("NullTest", {}).get("nulltesttype") != "IS_NOT_NULL":
        return ()
    found: list[str] = []
    for element in node.get("indexParams", []):
        name = element["IndexElem"].get("name")
        if name is None:
            break
        found.append(name)
    return tuple(found)


def _foreign_key(definition: str) -> tuple[Columns, str]:
    """The columns of a foreign key, and the table that it refers to.

    >>> _foreign_key('FOREIGN KEY (a, "B") REFERENCES public.t(x, y) ON DELETE CASCADE')
    (('a', 'B'), 'public.t')
    """
    for tree in statements.parse(f"ALTER TABLE t ADD {definition.removesuffix(' NOT VALID')}"):
        for command in tree["AlterTableStmt"]["cmds"]:
            node = command["AlterTableCmd"]["def"]["Constraint"]
            table = node["pktable"]
            columns = tuple(each["String"]["sval"] for each in node["fk_attrs"])
            return columns, ".".join(filter(None, [table.get("schemaname"), table["relname"]]))
    return (), ""


def _quoted(name: str) -> str:
    """A column's name as SQL writes it.

    >>> _quoted("id"), _quoted("authorId")
    ('id', '"authorId"')
    """
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _names(identity: str, plain: str) -> bool:
    return identity.replace('"', "") == plain


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {k: _without_places(v) for k, v in node.items() if not k.endswith("location")}
    if isinstance(node, list):
        return [_without_places(item) for item in node]
    return node
