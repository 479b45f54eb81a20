"""Whether two definitions say the same, when two majors of PostgreSQL spell them.

Texts that differ are parsed (libpg_query) and their trees compared, without places. One thing is spelled
differently in the tree, too: up to 15 every column of a view is qualified, from 16 on those of a query over
a single relation are bare. Such columns are qualified before the trees are compared.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pgparse

from .model import Value

_EXPRESSION = "SELECT {}"
_WRAPPERS: dict[tuple[str, str], str] = {
    ("table constraint", "definition"): "ALTER TABLE x ADD CONSTRAINT x {}",
    ("domain constraint", "definition"): "ALTER DOMAIN x ADD CONSTRAINT x {}",
    ("index", "definition"): "{}",
    ("trigger", "definition"): "{}",
    ("rule", "definition"): "{}",
    ("statistics object", "definition"): "{}",
    ("view", "definition"): "{}",
    ("materialized view", "definition"): "{}",
    ("table column", "default"): _EXPRESSION,
    ("table column", "generated"): _EXPRESSION,
    ("foreign table column", "default"): _EXPRESSION,
    ("foreign table column", "generated"): _EXPRESSION,
    ("view column", "default"): _EXPRESSION,
    ("policy", "using"): _EXPRESSION,
    ("policy", "check"): _EXPRESSION,
    ("type", "default"): _EXPRESSION,
    ("table", "partition_key"): "CREATE TABLE x () PARTITION BY {}",
    ("table", "bound"): "ALTER TABLE x ATTACH PARTITION x {}",
    ("function", "arguments"): "CREATE FUNCTION x({}) RETURNS void LANGUAGE sql AS ''",
    ("procedure", "arguments"): "CREATE PROCEDURE x({}) LANGUAGE sql AS ''",
    ("function", "body"): "CREATE FUNCTION x() RETURNS void LANGUAGE sql {}",
    ("procedure", "body"): "CREATE PROCEDURE x() LANGUAGE sql {}",
}
"""The statement in which the value of an attribute can be parsed."""


_UNORDERED = frozenset({"options", "server_options", "settings"})
"""Lists of ``name=value`` whose order means nothing: it is that in which statements gave them."""


def same(kind: str, attribute: str, expected: Value, found: Value, *, majors: Collection[int] = ()) -> bool:
    """Whether an object of that kind has the same attribute, however the servers spell it.

    ``majors`` are those of the servers that spelled the two values, where known (0: unknown).
    """
    if expected == found or (not expected and not found):
        return True
    if attribute in ("not_null_constraint", "not_null_comment"):
        return any(0 < major < 18 for major in majors)
    if attribute in _UNORDERED and isinstance(expected, tuple) and isinstance(found, tuple):
        return sorted(expected) == sorted(found)
    if attribute == "acl":
        return _common_rights(expected, majors) == _common_rights(found, majors)
    if kind == "extension":
        return attribute in ("version", "comment")
    wrapper = _WRAPPERS.get((kind, attribute))
    if wrapper is None or not isinstance(expected, str) or not isinstance(found, str):
        return False
    if attribute == "body" and not _is_sql_body(expected):
        return False
    trees = _tree(wrapper, expected), _tree(wrapper, found)
    if None in trees:
        return expected.split() == found.split()
    return bool(trees[0] == trees[1])


def _common_rights(acl: Value, majors: Collection[int]) -> Value:
    """The rights without MAINTAIN, where one of the servers is too old (before 17) to know it."""
    if not isinstance(acl, tuple) or not any(0 < major < 17 for major in majors):
        return acl or ()
    kept = []
    for line in acl:
        grantee, _, privileges = line.rpartition("=")
        if common := [p for p in privileges.split(",") if p.rstrip("*") != "MAINTAIN"]:
            kept.append(f"{grantee}={','.join(common)}")
    return tuple(kept)


def _is_sql_body(body: str) -> bool:
    return body.lstrip().upper().startswith(("BEGIN ATOMIC", "RETURN "))


def _tree(wrapper: str, text: str) -> Any:
    """The parse tree without places, or None where the parser is older than the syntax."""
    try:
        statements = pgparse.parse(wrapper.format(text))
    except pgparse.PGQueryError:
        return None
    tree = _without_places(statements)
    match tree:
        case [{"stmt": {"SelectStmt": {"op": "SETOP_NONE", "fromClause": [relation]} as select}}]:
            if name := _alias(relation):
                _qualify(select, name)
    return tree


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {
            key: _without_places(value)
            for key, value in node.items()
            if not key.endswith("location") and key != "stmt_len"
        }
    if isinstance(node, list):
        return [_without_places(each) for each in node]
    return node


def _alias(relation: dict[str, Any]) -> str:
    """What a FROM item is called, or nothing for a join."""
    ((kind, node),) = relation.items()
    if kind == "RangeTableSample":
        return _alias(node["relation"])
    if "alias" in node:
        return str(node["alias"]["aliasname"])
    return str(node["relname"]) if kind == "RangeVar" else ""


def _qualify(node: Any, relation: str) -> None:
    """Puts the relation before each bare column of this query, but not of the queries within it."""
    if isinstance(node, list):
        for each in node:
            _qualify(each, relation)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "ColumnRef" and len(value["fields"]) == 1 and "String" in value["fields"][0]:
                value["fields"].insert(0, {"String": {"sval": relation}})
            elif key not in ("SelectStmt", "withClause"):
                _qualify(value, relation)
