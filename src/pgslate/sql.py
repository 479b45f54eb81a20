"""The statements of an SQL file: where each begins, what kind it is, and how it may be run.

Splitting follows psql's lexer (PostgreSQL manual, psql, "Entering SQL commands"): a semicolon ends a
statement unless it stands in a string, a quoted name, a comment, parentheses, or a BEGIN ATOMIC body. Each
statement is then parsed by libpg_query, PostgreSQL's own parser, so that a syntax error has a place before
anything is run.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pgslate.errors import CatalogError, Place, SqlSyntaxError

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
        """The statement's opening, folded to one line of at most 100 characters."""
        folded = " ".join(self.text.split())
        return folded if len(folded) <= 100 else folded[:97] + "..."


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that are run together: in one transaction, or, where ``transactional`` is false, each alone.

    ``first`` is the index in the file of the block's first statement; the others follow without a gap.
    ``BEGIN``, ``COMMIT`` and a leading ``SET TRANSACTION`` are not among the ``statements``, but they are
    counted in the file's indexes; ``mode`` is what they say of the transaction (``ISOLATION LEVEL ...``), but
    for ``READ ONLY``: the ledger is written in it, too.
    """

    first: int
    statements: tuple[Statement, ...]
    transactional: bool
    mode: str = ""

    @property
    def opening(self) -> tuple[str, ...]:
        """What is to be said first in the transaction, before any query: one statement, or none."""
        return (f"SET TRANSACTION {self.mode}",) if self.mode else ()


LETTER = r"[^\x00-@\[-\^`{-\x7f]"
"""A letter, an underscore, or anything beyond ASCII; said as what it is not, which is quick to compile."""

LETTER_OR_DIGIT = r"[^\x00-#%-/:-@\[-\^`{-\x7f]"
"""The same, a digit or a dollar sign."""

_TOKEN = re.compile(
    rf"""
      (?P<space>\s+)
    | (?P<comment>--[^\n\r]*)
    | (?P<block>/\*)
    | (?P<string>(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*'?)
    | (?P<name>(?:[uU]&)?"[^"]*(?:""[^"]*)*"?)
    | (?P<dollar>\$(?:{LETTER}(?:(?!\$){LETTER_OR_DIGIT})*)?\$)
    | (?P<word>{LETTER}{LETTER_OR_DIGIT}*)
    | (?P<number>[0-9][\w.]*|\$[0-9]+)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<end>;)
    | (?P<backslash>\\)
    | (?P<other>[^\s\w'"$;()\[\]\\/-]+|.)
    """,
    re.VERBOSE,
)
_ESCAPE_STRING = re.compile(r"[eE]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*'?", re.DOTALL)
_SPACING = re.compile(
    rf"""
      (?P<kept>--[^\n]* | /\*.*?\*/ | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
        | (?P<tag>\$(?:{LETTER}(?:(?!\$){LETTER_OR_DIGIT})*)?\$).*?(?P=tag))
    | \s+
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_EDGE = re.compile(r"/\*|\*/")
_END_OF_DATA = re.compile(r"^\\\.[ \t]*\r?$", re.MULTILINE)

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
    source = _Source(text, file, first_line)
    return tuple(_statement(source, *piece) for piece in _pieces(source))


def without_spacing(statement: Statement) -> str:
    """The statement with its data, told as one line where PostgreSQL doesn't mind: not in strings and names.

    >>> [without_spacing(each) for each in split("SELECT  1,\\n  'a  b';")]
    ["SELECT 1, 'a  b'"]
    """
    text = _SPACING.sub(lambda found: found.group() if found["kept"] else " ", statement.text)
    return text if statement.data is None else f"{text}\n{statement.data}"


def parse(text: str) -> list[Node]:
    """libpg_query's trees of the statements in ``text``, without their wrappers; empty if it can't parse."""
    import pgparse

    try:
        return [raw["stmt"] for raw in pgparse.parse(text) if raw.get("stmt")]
    except pgparse.PGQueryError:
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
                mode = _mode(_BEGIN.sub("", statement.text))
                continue
            if word in ("commit", "end"):
                close()
                explicit = False
                continue
        if not run and _SET_TRANSACTION.match(statement.text):
            mode = ", ".join(filter(None, (mode, _mode(_SET_TRANSACTION.sub("", statement.text)))))
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


def _mode(said: str) -> str:
    """What is said of a transaction, without ``READ ONLY``.

    >>> _mode("ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE"), _mode("read only")
    ('ISOLATION LEVEL SERIALIZABLE, DEFERRABLE', '')
    """
    return _READ_ONLY.sub("", said).strip(" ,\n\t")


class _Source:
    """A text with its file name, for places."""

    def __init__(self, text: str, file: str, first_line: int) -> None:
        self.text = text
        self.file = file
        self.first_line = first_line
        self._line_starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def position(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self._line_starts, offset) - 1
        return self.first_line + line, offset - self._line_starts[line] + 1

    def place(self, offset: int) -> Place:
        line, column = self.position(offset)
        start = offset - column + 1
        end = self.text.find("\n", offset)
        return Place(self.file, line, column, self.text[start : end if end >= 0 else None].rstrip("\r"))


def _pieces(source: _Source) -> Iterator[tuple[int, int, str | None]]:
    """(start, end, COPY data or None) of each statement."""
    text = source.text
    at = 0
    start = -1  # offset of the statement's first token, -1 between statements
    depth = 0
    words: list[str] = []  # the statement's leading words, to know CREATE FUNCTION ... BEGIN ATOMIC
    atomic = 0  # nesting of BEGIN ATOMIC and CASE, each closed by END
    while at < len(text):
        token = _ESCAPE_STRING.match(text, at) if text[at] in "eE" else None
        kind = "string" if token else ""
        if token is None:
            token = _TOKEN.match(text, at)
            assert token is not None
            kind = token.lastgroup or ""
        after = token.end()
        if kind in ("space", "comment"):
            at = after
            continue
        if kind == "block":
            at = _end_of_comment(source, at)
            continue
        if kind == "string" and not _is_closed(token.group(), "'"):
            raise SqlSyntaxError("unterminated string", place=source.place(at), fix="close it with a '")
        if kind == "name" and not _is_closed(token.group(), '"'):
            raise SqlSyntaxError("unterminated quoted name", place=source.place(at), fix='close it with a "')
        if kind == "dollar":
            close = text.find(token.group(), after)
            if close < 0:
                raise SqlSyntaxError(
                    f"unterminated dollar-quoted string {token.group()}",
                    place=source.place(at),
                    fix=f"close it with {token.group()}",
                )
            after = close + len(token.group())
        if kind == "backslash":
            raise SqlSyntaxError(
                "a psql backslash command is not SQL",
                place=source.place(at),
                fix="remove it, or write what it does as SQL; pgslate does not run psql",
            )
        if kind == "end" and depth == 0 and atomic == 0:
            if start >= 0:
                data = None
                if words[:1] == ["copy"] and _reads_stdin(text[start:at]):
                    data, after = _copy_data(source, after)
                yield start, at, data
            start, words = -1, []
            at = after
            continue
        if start < 0:
            start = at
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth = max(0, depth - 1)
        elif kind == "word":
            word = token.group().lower()
            if word == "atomic" and words[-1:] == ["begin"] and "create" in words[:1]:
                atomic = 1
            elif atomic and word == "case":
                atomic += 1
            elif atomic and word == "end":
                atomic -= 1
            if len(words) < 8:
                words.append(word)
            else:
                words[-1] = word
        at = after
    if start >= 0:
        yield start, len(text), None


def _is_closed(token: str, quote: str) -> bool:
    body = token[token.index(quote) + 1 :]
    return (body.endswith(quote) and (len(body) - len(body.rstrip(quote))) % 2 == 1) or _escape_closed(token)


def _escape_closed(token: str) -> bool:
    return token[:1] in "eE" and re.fullmatch(r"[eE]'(?:[^'\\]|''|\\.)*'", token, re.DOTALL) is not None


def _end_of_comment(source: _Source, at: int) -> int:
    nesting = 0
    for edge in _BLOCK_EDGE.finditer(source.text, at):
        nesting += 1 if edge.group() == "/*" else -1
        if nesting == 0:
            return edge.end()
    raise SqlSyntaxError("unterminated comment", place=source.place(at), fix="close it with */")


def _reads_stdin(text: str) -> bool:
    """Whether a statement is COPY ... FROM stdin, whose data follow it."""
    copies = [tree["CopyStmt"] for tree in parse(text) if "CopyStmt" in tree]
    return bool(copies) and bool(copies[0].get("is_from")) and not copies[0].get("filename")


def _copy_data(source: _Source, at: int) -> tuple[str, int]:
    """The lines after COPY ... FROM stdin; up to the line ``\\.``, and the offset behind that line."""
    begin = source.text.find("\n", at) + 1
    end = _END_OF_DATA.search(source.text, begin) if begin else None
    if end is None:
        raise SqlSyntaxError(
            "COPY ... FROM stdin without its data",
            place=source.place(max(0, at - 1)),
            fix="end the data with a line that holds only \\.",
        )
    return source.text[begin : end.start()].replace("\r\n", "\n"), end.end()


def _statement(source: _Source, start: int, end: int, data: str | None) -> Statement:
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
