"""A Down that doesn't bring back the state before; a run on a scratch server shows it.

Each migration is applied; what its Down leaves is compared with what was there before, and rolled back, so
that the next migration goes on from the Up. This is the only place in which pgslate ever runs a Down.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from pgslate.catalog import session
from pgslate.catalog.blocks import Block
from pgslate.catalog.blocks import blocks as blocks_of
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import run_prelude
from pgslate.catalog.single_statement import run_statement
from pgslate.catalog.sqlstates import migration_failed
from pgslate.catalog.statements import Statement, split
from pgslate.errors import CatalogError
from pgslate.lint_rules.down_text import Down, downs_of
from pgslate.lint_rules.finding import Case, Finding
from pgslate.schema.compare import ANYBODY, compare
from pgslate.schema.difference import Difference
from pgslate.schema.model import Schema
from pgslate.schema.read import read
from pgslate.targets.embedded.server import Server
from pgslate.trace.scratch_server import SCRATCH, scratch_server

_COPY = f"{SCRATCH}_down"
_RULE = "down"
_SHOWN = 3
_LINES = 12


def check(case: Case) -> Iterator[Finding]:
    """The migrations whose Down fails, or leaves the schema other than it was before the Up."""
    catalog = case.project.catalog
    downs = downs_of(case.project)
    if not downs:
        return
    last = max(index for index, migration in enumerate(catalog) if migration.version in downs)
    with scratch_server(catalog, case.project.prelude, like=case.trace.server) as server:
        scratch = _Scratch(server, catalog.settings)
        server.create_database(SCRATCH, template="template0")
        with scratch.connect() as connection:
            run_prelude(connection, case.project.prelude)
            before = read(connection)
        for migration in catalog.migrations[: last + 1]:
            with scratch.connect() as connection:
                _up(connection, migration)
                after = read(connection)
            down = downs.get(migration.version)
            if down is not None:
                yield from _findings(scratch, migration, down, before)
            before = after


def _findings(scratch: _Scratch, migration: Migration, down: Down, before: Schema) -> Iterator[Finding]:
    try:
        found = split(down.text, file=down.file, first_line=down.first_line)
        blocks = blocks_of(found, transactional=down.transactional)
        if all(block.transactional for block in blocks):
            back = _rolled_back(scratch, blocks)
        else:
            back = _on_a_copy(scratch, blocks)
    except (_DownFailedError, CatalogError) as error:
        line = error.line if isinstance(error, _DownFailedError) else error.place.line if error.place else 0
        yield Finding(
            _RULE, down.file, line, "", f"the Down fails: {error.message}", "correct it, or remove it"
        )
        return
    differences = _differences(before, back)
    if differences:
        yield Finding(
            _RULE,
            down.file,
            found[0].line if found else down.first_line,
            "",
            _not_restored(each.whole for each in differences),
            "undo in it what the Up does; or remove it, where there is no way back",
            _not_restored(each.brief for each in differences),
            tuple(line for each in differences[:_SHOWN] for line in each.excerpt),
        )


def _not_restored(words: Iterable[str]) -> str:
    shown = list(words)
    more = f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return f"the Down doesn't bring back what was there before: {'; '.join(shown[:_SHOWN])}{more}"


@dataclass(frozen=True, slots=True)
class _Worded:
    """A difference in words; where these take more than a line, in brief, with an excerpt of what differs."""

    whole: str
    brief: str
    excerpt: tuple[str, ...] = ()


def _differences(before: Schema, back: Schema) -> list[_Worded]:
    """What was there before and isn't now, and the other way; the order of columns aside."""
    lost = [_worded(each) for each in compare(before, back, owners=ANYBODY) if not _is_order(each, before)]
    left = [
        _in_a_line(f"{each.kind} {each.name} is left behind")
        for each in back.top_level()
        if each.key not in before
    ]
    return [*left, *lost]


def _worded(each: Difference) -> _Worded:
    if each.found == "missing":
        return _in_a_line(f"{each.kind} {each.object} is gone")
    if each.expected == "nothing":
        return _in_a_line(f"{each.kind} {each.object} is left behind")
    whole = f"{each.kind} {each.object} is {each.found}, and was {each.expected}"
    if "\n" not in whole:
        return _in_a_line(whole)
    return _Worded(whole, f"{each.kind} {each.object} is not as it was", _excerpt(each))


def _in_a_line(words: str) -> _Worded:
    return _Worded(words, words)


def _excerpt(each: Difference) -> tuple[str, ...]:
    """A short unified diff, from what was there before to what the Down leaves."""
    lines = list(
        difflib.unified_diff(
            each.expected.splitlines(),
            each.found.splitlines(),
            f"{each.kind} {each.object} before",
            "after the Down",
            n=1,
            lineterm="",
        )
    )
    more = (f"... {len(lines) - _LINES} more lines",) if len(lines) > _LINES else ()
    return (*lines[:_LINES], *more)


def _is_order(each: Difference, before: Schema) -> bool:
    """A column that is dropped and added again comes last, and nothing can be done about it."""
    there = before.get(each.kind, each.object)
    columns = there.get("columns") if there else None
    return isinstance(columns, tuple) and all(column in each.found for column in columns)


# -- running


class _DownFailedError(Exception):
    """A statement of a Down failed: its line, and the message of PostgreSQL."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(line, message)
        self.line = line
        self.message = message


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Where Downs are tried, and what each session there begins with."""

    server: Server
    settings: Mapping[str, str]

    def connect(self, database: str = SCRATCH) -> psycopg.Connection[Any]:
        target = self.server.target(database)
        return target.connect(settings=self.settings, autocommit=True, prepare_threshold=None)


def _up(connection: psycopg.Connection[Any], migration: Migration) -> None:
    for block in migration.blocks:
        for statement in _run(connection, block):
            try:
                run_statement(connection, statement)
            except psycopg.Error as error:
                raise migration_failed(error, migration, statement, doing="applying") from None
    connection.execute(session.RESET.encode())


def _run(connection: psycopg.Connection[Any], block: Block) -> Iterator[Statement]:
    """The block's statements, to be executed as they come, in a transaction where it is one."""
    if not block.transactional:
        yield from block.statements
        return
    connection.execute(f"BEGIN {block.mode}".encode())
    yield from block.statements
    connection.execute(b"COMMIT")


def _rolled_back(scratch: _Scratch, blocks: tuple[Block, ...]) -> Schema:
    """The schema after a Down that can be undone."""
    with scratch.connect() as connection:
        connection.execute(b"BEGIN")
        for block in blocks:
            _undo(connection, block)
        connection.execute(session.RESET_BUT_PREPARED.encode())
        back = read(connection)
        connection.execute(b"ROLLBACK")
        return back


def _on_a_copy(scratch: _Scratch, blocks: tuple[Block, ...]) -> Schema:
    """The schema after a Down that PostgreSQL refuses inside a transaction."""
    scratch.server.create_database(_COPY, template=SCRATCH)
    try:
        with scratch.connect(_COPY) as connection:
            for block in blocks:
                if block.transactional:
                    connection.execute(b"BEGIN")
                _undo(connection, block)
                if block.transactional:
                    connection.execute(b"COMMIT")
            connection.execute(session.RESET_BUT_PREPARED.encode())
            return read(connection)
    finally:
        scratch.server.drop_database(_COPY)


def _undo(connection: psycopg.Connection[Any], block: Block) -> None:
    for statement in block.statements:
        try:
            run_statement(connection, statement)
        except psycopg.Error as error:
            raise _DownFailedError(statement.line, str(error.diag.message_primary or error)) from None
