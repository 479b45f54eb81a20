"""Liquibase's formatted SQL: the changesets of a file, and what their attributes say.

Source: Liquibase, ``AbstractFormattedChangeLogParser.java`` and ``FormattedSqlChangeLogParser.java``: a line
that is one of its annotations is one wherever it stands, also inside a body; ``StringUtil.java``
(``isDelimiter``): what ends a statement; ``DatabaseList.java``: ``dbms``; ``ContextChangeSetFilter.java`` and
``ExpressionMatcher.java``: where no contexts are given all run, but those that ask for one with ``@``, or
speak of ``nocontexts``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pgslate.errors import CatalogError, Place

HEADER = re.compile(r"\s*--\s*liquibase\s*formatted[^\n]*", re.IGNORECASE)
_CHANGESET = re.compile(
    r"\s*--\s*changeset\s+(?P<author>\"[^\"]+\"|[^:]+):(?P<id>\"[^\"]+\"|\S+)(?P<rest>.*)", re.IGNORECASE
)
_PROPERTY = re.compile(r"\s*--\s*property\s+.*:.*\s+.*:.*", re.IGNORECASE)
_IGNORE = re.compile(r"--\s*ignoreLines:(?P<what>\w+)", re.IGNORECASE)
_ROLLBACK_BEGINS = re.compile(r"\s*/\*\s*liquibase\s*rollback\s*", re.IGNORECASE)
_ROLLBACK_ENDS = re.compile(r".*\*/\s*")
_ANNOTATION = re.compile(
    r"--\s*(comment|validCheckSum):? .*|\s*--\s*(rollback .*|preconditions.*|precondition-[a-z0-9-]+.*)",
    re.IGNORECASE,
)
_ROLLBACK = re.compile(r"\s*--\s*rollback (?P<sql>.*)", re.IGNORECASE)
_NO_ROLLBACK = re.compile(r"\s*(not required|empty\s*$|changesetId)", re.IGNORECASE)
# What Liquibase refuses, since it looks like an annotation and would be passed over.
_ALMOST = re.compile(
    r"\s*-{1,2}\s*changeset.*|--\s*comments:? .*|--\s*ignore:\w+"
    r"|\s*-\s*(property|rollback|preconditions)\s.*|-\s*(comment:? .*|ignoreLines:.*|validCheckSum.*)"
    r"|\s*-\s*precondition.*",
    re.IGNORECASE,
)
_INCLUDE = re.compile(r"\s*--\s*include(all)?\s+\S+:.*", re.IGNORECASE)
_DELIMITERS = ("/", r"\nGO")  # besides the semicolon, which needs none
_QUOTED = r"""
    [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/
  | (?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)
"""


@dataclass(frozen=True)
class Changeset:
    """One changeset: ``source`` begins on the line ``first_line``, below its annotation, and so does its way
    back, ``rollback``, which is "" where it has none of its own.

    ``path`` is its file as Liquibase calls it, which ``logicalFilePath`` changes; ``runs`` is false where its
    attributes leave it out.
    """

    author: str
    id: str
    path: str
    source: str = field(repr=False)
    rollback: str = field(repr=False)
    first_line: int
    place: Place
    transactional: bool = True
    repeatable: bool = False
    runs: bool = True

    @property
    def version(self) -> str:
        """What Liquibase calls it."""
        return f"{self.path}::{self.id}::{self.author}"


@dataclass(frozen=True)
class Formatted:
    """A file of formatted SQL: its changesets in order, and the properties it sets."""

    changesets: tuple[Changeset, ...]
    properties: dict[str, str]


def parse(text: str, file: str) -> Formatted:
    """The changesets of a file. Raises CatalogError where Liquibase would, and for SQL that is in none."""
    path = file
    properties: dict[str, str] = {}
    heads: list[tuple[re.Match[str], int]] = []
    bodies: list[list[str]] = []
    rollbacks: list[list[str]] = []
    for number, line, kind in _lines(text, file):
        is_sql = kind == "sql"
        header = HEADER.fullmatch(line)
        if is_sql and header and not heads:
            path = _attribute("logicalFilePath", line) or path
        elif is_sql and _PROPERTY.fullmatch(line):
            _set(properties, line)
        elif is_sql and _INCLUDE.fullmatch(line):
            raise CatalogError(
                "pgslate reads includes in changelogs alone",
                place=Place(file, number, 1, line),
                fix="include the file from a changelog in XML, YAML or JSON",
            )
        elif is_sql and (found := _CHANGESET.fullmatch(line)):
            heads.append((found, number))
            bodies.append([])
            rollbacks.append([])
            continue
        elif is_sql and _ALMOST.fullmatch(line):
            raise CatalogError(
                "this is no annotation that Liquibase knows",
                place=Place(file, number, 1, line),
                fix="write --changeset author:id, --comment, --rollback, --preconditions, --ignoreLines:start"
                " or --property name:x value:y",
            )
        elif not heads and is_sql and line.strip() and not line.lstrip().startswith(("--", "/*", "*")):
            raise CatalogError(
                "SQL stands above the first --changeset, where Liquibase passes over it",
                place=Place(file, number, 1, line),
                fix="write --changeset author:id above it",
            )
        if bodies:
            kept = is_sql and not _ANNOTATION.fullmatch(line) and not _PROPERTY.fullmatch(line)
            bodies[-1].append(line if kept else "")
            back = _ROLLBACK.fullmatch(line) if is_sql else None
            rollbacks[-1].append(back["sql"] if back else _before_end(line) if kind == "rollback" else "")
    if not heads:
        raise CatalogError(
            f"{file} has no --changeset",
            place=Place(file, 1),
            fix="write --changeset author:id above its SQL",
        )
    changesets = tuple(
        _changeset(head, number, body, rollback, path, file)
        for (head, number), body, rollback in zip(heads, bodies, rollbacks, strict=True)
    )
    return Formatted(changesets, properties)


def runs_without_contexts(expression: str) -> bool:
    """Whether a changeset of this context runs where Liquibase is given none.

    >>> [runs_without_contexts(e) for e in ("", "test", "!test", "@test", "!@test", "!nocontexts and test")]
    [True, True, True, False, True, False]
    """
    if "@" not in expression and "nocontexts" not in expression.lower():
        return True
    while nested := re.search(r"\(([^()]+)\)", expression):
        inner = "nocontexts" if runs_without_contexts(nested[1]) else "!nocontexts"
        expression = f"{expression[: nested.start()]} {inner} {expression[nested.end() :]}"
    either = re.split(r"\s*,\s*|\s+or\s+", expression.strip(), flags=re.IGNORECASE)
    return any(all(map(_holds, re.split(r"\s+and\s+", each, flags=re.IGNORECASE))) for each in either)


def _holds(context: str) -> bool:
    found = re.fullmatch(
        r"\s*@?\s*(?P<negated>!|not\s+)?\s*(?P<required>@)?\s*(?P<name>.*?)\s*", context, re.I
    )
    assert found is not None
    if found["name"].lower() == "nocontexts" and not found["required"]:
        return not found["negated"]
    return bool(found["negated"]) if "@" in context else True


def is_for_postgresql(dbms: str) -> bool:
    """Whether a ``dbms`` attribute names PostgreSQL, or none, or only others that are excluded.

    >>> [is_for_postgresql(d) for d in ("", "h2,postgresql", "!h2", "oracle", "all", "none", "!postgresql")]
    [True, True, True, False, True, False, False]
    """
    named = [each.strip() for each in dbms.lower().split(",") if each.strip()]
    if "all" in named or not named:
        return True
    if "none" in named or "!postgresql" in named:
        return False
    wanted = [each for each in named if not each.startswith("!")]
    return not wanted or "postgresql" in wanted


def _lines(text: str, file: str) -> Iterator[tuple[int, str, str]]:
    """(number, line, what it is): "sql", "rollback" inside of one of many lines, or "ignored"."""
    until: re.Pattern[str] | None = None
    begun: Place | None = None
    ignored = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if ignored:
            ignored -= 1
            yield number, line, "ignored"
        elif until:
            yield number, line, "rollback" if until is _ROLLBACK_ENDS else "ignored"
            if until.fullmatch(line):
                until = None
        elif found := _IGNORE.fullmatch(line):
            what = found["what"]
            if what.isdigit():
                ignored = int(what)
            elif what == "start":
                until = re.compile(r"--\s*ignoreLines:end", re.IGNORECASE)
            else:
                raise CatalogError(
                    f"Liquibase ignores no lines at {line.strip()!r}",
                    place=Place(file, number, 1, line),
                    fix="write --ignoreLines:start, or the number of lines",
                )
            yield number, line, "ignored"
        elif _ROLLBACK_BEGINS.fullmatch(line):
            until, begun = _ROLLBACK_ENDS, Place(file, number, 1, line)
            yield number, line, "ignored"
        else:
            yield number, line, "sql"
    if until is _ROLLBACK_ENDS:
        raise CatalogError("the rollback is never closed", place=begun, fix="close it with */")


def _before_end(line: str) -> str:
    return line.rstrip().removesuffix("*/")


def _changeset(
    head: re.Match[str], number: int, body: list[str], rollback: list[str], path: str, file: str
) -> Changeset:
    rest = head["rest"]
    place = Place(file, number, 1, head.group())
    author, identifier = head["author"].strip('"'), head["id"].strip('"')
    source, back = "\n".join(body), "\n".join(rollback)
    if not source.strip():
        raise CatalogError(
            f"the changeset {author}:{identifier} holds no SQL",
            place=place,
            fix="write it, or remove the changeset",
        )
    if _is("splitStatements", rest, otherwise=True):
        given = _attribute("endDelimiter", rest)
        ends = (given,) if given else _DELIMITERS
        source, back = _delimited(source, ends), _delimited(back, ends)
    context = _attribute("contextFilter", rest) or _attribute("context", rest)
    dbms = re.search(r"\bdbms:([^,][\w!,]+)", rest, re.IGNORECASE)
    return Changeset(
        author=author,
        id=identifier,
        path=_attribute("logicalFilePath", rest) or path,
        source=source,
        rollback="" if _NO_ROLLBACK.match(back) or not back.strip() else back,
        first_line=number + 1,
        place=place,
        transactional=_is("runInTransaction", rest, otherwise=True),
        repeatable=_is("runOnChange", rest) or _is("runAlways", rest),
        runs=is_for_postgresql(dbms[1] if dbms else "")
        and runs_without_contexts(context)
        and not _is("ignore", rest),
    )


def _attribute(name: str, line: str) -> str:
    found = re.search(rf"\b{name}:(\".*?\"|\S*)", line, re.IGNORECASE)
    return found[1].strip('"') if found else ""


def _is(name: str, line: str, *, otherwise: bool = False) -> bool:
    found = re.search(rf"\b{name}:(\w+)", line, re.IGNORECASE)
    return found[1].lower() == "true" if found else otherwise


def _set(properties: dict[str, str], line: str) -> None:
    """What ``--property name:x value:y dbms:z`` sets; the first of a name counts."""
    name = re.search(r"name:\s*(\S+)", line, re.IGNORECASE)
    value = re.search(r"value:\s*(\S+)", line, re.IGNORECASE)
    dbms = re.search(r"dbms:([^,][\w!,]+)", line, re.IGNORECASE)
    context = _attribute("contextFilter", line) or _attribute("context", line)
    if name and value and is_for_postgresql(dbms[1] if dbms else "") and runs_without_contexts(context):
        properties.setdefault(name[1], value[1])


def _delimited(source: str, delimiters: tuple[str, ...]) -> str:
    """``source`` with a semicolon for each delimiter that ends a line, outside of strings and bodies.

    >>> _delimited("SELECT 1\\n/\\nSELECT 2 @@\\n", ("@@",)), _delimited("SELECT 1\\ngo\\n", ("/", r"\\nGO"))
    ('SELECT 1\\n/\\nSELECT 2 ; \\n', 'SELECT 1\\n; \\n')
    """
    if delimiters == (";",):
        return source
    ends = (
        ("^" if each == "/" or each.startswith(r"\n") else "")
        + re.escape(re.sub(r"(?<=[^$])\$$", "", each.removeprefix(r"\n")))  # \nGO$, but not $$
        for each in delimiters
    )
    pattern = re.compile(
        rf"(?P<end>{'|'.join(ends)})(?=[ \t]*$)|(?x:{_QUOTED})", re.IGNORECASE | re.MULTILINE | re.DOTALL
    )
    return pattern.sub(
        lambda found: ";" + " " * (len(found["end"]) - 1) if found["end"] else found.group(), source
    )
