"""The names in a statement and in a function's body, read with libpg_query.

Observation says what a statement did; the names say what it talks about, also where that did nothing: an
UPDATE of an empty table needs the table, a declared ``users%ROWTYPE`` needs it when the function is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pgslate.catalog import statements, tokens

Name = tuple[str, str]
"""(schema or "", name), as folded by the parser."""

_WORD = re.compile(f"{tokens.LETTER}{tokens.LETTER_OR_DIGIT}*")
_QUOTED = re.compile(r'"((?:[^"]|"")+)"')
_ONE = rf'(?:"(?:[^"]|"")+"|{tokens.LETTER}{tokens.LETTER_OR_DIGIT}*)'
_CALLED = re.compile(rf"(?<!{tokens.LETTER_OR_DIGIT})((?:{_ONE}\s*\.\s*)?{_ONE})\s*\(")
_DECLARED = re.compile(
    r'^\s*(?P<name>(?:"(?:[^"]|"")+"|[\w$]+)(?:\s*\.\s*(?:"(?:[^"]|"")+"|[\w$]+))*)\s*%\s*(?P<of>row)?type',
    re.IGNORECASE,
)
_UNKNOWN_VARIABLE = re.compile(r'"(?P<name>[\w$]+)(?:\.[^"]*)?" is not a known variable')
_MOST_ROW_VARIABLES = 20

# Functions whose first argument is the name of a sequence or table, as a string.
_TAKES_RELATION = frozenset(
    ("nextval", "setval", "currval", "pg_get_serial_sequence", "lastval", "to_regclass", "regclass")
)


@dataclass(slots=True)
class Names:
    """What a piece of SQL names: relations, functions called and types.

    Relations ``declared`` and functions ``checked`` by a body must be there when the function is made: those
    of declarations, and everything that a body in SQL names, which PostgreSQL reads at once.
    ``dynamic`` says that it builds SQL at run time, which no reading of the text can follow; ``code`` that it
    is a DO block.
    """

    relations: set[Name] = field(default_factory=set)
    functions: set[Name] = field(default_factory=set)
    types: set[Name] = field(default_factory=set)
    declared: set[Name] = field(default_factory=set)
    checked: set[Name] = field(default_factory=set)
    writes: set[Name] = field(default_factory=set)
    dynamic: bool = False
    code: bool = False

    def add(self, other: Names) -> None:
        self.relations |= other.relations
        self.functions |= other.functions
        self.types |= other.types
        self.declared |= other.declared
        self.checked |= other.checked
        self.writes |= other.writes
        self.dynamic |= other.dynamic
        self.code |= other.code


def of_statement(text: str) -> Names:
    """The names in a statement, without those in a function body or DO block that it holds as a string.

    >>> sorted(of_statement("UPDATE a SET x = f(y) FROM s.b").relations)
    [('', 'a'), ('s', 'b')]
    """
    found = Names()
    for tree in statements.parse(text):
        _walk(tree, found, frozenset())
    return found


def of_body(definition: str) -> Names:
    """The names in the body of a CREATE FUNCTION, CREATE PROCEDURE or DO statement.

    Static SQL, expressions and declarations of PL/pgSQL and SQL bodies; other languages have none. Names of
    the body's own variables and of WITH queries are not among them.

    >>> body = "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$BEGIN INSERT INTO log SELECT 1; END$$"
    >>> of_body(body).relations
    {('', 'log')}
    """
    found = Names()
    for tree in statements.parse(definition):
        kind, node = next(iter(tree.items()))
        if kind not in ("CreateFunctionStmt", "DoStmt"):
            continue
        options = {
            o["DefElem"]["defname"]: o["DefElem"].get("arg", {})
            for o in node.get("options" if kind == "CreateFunctionStmt" else "args", [])
        }
        language = _text(options.get("language", {})) or ("plpgsql" if kind == "DoStmt" else "sql")
        if language == "plpgsql":
            _plpgsql(definition, found)
        elif language == "sql":
            for part in options.get("as", {}).get("List", {}).get("items", []):
                found.add(of_statement(_text(part)))
            if "sql_body" in node:
                _walk(node["sql_body"], found, frozenset())
            found.declared |= found.relations | found.types
            found.checked |= found.functions
    return found


def words(text: str) -> frozenset[str]:
    """Every word and quoted name in ``text``, lower case: what it could be naming, in code or in a string.

    >>> sorted(words('DROP TABLE "Old One"'))
    ['drop', 'old', 'old one', 'one', 'table']
    """
    quoted = [name.replace('""', '"').lower() for name in _QUOTED.findall(text)]
    in_strings = [name.replace("''", "'") for name in quoted]
    return frozenset([*(word.lower() for word in _WORD.findall(text)), *quoted, *in_strings])


def called(code: str) -> frozenset[Name]:
    """What ``code`` could be calling: the names before a parenthesis, in statements or in strings.

    >>> sorted(called("IF app.is_due(n) THEN EXECUTE 'SELECT plus1 (n)'; END IF"))
    [('', 'plus1'), ('app', 'is_due')]
    """
    found = (_parts(name) for name in _CALLED.findall(code))
    return frozenset((name[-2] if len(name) > 1 else "", name[-1]) for name in found if name)


def _plpgsql(definition: str, found: Names) -> None:
    import pgparse

    functions: list[Any] | None = None
    for _ in range(_MOST_ROW_VARIABLES):
        try:
            functions = statements.parse_plpgsql(definition)
            break
        except pgparse.PGQueryError as error:
            plain = _without_row_type(definition, str(error.message), found)
            if plain is None:
                break
            definition = plain
        except ValueError:
            break
    if functions is None:
        found.dynamic = True
        return
    for function in functions:
        for expression in _expressions(function, found):
            query, mode = expression.get("query", ""), expression.get("parseMode", 0)
            text = query if mode == 0 else f"SELECT {query}" if mode == 2 else _assigned(query)
            found.add(of_statement(text))


def _without_row_type(definition: str, message: str, found: Names) -> str | None:
    """The definition with ``record`` for the row type of the variable that libpg_query refuses to know.

    It can't look up that ``link audit_links`` declares a row, and so takes ``link.id`` for no variable of it.
    """
    unknown = _UNKNOWN_VARIABLE.search(message)
    if unknown is None:
        return None
    declaration = re.compile(
        rf'(?<![\w.])({re.escape(unknown["name"])}\s+)((?:[\w$]+|"[^"]+")(?:\.(?:[\w$]+|"[^"]+"))?)(?=\s*(?:;|:=|=|DEFAULT))',
        re.IGNORECASE,
    )
    declared = declaration.search(definition)
    if declared is None or declared[2].lower() == "record":
        return None
    _declaration(declared[2], found)
    return definition[: declared.start(2)] + "record" + definition[declared.end(2) :]


def _assigned(query: str) -> str:
    """The right side of ``target := expression``, as a query.

    >>> _assigned("new.total := f(1)")
    'SELECT f(1)'
    """
    return "SELECT " + re.split(r":?=", query, maxsplit=1)[-1].strip()


def _expressions(node: Any, found: Names) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "PLpgSQL_expr":
                yield value
            elif key == "PLpgSQL_type":
                _declaration(value.get("typname", ""), found)
            else:
                if key in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"):
                    found.dynamic = True
                yield from _expressions(value, found)
    elif isinstance(node, list):
        for item in node:
            yield from _expressions(item, found)


def _declaration(typename: str, found: Names) -> None:
    """``users%ROWTYPE``, ``users.id%TYPE`` and plain types: all are looked up when the function is made."""
    declared = _DECLARED.match(typename)
    if declared is None:
        parts = _parts(typename.split("(", 1)[0].split("[", 1)[0])
    elif declared["of"]:
        parts = _parts(declared["name"])
    else:
        parts = _parts(declared["name"])[:-1]  # table.column%TYPE, or variable%TYPE, which names no relation
    if parts and parts[0] != "pg_catalog":
        found.declared.add((parts[-2] if len(parts) > 1 else "", parts[-1]))


def _parts(dotted: str) -> list[str]:
    """The parts of a dotted name as SQL folds them.

    >>> _parts('Public."Users"')
    ['public', 'Users']
    """
    tokens = re.findall(r'"((?:[^"]|"")+)"|([\w$]+)', dotted)
    return [quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in tokens]


def _walk(node: Any, found: Names, queries: frozenset[str]) -> None:
    """Collect the names below ``node``; ``queries`` are the names of the WITH queries in scope."""
    if isinstance(node, list):
        for item in node:
            _walk(item, found, queries)
        return
    if not isinstance(node, dict):
        return
    if "withClause" in node:
        queries |= {cte["CommonTableExpr"]["ctename"] for cte in node["withClause"].get("ctes", [])}
    if _is_range(node):
        _range(node, found, queries)
        return
    for key, value in node.items():
        if key == "FuncCall":
            _call(value, found)
        elif key in ("TypeName", "typeName"):
            names = value.get("names", []) if isinstance(value, dict) else value
            _type(_qualified(names), found)
        elif key == "DropStmt":
            _drop(value, found)
            continue
        elif key == "DoStmt":
            found.code = True
        elif key == "ObjectWithArgs":
            _function(_qualified(value.get("objname", [])), found)
        elif key == "CreateTrigStmt":
            _function(_qualified(value.get("funcname", [])), found)
        elif key == "TypeCast" and _casts_to_regclass(value):
            _string_relation(value.get("arg", {}), found)
        elif key in ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"):
            _written(value.get("relation"), found, queries)
        elif key == "TruncateStmt":
            for relation in value.get("relations", []):
                _written(relation.get("RangeVar"), found, queries)
        elif key == "object" and isinstance(value, dict) and "List" in value:  # COMMENT ON and the like
            _dotted(value["List"].get("items", []), found)
        elif key == "DefElem" and value.get("defname") == "owned_by":
            _dotted(value.get("arg", {}).get("List", {}).get("items", []), found)
        _walk(value, found, queries)


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and "relname" in value


def _range(value: dict[str, Any], found: Names, queries: frozenset[str]) -> None:
    schema, name = value.get("schemaname", ""), value["relname"]
    if schema or name not in queries:
        found.relations.add((schema, name))


def _written(value: Any, found: Names, queries: frozenset[str]) -> None:
    if _is_range(value) and (value.get("schemaname") or value["relname"] not in queries):
        found.writes.add((value.get("schemaname", ""), value["relname"]))


def _call(value: dict[str, Any], found: Names) -> None:
    name = _qualified(value.get("funcname", []))
    if name is None:
        return
    _function(name, found)
    if name[1] in _TAKES_RELATION and value.get("args"):
        _string_relation(value["args"][0], found)


def _casts_to_regclass(value: dict[str, Any]) -> bool:
    name = _qualified(value.get("typeName", {}).get("names", []))
    return name is not None and name[1] in ("regclass", "regtype")


def _string_relation(node: dict[str, Any], found: Names) -> None:
    if "TypeCast" in node:
        node = node["TypeCast"].get("arg", {})
    text = node.get("A_Const", {}).get("sval", {}).get("sval", "")
    parts = _parts(text)
    if parts:
        found.relations.add((parts[-2] if len(parts) > 1 else "", parts[-1]))


def _drop(node: dict[str, Any], found: Names) -> None:
    for item in node.get("objects", []):
        if "List" in item:
            _dotted(item["List"].get("items", []), found)
        elif "TypeName" in item:
            _type(_qualified(item["TypeName"].get("names", [])), found)
        elif "ObjectWithArgs" in item:
            _function(_qualified(item["ObjectWithArgs"].get("objname", [])), found)


def _dotted(items: list[dict[str, Any]], found: Names) -> None:
    """``[schema.]table[.part]``: which it is only the database knows, so all that it may name as a
    relation."""
    parts = [_text(item) for item in items]
    if parts and parts[0]:
        found.relations.add(("", parts[0]))
    if len(parts) > 1:
        found.relations.add((parts[0], parts[1]))


def _function(name: Name | None, found: Names) -> None:
    if name and name[0] != "pg_catalog":
        found.functions.add(name)


def _type(name: Name | None, found: Names) -> None:
    if name and name[0] != "pg_catalog":
        found.types.add(name)


def _qualified(items: list[dict[str, Any]]) -> Name | None:
    parts = [_text(item) for item in items]
    if not parts or not all(parts):
        return None
    return (parts[-2] if len(parts) > 1 else "", parts[-1])


def _text(node: dict[str, Any]) -> str:
    value = node.get("String", {}).get("sval", "")
    return value if isinstance(value, str) else ""
