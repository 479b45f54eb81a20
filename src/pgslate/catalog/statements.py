"""The statements of an SQL file: where each begins, what kind it is, and how it may be run.

Each is parsed by libpg_query, PostgreSQL's own parser, so that a syntax error has a place before anything is
run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgslate.catalog.lexer import Source, pieces, with_single_blanks
from pgslate.errors import CatalogError, SqlSyntaxError, without_passwords

Node = dict[str, Any]
"""A node of libpg_query's parse tree: ``{"CreateStmt": {...}}`` and below."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its place.

    ``text`` is without the final semicolon; ``line`` and ``column`` count from 1, in characters; ``kind`` is
    the name of libpg_query's node (``CreateStmt``, ``DoStmt``); ``outside_transaction`` marks what PostgreSQL
    refuses inside a transaction block; ``data`` is what followed a ``COPY ... FROM stdin``.
    """

    text: str
    line: int
    column: int
    kind: str
    outside_transaction: bool = False
    data: str | None = None

    @property
    def first_line(self) -> str:
        """The statement's opening, folded to one line of at most 100 characters, without passwords."""
        folded = without_passwords(" ".join(self.text.split()))
        return folded if len(folded) <= 100 else folded[:97] + "..."


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that are run together: in one transaction, or, where ``transactional`` is false, each alone.

    ``first`` is the index in the file of the block's first statement; the others follow without a gap.
    ``BEGIN``, ``COMMIT`` and a leading ``SET TRANSACTION`` are not among the ``statements``, but they are
    counted in the file's indexes; ``mode`` is what they say of the transaction (``ISOLATION LEVEL ...``).
    """

    first: int
    statements: tuple[Statement, ...]
    transactional: bool
    mode: str = ""

    @property
    def opening(self) -> tuple[str, ...]:
        """What is to be said first in the transaction, before any query: one statement, or none."""
        return (f"SET TRANSACTION {self.mode}",) if self.mode else ()

    @property
    def opening_to_write(self) -> tuple[str, ...]:
        """The same, where the ledger is written in the transaction, too: without ``READ ONLY``."""
        mode = without_read_only(self.mode)
        return (f"SET TRANSACTION {mode}",) if mode else ()


_BEGIN = re.compile(r"^(?:begin|start)(?:\s+(?:work|transaction))?\s*", re.IGNORECASE)
_SET_TRANSACTION = re.compile(r"^set\s+(?:local\s+)?transaction\s+(?!snapshot)", re.IGNORECASE)
_READ_ONLY = re.compile(r"(^|[\s,]+)read\s+only\b", re.IGNORECASE)
_COMMITS = re.compile(r"\b(commit|rollback)\b", re.IGNORECASE)

# Words that PostgreSQL 18's grammar has and libpg_query 17's does not: at one of these a refusal is no
# verdict, and the scratch server decides.
_NEWER_THAN_PARSER = re.compile(r"(virtual|enforced|without|overlaps|period)\b", re.IGNORECASE)


def split(text: str, *, file: str = "<sql>", first_line: int = 1) -> tuple[Statement, ...]:
    """The statements of ``text``, each parsed and with its place in ``file``.

    ``first_line`` is the line of the file that ``text`` begins on. Raises SqlSyntaxError where a statement
    does not parse, a string or comment is not closed, or a psql backslash command stands.

    >>> [(s.kind, s.line) for s in split("CREATE TABLE a(i int);\\n-- why\\nDROP TABLE a;")]
    [('CreateStmt', 1), ('DropStmt', 3)]
    """
    source = Source(text, file, first_line)
    return tuple(_statement(source, *piece) for piece in pieces(source, _reads_stdin))


def without_spacing(statement: Statement) -> str:
    """The statement with its data, told as one line where PostgreSQL doesn't mind: not in strings and names.

    >>> [without_spacing(each) for each in split("SELECT  1,\\n  'a  b';")]
    ["SELECT 1, 'a  b'"]
    """
    text = with_single_blanks(statement.text)
    return text if statement.data is None else f"{text}\n{statement.data}"


def parse(text: str) -> list[Node]:
    """libpg_query's trees of the statements in ``text``, without their wrappers; empty if it can't parse."""
    import pgparse

    try:
        return [raw["stmt"] for raw in pgparse.parse(text) if raw.get("stmt")]
    except (pgparse.PGQueryError, RecursionError):
        return []


def parse_plpgsql(definition: str) -> list[Node]:
    """libpg_query's trees of the body of a CREATE FUNCTION, CREATE PROCEDURE or DO statement in PL/pgSQL.

    Empty for other languages. Raises pgparse.PGQueryError, and ValueError where its JSON is broken.
    """
    import pgparse

    # libpg_query ends the whole process (an assertion) where a function has no body in a string.
    for tree in parse(definition):
        kind, node = next(iter(tree.items()))
        options = {o["DefElem"]["defname"]: o["DefElem"] for o in node.get("options", node.get("args", []))}
        language = options.get("language", {}).get("arg", {}).get("String", {}).get("sval", "plpgsql")
        has_body = "as" in options and "sql_body" not in node
        if kind in ("CreateFunctionStmt", "DoStmt") and has_body and language == "plpgsql":
            trees: list[Node] = pgparse.parse_pgsql(definition)
            return trees
    return []


def blocks(statements: Sequence[Statement], *, transactional: bool) -> tuple[Block, ...]:
    """How a file's statements are run.

    A transactional file is one transaction, and so are the statements between its own BEGIN and COMMIT; a
    statement that PostgreSQL refuses in a transaction stands alone between them. In a file that is not
    transactional each statement stands alone, except between BEGIN and COMMIT.

    >>> three = split("CREATE TABLE a(i int); CREATE INDEX CONCURRENTLY ON a(i); DROP TABLE a")
    >>> [(b.first, len(b.statements), b.transactional) for b in blocks(three, transactional=True)]
    [(0, 1, True), (1, 1, False), (2, 1, True)]
    """
    found: list[Block] = []
    run: list[Statement] = []
    start = 0
    explicit = False
    mode = ""

    def close() -> None:
        nonlocal mode
        if run:
            found.append(Block(start, tuple(run), transactional=True, mode=mode))
            run.clear()
        mode = ""

    for index, statement in enumerate(statements):
        if statement.kind == "TransactionStmt":
            word = statement.text.split(maxsplit=1)[0].lower()
            if word in ("begin", "start"):
                close()
                explicit = True
                mode = _BEGIN.sub("", statement.text)
                continue
            if word in ("commit", "end"):
                close()
                explicit = False
                continue
        if not run and _SET_TRANSACTION.match(statement.text):
            mode = ", ".join(filter(None, (mode, _SET_TRANSACTION.sub("", statement.text))))
            continue
        alone = statement.outside_transaction or not (transactional or explicit)
        if alone:
            close()
            found.append(Block(index, (statement,), transactional=False))
            continue
        if not run:
            start = index
        run.append(statement)
    close()
    return tuple(found)


def without_read_only(mode: str) -> str:
    """What is said of a transaction, without ``READ ONLY``.

    >>> without_read_only("ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE")
    'ISOLATION LEVEL SERIALIZABLE, DEFERRABLE'
    >>> without_read_only("read only")
    ''
    """
    return _READ_ONLY.sub("", mode).strip(" ,\n\t")


def _reads_stdin(text: str) -> bool:
    """Whether a statement is COPY ... FROM stdin, whose data follow it."""
    copies = [tree["CopyStmt"] for tree in parse(text) if "CopyStmt" in tree]
    return bool(copies) and bool(copies[0].get("is_from")) and not copies[0].get("filename")


def _statement(source: Source, start: int, end: int, data: str | None) -> Statement:
    import pgparse

    text = source.text[start:end].rstrip()
    line, column = source.position(start)
    try:
        trees = pgparse.parse(text)
    except pgparse.PGQueryError as error:
        offset = max(0, min((error.position or 1) - 1, max(0, len(text) - 1)))
        if _NEWER_THAN_PARSER.match(text, offset):
            return Statement(text, line, column, "Unparsed", data=data)
        raise SqlSyntaxError(
            str(error.message),
            place=source.place(start + offset),
            fix="correct the statement; nothing was run",
        ) from None
    except RecursionError:  # its JSON is nested more deeply than Python reads
        raise SqlSyntaxError(
            "the statement is nested too deeply", place=source.place(start), fix="write it in parts"
        ) from None
    node = trees[0]["stmt"] if trees else {}
    kind = next(iter(node), "Empty")
    body = node.get(kind, {})
    if kind == "TransactionStmt" and body.get("kind") in ("TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"):
        raise CatalogError(
            f"a migration can't {text.split(maxsplit=1)[0].upper()} the transaction it runs in",
            place=source.place(start),
            fix="remove the statement; a migration that fails is rolled back by pgslate",
        )
    return Statement(text, line, column, kind, _outside_transaction(kind, body, text), data)


def _outside_transaction(kind: str, body: Node, text: str) -> bool:
    """What PostgreSQL calls "cannot run inside a transaction block" (PreventInTransactionBlock)."""
    match kind:
        case "IndexStmt":
            return bool(body.get("concurrent"))
        case "DropStmt":
            return bool(body.get("concurrent"))
        case "ReindexStmt":
            options = {o["DefElem"]["defname"] for o in body.get("params", [])}
            many = ("REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_SYSTEM", "REINDEX_OBJECT_DATABASE")
            return "concurrently" in options or body.get("kind") in many
        case "VacuumStmt":
            return bool(body.get("is_vacuumcmd"))
        case "ClusterStmt":
            return "relation" not in body
        case "AlterTableStmt":
            return any(
                c["AlterTableCmd"].get("def", {}).get("PartitionCmd", {}).get("concurrent")
                for c in body.get("cmds", [])
                if "AlterTableCmd" in c
            )
        case "DoStmt":
            return _ends_transactions(text)
        case "AlterSystemStmt" | "CreatedbStmt" | "DropdbStmt" | "CreateTableSpaceStmt":
            return True
        case "DropTableSpaceStmt" | "CreateSubscriptionStmt" | "DropSubscriptionStmt":
            return True
        case _:
            return False


def _ends_transactions(do: str) -> bool:
    """Whether a DO block commits or rolls back, which it may only at the outermost level."""
    import pgparse

    if not _COMMITS.search(do):
        return False
    try:
        return any(f"PLpgSQL_stmt_{word}" in str(parse_plpgsql(do)) for word in ("commit", "rollback"))
    except (pgparse.PGQueryError, ValueError):
        return False
