"""The prelude: SQL that makes what a catalog expects to be there already, run before its first migration."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pgslate.catalog.blocks import blocks
from pgslate.catalog.session import RESET_BUT_PREPARED
from pgslate.catalog.single_statement import run_statement
from pgslate.catalog.sqlstates import MEANINGS, message_of, place_in
from pgslate.catalog.statements import Statement, extension_of, split
from pgslate.errors import MigrationFailedError

if TYPE_CHECKING:  # imported when a prelude is run: to know one needs no driver
    import psycopg

_CORRECT = "correct the file; [prelude] in pgslate.toml names it"


@dataclass(frozen=True, slots=True)
class PreludeFile:
    """SQL to run before the first migration.

    ``name`` is its path from where the configuration is, or says in words what it makes.
    """

    name: str
    text: str

    def statements(self) -> tuple[Statement, ...]:
        """Its statements; raises CatalogError with the place where the text can't be divided."""
        return split(self.text, file=self.name)


def run_prelude(connection: psycopg.Connection[Any], prelude: Iterable[PreludeFile]) -> None:
    """Run the prelude's files in order, each as psql runs a file; what a file sets ends with it.

    ``connection`` is in autocommit mode. Raises MigrationFailedError with the file and the place in it, where
    PostgreSQL refuses a statement.
    """
    for file in prelude:
        for block in blocks(file.statements(), transactional=False):
            if not block.transactional:
                _run(connection, file, block.statements[0])
                continue
            with connection.transaction():
                for opening in block.opening:
                    connection.execute(opening.encode(), prepare=False)
                for statement in block.statements:
                    _run(connection, file, statement)
        connection.execute(RESET_BUT_PREPARED.encode())


def prelude_extensions(prelude: Iterable[PreludeFile]) -> dict[str, str]:
    """The extensions that a prelude's statements create, each with the name of the file that does."""
    found: dict[str, str] = {}
    for file in prelude:
        for statement in file.statements():
            if name := extension_of(statement):
                found.setdefault(name, file.name)
    return found


def _run(connection: psycopg.Connection[Any], file: PreludeFile, statement: Statement) -> None:
    import psycopg

    try:
        run_statement(connection, statement)
    except psycopg.Error as error:
        raise _failed(error, file, statement) from None


def _failed(error: psycopg.Error, file: PreludeFile, statement: Statement) -> MigrationFailedError:
    diagnostics = error.diag
    meaning = MEANINGS.get(error.sqlstate or "")
    place = place_in(file.name, statement, int(diagnostics.statement_position or 1) - 1)
    whole_line = file.text.split("\n")[place.line - 1].rstrip("\r")
    return MigrationFailedError(
        message_of(error, file.name),
        place=replace(place, text=whole_line),
        fix=meaning.fix_in("prelude") if meaning else _CORRECT,
        migration="",
        statement=statement.text,
        sqlstate=error.sqlstate or "",
        detail=diagnostics.message_detail or "",
        hint=diagnostics.message_hint or "",
        applied=(),
    )
