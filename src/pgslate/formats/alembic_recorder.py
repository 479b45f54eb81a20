"""Runs Alembic's revisions one by one on a database, and writes down the SQL that each sends.

pgslate runs this file as a program, with the interpreter of the project that the revisions belong to: it
imports nothing of pgslate. Arguments: the alembic.ini, a libpq URL of an empty database, the file to write;
and ``skip``, to leave out the revisions that fail. ``env.py`` is not run: a revision's ``upgrade()`` gets a
connection to that database and no other.
"""

from __future__ import annotations

import json
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_NOT_OF_THE_SCHEMA = ("pg_catalog.", "information_schema.", "select version()", "show ", "alembic_version")


def main(ini: str, dsn: str, output: str, *skip: str) -> int:
    import sqlalchemy
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    driver = next((name for name in ("psycopg", "psycopg2") if find_spec(name)), None)
    if driver is None:
        Path(output).write_text(json.dumps({"needs": "psycopg"}))
        return 1
    script = ScriptDirectory.from_config(Config(ini))
    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", f"postgresql+{driver}://", 1))
    sent: list[str] = []
    _record(engine, driver, sent)
    revisions: list[dict[str, Any]] = []
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        for revision in reversed(list(script.walk_revisions())):
            sent.clear()
            try:
                with Operations.context(context), context.begin_transaction(_per_migration=True):
                    revision.module.upgrade()
            except Exception:  # whatever a revision raises is reported with its traceback
                if skip:
                    revisions.append({"revision": revision.revision, "statements": None})
                    continue
                failed = {"failed": revision.revision, "why": traceback.format_exc()}
                Path(output).write_text(json.dumps(failed))
                return 1
            statements = sent[:-1] if sent[-1:] == ["COMMIT"] else sent
            revisions.append({"revision": revision.revision, "statements": list(statements)})
    Path(output).write_text(json.dumps({"revisions": revisions}))
    return 0


def _record(engine: Any, driver: str, sent: list[str]) -> None:
    from sqlalchemy import event

    @event.listens_for(engine, "before_cursor_execute")
    def executing(
        connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        lower = statement.lower().lstrip()
        if lower.startswith(("select", "show")) and any(word in lower for word in _NOT_OF_THE_SCHEMA):
            return
        for each in parameters if many else [parameters]:
            sent.append(_with_values(cursor, driver, statement, each))

    @event.listens_for(engine, "commit")
    def committing(connection: Any) -> None:
        if sent and sent[-1] != "COMMIT":
            sent.append("COMMIT")


def _with_values(cursor: Any, driver: str, statement: str, parameters: Any) -> str:
    if driver == "psycopg2":
        return str(cursor.mogrify(statement, parameters).decode())
    import psycopg

    return psycopg.ClientCursor(cursor.connection).mogrify(statement, parameters)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
