"""What tracing can't see: branches that an empty database doesn't take, and SQL built at run time. Pure.

A DO block runs on an empty scratch database: of its branches (IF, CASE, loops, exception handlers) some are
not taken there, and may be elsewhere. A function is not run at all; where it builds SQL with EXECUTE, no
reading of its body tells what it touches. Both are found in the PL/pgSQL parse tree and reported with the
line of the construct itself; a hint (see ``hints``) in the statement answers for all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pgslate.catalog import statements
from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.schema.identifiers import parts
from pgslate.trace import references
from pgslate.trace.effects import Effect, Trace, Uncertainty, Unit, relations
from pgslate.trace.hints import hints_of

_CLOCK = "names or bounds of what it makes depend on the clock: traced anew when their time is over"

_FUNCTIONS = ("function", "procedure")
_OPENS_BODY = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$|[eE]?'")
_DML = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_LOOKS_ONLY = ("SelectStmt", "VariableSetStmt", "VariableShowStmt", "ExplainStmt", "LockStmt")

# The lists of statements below a PL/pgSQL statement that may be passed over, and what one is called.
_BRANCHES = {
    "then_body": "IF",
    "else_body": "ELSE",
    "stmts": "branch",
    "else_stmts": "ELSE",
    "action": "exception handler",
}
_LOOPS = frozenset(
    f"PLpgSQL_stmt_{kind}" for kind in ("fors", "forc", "dynfors", "foreach_a", "while", "fori")
)
_MAY_BRANCH = re.compile(r"\b(if|case|loop|exception)\b", re.IGNORECASE)
_DYNAMIC = ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors")


@dataclass(frozen=True, slots=True)
class Operation:
    """A statement in a body: its line there, its opening, and the bare names of what it makes or changes.

    ``writes`` marks rows (INSERT, UPDATE, ...) and not definitions; ``names`` is empty where SQL is built at
    run time.
    """

    line: int
    text: str
    names: frozenset[str]
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """Statements that may be passed over: those of its own, and the branches within."""

    kind: str
    line: int
    operations: tuple[Operation, ...]
    inner: tuple[Branch, ...]


def unseen(catalog: Catalog, trace: Trace) -> tuple[Uncertainty, ...]:
    """What the trace can't know and no hint answers, in the order of the catalog."""
    defined = _last_definitions(catalog, trace)
    found: list[Uncertainty] = []
    for index, effect in enumerate(trace.effects):
        migration = catalog.migrations[effect.migration]
        statement = migration.statements[effect.statement]
        if effect.clock:
            found.append(Uncertainty(effect.migration, effect.statement, effect.line, _CLOCK))
        if statement.kind == "DoStmt":
            spots = [*_of_block(statement.text, effect, trace)]
        elif index in defined:
            spots = [*_built(statement.text, trace.units[defined[index]].name)]
        else:
            continue
        if not spots or hints_of(migration, statement):
            continue
        first = _body_line(statement.text)
        found += [
            Uncertainty(
                effect.migration, effect.statement, _line(migration, statement, first + line - 1), what
            )
            for line, what in spots
        ]
    return tuple(found)


def _line(migration: Migration, statement: statements.Statement, below: int) -> int:
    """The file's line, ``below`` lines under the one that the statement begins on."""
    if not migration.origin:
        return statement.line + below
    at = migration.origin.index(statement.line) + below
    return migration.origin[min(at, len(migration.origin) - 1)]


def _body_line(text: str) -> int:
    """How many lines below its first a statement's body opens: the line that PL/pgSQL counts as 1."""
    for tree in statements.parse(text):
        node = next(iter(tree.values()))
        for option in (*node.get("args", []), *node.get("options", [])):
            element = option.get("DefElem", {})
            if element.get("defname") == "as":
                source = text.encode()
                opens = _OPENS_BODY.search(source, element.get("location", 0))
                return source.count(b"\n", 0, opens.end() if opens else 0)
    return 0


# -- functions


def _last_definitions(catalog: Catalog, trace: Trace) -> Mapping[int, Unit]:
    """The effects that gave a function its body at the end, if a relation needs it to work."""
    used = _used_functions(trace)
    last: dict[Unit, int] = {}
    for index, effect in enumerate(trace.effects):
        made = (effect.creates | effect.changes) & used
        if made and catalog.migrations[effect.migration].statements[effect.statement].kind == (
            "CreateFunctionStmt"
        ):
            last |= dict.fromkeys(made, index)
    return {index: unit for unit, index in last.items()}


def _used_functions(trace: Trace) -> frozenset[Unit]:
    """The functions that relations need to work: in triggers, defaults, checks, policies, views."""
    found = set(relations(trace))
    queue = list(found)
    for unit in queue:
        new = set(trace.requires.get(unit, ())) - found
        found |= new
        queue += new
    return frozenset(unit for unit in found if trace.units[unit].kind in _FUNCTIONS)


def _built(definition: str, name: str) -> Iterator[tuple[int, str]]:
    for line, query in _dynamic(_parsed(definition)):
        yield line, f"{name} builds SQL at run time: EXECUTE {_folded(query)}"


def _dynamic(node: Any) -> Iterator[tuple[int, str]]:
    """(line in the body, expression) of each EXECUTE."""
    if isinstance(node, list):
        for item in node:
            yield from _dynamic(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            query = value.get("dynquery") if isinstance(value, dict) else None
            if key in _DYNAMIC:
                query = value.get("query")
            if query:
                yield value.get("lineno", 1), query["PLpgSQL_expr"]["query"]
            yield from _dynamic(value)


# -- DO blocks


def _of_block(text: str, effect: Effect, trace: Trace) -> Iterator[tuple[int, str]]:
    if not _MAY_BRANCH.search(text):
        return
    parsed = _parsed(text)
    touched = effect.touches | effect.drops | effect.cascades
    changed = {parts(trace.units[unit].name)[-1] for unit in touched}
    changed |= {parts(key.split(":", 1)[1].split(" on ")[0])[-1] for key in effect.takes | effect.frees}
    # A table without rows shows no write, but it was opened; unless a condition looked at it, too.
    opened = {parts(trace.units[unit].name)[-1] for unit in effect.reads} - _looked_at(parsed)
    yield from _passed_over(_contents(parsed, "", 1)[1], changed, changed | opened)


def _passed_over(
    branches: Iterable[Branch], changed: set[str], opened: set[str]
) -> Iterator[tuple[int, str]]:
    """The branches that did not leave a trace: of those within each other, only the outermost is named."""
    for branch in branches:
        if branch.operations and not any(_left_a_trace(each, changed, opened) for each in branch.operations):
            first = branch.operations[0]
            yield branch.line, f"{branch.kind} not taken on an empty database: {_folded(first.text)}"
        else:
            yield from _passed_over(branch.inner, changed, opened)


def _left_a_trace(operation: Operation, changed: set[str], opened: set[str]) -> bool:
    if not operation.names:
        return bool(changed)
    return not operation.names.isdisjoint(opened if operation.writes else changed)


def _looked_at(node: Any) -> set[str]:
    """The bare names in the expressions of a body: conditions, queries of loops, assignments."""
    found: set[str] = set()
    for key, value in _below(node):
        if key == "PLpgSQL_expr":
            query = value["query"] if value.get("parseMode") == 0 else f"SELECT {value['query']}"
            found |= {name for _, name in references.of_statement(query).relations}
        elif key != "sqlstmt":
            found |= _looked_at(value)
    return found


def _parsed(definition: str) -> Any:
    import pgparse

    try:
        return statements.parse_plpgsql(definition)
    except (pgparse.PGQueryError, ValueError):
        return []


def _contents(node: Any, above: str, line: int) -> tuple[list[Operation], list[Branch]]:
    """The operations below ``node`` that run when it does, and its branches; ``above`` is the node's kind."""
    operations: list[Operation] = []
    branches: list[Branch] = []
    for key, value in _below(node):
        if key == "PLpgSQL_stmt_execsql":
            operations += _static(value["sqlstmt"]["PLpgSQL_expr"]["query"], value.get("lineno", line))
        elif key == "PLpgSQL_stmt_dynexecute":
            operations += _executed(value["query"]["PLpgSQL_expr"]["query"], value.get("lineno", line))
        elif (key in _BRANCHES or (key == "body" and above in _LOOPS)) and isinstance(value, list):
            first = min((at for at in map(_line_of, value) if at), default=line)
            own, inner = _contents(value, key, first)
            kind = "loop" if key == "body" else _BRANCHES[key]
            branches.append(Branch(kind, own[0].line if own else first, tuple(own), tuple(inner)))
        else:
            own, inner = _contents(value, key, _line_of({key: value}) or line)
            operations += own
            branches += inner
    return operations, branches


def _below(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, list):
        for item in node:
            yield from _below(item)


def _line_of(node: Any) -> int:
    value = next(iter(node.values()), None) if isinstance(node, dict) else None
    return int(value.get("lineno", 0)) if isinstance(value, dict) else 0


def _executed(expression: str, line: int) -> list[Operation]:
    """What EXECUTE runs: a plain string is as good as a statement, all else is only known at run time."""
    for tree in statements.parse(f"SELECT {expression}"):
        targets = tree.get("SelectStmt", {}).get("targetList", [])
        constant = targets[0]["ResTarget"].get("val", {}).get("A_Const", {}) if targets else {}
        text = constant.get("sval", {}).get("sval")
        if text:
            return _static(text, line)
    return [Operation(line, f"EXECUTE {expression}", frozenset())]


def _static(text: str, line: int) -> list[Operation]:
    found = []
    for tree in statements.parse(text):
        kind, node = next(iter(tree.items()))
        if kind in _LOOKS_ONLY:
            continue
        found.append(Operation(line, text, frozenset(_targets(kind, node, text)), kind in _DML))
    return found


def _targets(kind: str, node: Mapping[str, Any], text: str) -> set[str]:
    """The bare names of what a statement makes or changes."""
    match kind:
        case "CreateTableAsStmt":
            return {node["into"]["rel"]["relname"]}
        case "ViewStmt":
            return {node["view"]["relname"]}
        case "CreateSeqStmt" | "AlterSeqStmt":
            return {node["sequence"]["relname"]}
        case "CreateExtensionStmt":
            return {node["extname"]}
        case "CreateSchemaStmt":
            return {node.get("schemaname", "")}
        case "CreateRoleStmt" | "AlterRoleStmt":
            return {str(node.get("role", ""))}
        case "CompositeTypeStmt":
            return {node["typevar"]["relname"]}
    for key in ("relation", "table"):
        if "relname" in node.get(key, {}):
            return {node[key]["relname"], *filter(None, [node.get("newname")])}
    for key in ("funcname", "typeName", "domainname", "defnames"):
        if isinstance(node.get(key), list):
            return {str(node[key][-1].get("String", {}).get("sval", ""))}
    named = references.of_statement(text)
    return {name for _, name in named.relations | named.types | named.functions} or {kind}


def _folded(text: str) -> str:
    """A statement in one line of at most 70 characters."""
    folded = " ".join(text.split())
    return folded if len(folded) <= 70 else folded[:67] + "..."
