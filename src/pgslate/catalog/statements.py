"""The statements of an SQL file: where each begins, what kind it is, and how it may be run.

libpg_query, PostgreSQL's own parser, gives the tree of a statement. It is older than some servers, so that a
statement which it can't parse is divided and judged by its words, and the server decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pgslate.catalog.lexer import Piece, pieces
from pgslate.catalog.statement_kind import (
    is_refused_in_transactions,
    kind_of,
    tree_is_refused_in_transactions,
)
from pgslate.catalog.tokens import Source, tokens_of, with_single_blanks, words_of
from pgslate.errors import CatalogError, without_passwords

Node = dict[str, Any]
"""A node of libpg_query's parse tree: ``{"CreateStmt": {...}}`` and below."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement and its place.

    ``text`` is without the final semicolon; ``line`` and ``column`` count from 1, in characters; ``kind`` is
    the name of libpg_query's node (``CreateStmt``, ``DoStmt``); ``outside_transaction`` marks what PostgreSQL
    refuses inside a transaction block; ``data`` is what followed a ``COPY ... FROM stdin``. ``parsed`` is
    false where ``parse`` has no tree of it.
    """

    text: str
    line: int
    column: int
    kind: str
    outside_transaction: bool = False
    data: str | None = None
    parsed: bool = True

    @property
    def first_line(self) -> str:
        """The statement's opening, folded to one line of at most 100 characters, without passwords."""
        folded = without_passwords(" ".join(self.text.split()))
        return folded if len(folded) <= 100 else folded[:97] + "..."


_COMMITS = re.compile(r"\b(commit|rollback)\b", re.IGNORECASE)

_DEFERS = re.compile(r"\b(deferrable|initially\s+deferred|set\s+constraints)\b", re.IGNORECASE)
_CODE = ("DoStmt", "CreateFunctionStmt", "SelectStmt", "CallStmt")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def split(text: str, *, file: str = "<sql>", first_line: int = 1) -> tuple[Statement, ...]:
    """The statements of ``text``, each parsed and with its place in ``file``.

    ``first_line`` is the line of the file that ``text`` begins on. Raises SqlSyntaxError where a string or
    comment is not closed or a psql backslash command stands, and CatalogError for a statement that ends a
    transaction in another way than COMMIT. A statement that libpg_query can't parse is kept: a server judges
    it.

    >>> [(s.kind, s.line) for s in split("CREATE TABLE a(i int);\\n-- why\\nDROP TABLE a;")]
    [('CreateStmt', 1), ('DropStmt', 3)]
    """
    source = Source(text, file, first_line)
    return tuple(_statement(source, piece) for piece in pieces(source, _reads_stdin))


def without_spacing(statement: Statement) -> str:
    """The statement with its data, on one line where that changes nothing: not in strings and names.

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


def copies_out(statement: Statement) -> bool:
    """Whether a statement is COPY ... TO STDOUT, whose rows come back over the connection."""
    if statement.kind != "CopyStmt":
        return False
    if not statement.parsed:
        return words_of(statement.text)[-2:] == ["to", "stdout"] or "to stdout" in " ".join(
            words_of(statement.text)
        )
    copy = parse(statement.text)[0]["CopyStmt"]
    return not copy.get("is_from") and not copy.get("filename")


def extension_of(statement: Statement) -> str | None:
    """The extension that a CREATE EXTENSION makes, or None for other statements."""
    if statement.kind != "CreateExtensionStmt":
        return None
    words = [word for word in words_of(statement.text) if word not in ("if", "not", "exists")]
    return words[2].strip('"').replace('""', '"') if len(words) > 2 else None


def defers(statement: Statement) -> bool:
    """Whether a statement has PostgreSQL check something at the end of the transaction.

    A deferrable constraint or trigger and SET CONSTRAINTS do; a name, a string or a comment with these words
    doesn't. Code that is quoted may, where it has them outside its comments.
    """
    if not _DEFERS.search(statement.text):
        return False
    if statement.kind in _CODE:
        return bool(_DEFERS.search(_COMMENT.sub(" ", statement.text)))
    if statement.parsed:
        return any(_holds_deferrable(tree) for tree in parse(statement.text))
    words = [text.lower() for kind, text in tokens_of(statement.text) if kind == "word"]
    return any(word == "deferrable" and before != "not" for before, word in pairwise(["", *words])) or words[
        :2
    ] == ["set", "constraints"]


def _holds_deferrable(node: object) -> bool:
    if isinstance(node, list):
        return any(map(_holds_deferrable, node))
    if not isinstance(node, dict):
        return False
    if node.get("deferrable") is True or "ConstraintsSetStmt" in node:
        return True
    if node.get("contype") in ("CONSTR_ATTR_DEFERRABLE", "CONSTR_ATTR_DEFERRED"):  # a column's
        return True
    return any(map(_holds_deferrable, node.values()))


def _reads_stdin(text: str) -> bool:
    """Whether a statement is COPY ... FROM stdin, whose data follow it."""
    copies = [tree["CopyStmt"] for tree in parse(text) if "CopyStmt" in tree]
    if not copies:
        words = words_of(text)
        return any(pair == ("from", "stdin") for pair in pairwise(words))
    return bool(copies[0].get("is_from")) and not copies[0].get("filename")


def _statement(source: Source, piece: Piece) -> Statement:
    import pgparse

    text = piece.text
    line, column = source.position(piece.start)
    try:
        trees = pgparse.parse(text)
    except (pgparse.PGQueryError, RecursionError):
        # The parser is older than some servers, and its trees are nested more deeply than Python reads: the
        # scratch server decides.
        return _without_tree(source, piece)
    node = trees[0]["stmt"] if trees else {}
    kind = next(iter(node), "Empty")
    body = node.get(kind, {})
    if kind == "TransactionStmt" and body.get("kind") in _OF_ITS_TRANSACTION:
        raise _refused(source, piece)
    outside = _ends_transactions(text) if kind == "DoStmt" else tree_is_refused_in_transactions(kind, body)
    return Statement(text, line, column, kind, outside, piece.data)


def _without_tree(source: Source, piece: Piece) -> Statement:
    words = words_of(piece.text)
    kind = kind_of(words)
    if kind == "TransactionStmt" and (
        words[:1] in (["abort"], ["rollback"]) or words[:2] == ["commit", "prepared"]
    ):
        raise _refused(source, piece)
    line, column = source.position(piece.start)
    outside = is_refused_in_transactions(kind, words)
    return Statement(piece.text, line, column, kind, outside, piece.data, parsed=False)


_OF_ITS_TRANSACTION = (
    "TRANS_STMT_ROLLBACK",
    "TRANS_STMT_PREPARE",
    "TRANS_STMT_COMMIT_PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED",
)


def _refused(source: Source, piece: Piece) -> CatalogError:
    words = words_of(piece.text)
    if "prepared" in words[:2]:
        return CatalogError(
            f"a migration can't {' '.join(words[:2]).upper()}: a prepared transaction is no part of a schema",
            place=source.place(piece.start),
            fix="remove the statement, and write what the prepared transaction does as statements",
        )
    return CatalogError(
        f"a migration can't {words[0].upper()} the transaction it runs in",
        place=source.place(piece.start),
        fix="remove the statement; a migration that fails is rolled back by pgslate",
    )


def _ends_transactions(do: str) -> bool:
    """Whether a DO block commits or rolls back, which it may only at the outermost level."""
    import pgparse

    if not _COMMITS.search(do):
        return False
    try:
        return any(f"PLpgSQL_stmt_{word}" in str(parse_plpgsql(do)) for word in ("commit", "rollback"))
    except (pgparse.PGQueryError, ValueError):
        return False
