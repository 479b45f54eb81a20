"""The kind of a statement, and whether PostgreSQL refuses it in a transaction block.

Both come from the parse tree where there is one. libpg_query is older than some servers: a statement that it
can't parse is judged by its words, in the same terms. Whether it is correct, the server says.

Source: the callers of ``PreventInTransactionBlock`` in PostgreSQL 18's ``src/backend``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNKNOWN = "Unparsed"
"""The kind of a statement that neither the parser nor its first words explain."""

_CREATED = {
    "table": "CreateStmt",
    "index": "IndexStmt",
    "view": "ViewStmt",
    "materialized view": "CreateTableAsStmt",
    "foreign table": "CreateForeignTableStmt",
    "function": "CreateFunctionStmt",
    "procedure": "CreateFunctionStmt",
    "trigger": "CreateTrigStmt",
    "event trigger": "CreateEventTrigStmt",
    "rule": "RuleStmt",
    "domain": "CreateDomainStmt",
    "schema": "CreateSchemaStmt",
    "sequence": "CreateSeqStmt",
    "extension": "CreateExtensionStmt",
    "role": "CreateRoleStmt",
    "user": "CreateRoleStmt",
    "group": "CreateRoleStmt",
    "database": "CreatedbStmt",
    "tablespace": "CreateTableSpaceStmt",
    "subscription": "CreateSubscriptionStmt",
    "publication": "CreatePublicationStmt",
    "policy": "CreatePolicyStmt",
    "server": "CreateForeignServerStmt",
    "statistics": "CreateStatsStmt",
    "type": "DefineStmt",
    "aggregate": "DefineStmt",
    "operator": "DefineStmt",
    "collation": "DefineStmt",
    "cast": "CreateCastStmt",
}
_BETWEEN = frozenset(
    "or replace unique global local temp temporary unlogged recursive constraint trusted procedural".split()  # noqa: SIM905
)
"""Words that may stand between CREATE and what is created."""

_ALTERED = {
    "system": "AlterSystemStmt",
    "database": "AlterDatabaseStmt",
    "subscription": "AlterSubscriptionStmt",
    "publication": "AlterPublicationStmt",
    "domain": "AlterDomainStmt",
    "sequence": "AlterSeqStmt",
    "role": "AlterRoleStmt",
    "user": "AlterRoleStmt",
    "policy": "AlterPolicyStmt",
    **dict.fromkeys(("table", "index", "view", "materialized", "foreign"), "AlterTableStmt"),
}
_DROPPED = {
    "database": "DropdbStmt",
    "tablespace": "DropTableSpaceStmt",
    "subscription": "DropSubscriptionStmt",
    "role": "DropRoleStmt",
    "user": "DropRoleStmt",
}
_FIRST = {
    "abort": "TransactionStmt",
    "analyse": "VacuumStmt",
    "analyze": "VacuumStmt",
    "begin": "TransactionStmt",
    "call": "CallStmt",
    "cluster": "ClusterStmt",
    "comment": "CommentStmt",
    "commit": "TransactionStmt",
    "copy": "CopyStmt",
    "deallocate": "DeallocateStmt",
    "delete": "DeleteStmt",
    "discard": "DiscardStmt",
    "do": "DoStmt",
    "end": "TransactionStmt",
    "execute": "ExecuteStmt",
    "explain": "ExplainStmt",
    "grant": "GrantStmt",
    "insert": "InsertStmt",
    "merge": "MergeStmt",
    "prepare": "PrepareStmt",
    "refresh": "RefreshMatViewStmt",
    "reindex": "ReindexStmt",
    "release": "TransactionStmt",
    "reset": "VariableSetStmt",
    "revoke": "GrantStmt",
    "rollback": "TransactionStmt",
    "savepoint": "TransactionStmt",
    "select": "SelectStmt",
    "set": "VariableSetStmt",
    "start": "TransactionStmt",
    "table": "SelectStmt",
    "truncate": "TruncateStmt",
    "update": "UpdateStmt",
    "vacuum": "VacuumStmt",
    "values": "SelectStmt",
}
_ALWAYS_OUTSIDE = frozenset(
    {
        *("AlterSystemStmt", "CreatedbStmt", "DropdbStmt", "CreateTableSpaceStmt", "DropTableSpaceStmt"),
        "DropSubscriptionStmt",
    }
)
_MANY = ("schema", "system", "database")
_TRUE = frozenset({"true", "on", "1", "yes", "t", "y", ""})


def kind_of(words: Sequence[str]) -> str:
    """The name of the node that libpg_query would give a statement of these words, or ``UNKNOWN``.

    >>> kind_of(["create", "or", "replace", "view", "v", "as", "select", "1"])
    'ViewStmt'
    >>> kind_of(["with", "w", "as", "(select 1)", "insert", "into", "t", "table", "w"])
    'InsertStmt'
    >>> kind_of(["repack", "t"])
    'Unparsed'
    """
    if not words:
        return "Empty"
    match words[0]:
        case "create":
            return _created(words)
        case "alter":
            return _altered(words)
        case "drop":
            return _DROPPED.get(words[1] if len(words) > 1 else "", "DropStmt")
        case "with":
            verbs = (_FIRST[word] for word in words[1:] if word in _VERBS)
            return next(verbs, UNKNOWN)
        case first if first.startswith("("):
            return "SelectStmt"
        case first:
            return _FIRST.get(first, UNKNOWN)


_VERBS = frozenset({"insert", "update", "delete", "merge", "select"})


def _created(words: Sequence[str]) -> str:
    what = [word for word in words[1:12] if word not in _BETWEEN]
    kind = _CREATED.get(" ".join(what[:2])) or _CREATED.get(what[0] if what else "", UNKNOWN)
    if kind == "CreateStmt" and "as" in words:
        return "CreateTableAsStmt"
    if kind == "DefineStmt" and what[0] == "type" and "enum" in words:
        return "CreateEnumStmt"
    return kind


def _altered(words: Sequence[str]) -> str:
    kind = _ALTERED.get(words[1] if len(words) > 1 else "", UNKNOWN)
    if "rename" in words[2:]:
        return "RenameStmt"
    if words[1:2] == ["type"] and "value" in words[2:]:
        return "AlterEnumStmt"
    if kind != "AlterTableStmt" and words[-3:-1] == ["owner", "to"]:
        return "AlterOwnerStmt"
    if kind == "AlterDatabaseStmt" and "tablespace" not in words and ("set" in words or "reset" in words):
        return "AlterDatabaseSetStmt"
    return kind


def is_refused_in_transactions(kind: str, words: Sequence[str]) -> bool:
    """Whether PostgreSQL refuses a statement of these words in a transaction block.

    >>> is_refused_in_transactions("VacuumStmt", ["vacuum", "only", "t"])
    True
    >>> is_refused_in_transactions("VacuumStmt", ["analyze", "only", "t"])
    False
    """
    match kind:
        case "IndexStmt" | "DropStmt" | "AlterTableStmt":
            return "concurrently" in words
        case "ReindexStmt":
            return any("concurrently" in word for word in words) or not _MANY_OF.isdisjoint(words[1:3])
        case "VacuumStmt":
            return words[0] == "vacuum"
        case "ClusterStmt":
            return not any(word.isidentifier() and word != "verbose" for word in words[1:])
        case "DiscardStmt":
            return "all" in words
        case "AlterDatabaseStmt":
            return "tablespace" in words
        case "CreateSubscriptionStmt":
            return not any("connect = false" in word or "create_slot = false" in word for word in words)
        case "AlterSubscriptionStmt":
            return "publication" in words or any("two_phase" in w or "failover" in w for w in words)
        case "Unparsed":
            return words[:1] == ["repack"] and (len(words) == 1 or "concurrently" in " ".join(words))
        case _:
            return kind in _ALWAYS_OUTSIDE


_MANY_OF = frozenset(_MANY)


def tree_is_refused_in_transactions(kind: str, body: Mapping[str, Any]) -> bool:
    """Whether PostgreSQL refuses a statement with this parse tree in a transaction block.

    A few are refused for what the server finds: CLUSTER and REINDEX of a partitioned table.
    """
    options = {o["DefElem"]["defname"]: _value(o["DefElem"]) for o in _options(body)}
    match kind:
        case "IndexStmt" | "DropStmt":
            return bool(body.get("concurrent"))
        case "ReindexStmt":
            many = {f"REINDEX_OBJECT_{word.upper()}" for word in _MANY}
            return "concurrently" in options or body.get("kind") in many
        case "VacuumStmt":
            return bool(body.get("is_vacuumcmd"))
        case "ClusterStmt":
            return "relation" not in body
        case "DiscardStmt":
            return body.get("target") == "DISCARD_ALL"
        case "AlterDatabaseStmt":
            return "tablespace" in options
        case "CreateSubscriptionStmt":
            return options.get("create_slot", options.get("connect", "true")) in _TRUE
        case "AlterSubscriptionStmt" if str(body.get("kind")).endswith("_OPTIONS"):
            return not options.keys().isdisjoint({"failover", "two_phase"})
        case "AlterSubscriptionStmt":
            refreshes = str(body.get("kind")).endswith(("_REFRESH", "_PUBLICATION"))
            return refreshes and options.get("refresh", "true") in _TRUE
        case "AlterTableStmt":
            commands = (c.get("AlterTableCmd", {}) for c in body.get("cmds", []))
            return any(c.get("def", {}).get("PartitionCmd", {}).get("concurrent") for c in commands)
        case _:
            return kind in _ALWAYS_OUTSIDE


def _options(body: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = body.get("options", body.get("params", []))
    return [option for option in found if "DefElem" in option] if isinstance(found, list) else []


def _value(option: Mapping[str, Any]) -> str:
    """An option's value in lower case; empty where it has none, which means true."""
    argument: Mapping[str, Any] = next(iter(option.get("arg", {}).values()), {})
    return "".join(str(value).lower() for value in argument.values()) if argument else ""
