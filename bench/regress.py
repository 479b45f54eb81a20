"""PostgreSQL's own regression tests as catalogs: what the server accepts is accepted, and slices are right.

``python -m bench.regress DIR`` reads ``DIR/src/test/regress/sql`` of a PostgreSQL source tree; nothing of it
is kept. Each file is run statement by statement on a scratch server, as psql runs it; the statements that the
server accepts are a catalog of one migration. It is traced, and ten of its tables, chosen by a fixed seed,
are proved in the statements and the objects form.
"""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.lexer import pieces
from pgslate.catalog.migration import Migration
from pgslate.catalog.single_statement import run_statement
from pgslate.catalog.statements import split
from pgslate.catalog.tokens import Source
from pgslate.errors import CatalogError, PgslateError
from pgslate.slices.proof import prove
from pgslate.slices.prover import Prover
from pgslate.slices.replay import ReplayFailedError
from pgslate.slices.slice import Form
from pgslate.targets.embedded.server import Server
from pgslate.trace.effects import Trace
from pgslate.trace.tracer import trace

FILES = (
    "create_table",
    "create_table_like",
    "create_index",
    "create_view",
    "create_type",
    "create_procedure",
    "create_schema",
    "alter_table",
    "alter_generic",
    "constraints",
    "foreign_key",
    "generated",
    "generated_stored",
    "generated_virtual",
    "identity",
    "inherit",
    "partition_info",
    "indexing",
    "index_including",
    "triggers",
    "event_trigger",
    "rules",
    "privileges",
    "rowsecurity",
    "domain",
    "enum",
    "without_overlaps",
    "sequence",
    "typed_table",
    "updatable_views",
    "matview",
    "namespace",
    "replica_identity",
    "reloptions",
    "publication",
    "polymorphism",
    "plpgsql",
    "prepare",
    "discard",
    "temp",
    "copy",
    "copy2",
    "truncate",
    "returning",
    "merge",
    "insert_conflict",
    "collate",
    "compression",
    "stats_ext",
)
_PSQL = re.compile(r"^\\(?!\.).*$|\\g\w*[^\n]*$", re.MULTILINE)
_FORMS: tuple[Form, ...] = ("statements", "objects")
_TABLES = 10
_SEED = 7
_KEEPS_FROM = 0.6
"""The part of a file from which on nothing is dropped: its end clears up, and would leave no table."""


@dataclass
class Outcome:
    """What came of one file."""

    name: str
    accepted: int = 0
    refused: list[str] = field(default_factory=list)
    tables: int = 0
    proved: int = 0
    larger: int = 0
    wrong: list[str] = field(default_factory=list)
    error: str = ""


def main(source_tree: str, names: Sequence[str], major: int | None = None) -> int:
    """Check each file that the source tree has; gives the exit status."""
    folder = Path(source_tree) / "src" / "test" / "regress" / "sql"
    outcomes = []
    for name in names or FILES:
        file = folder / f"{name}.sql"
        if file.exists():
            outcomes.append(check(file, major))
            print(line(outcomes[-1]), flush=True)
    kept, tables = sum(o.accepted for o in outcomes), sum(o.tables for o in outcomes)
    refused = sum(len(o.refused) for o in outcomes)
    print(
        f"{len(outcomes)} files: {kept} statements that the server accepts, {refused} others refused"
        f" here; {tables} slices, {sum(o.proved for o in outcomes)} proved,"
        f" {sum(len(o.wrong) for o in outcomes)} not; {sum(bool(o.error) for o in outcomes)} files failed"
    )
    return int(any(o.error or o.wrong for o in outcomes))


def line(outcome: Outcome) -> str:
    """One outcome for people."""
    said = [
        f"{outcome.name}: {outcome.accepted} accepted, {outcome.proved} of {outcome.tables} slices proved"
    ]
    said += [f"  refused: {each}" for each in outcome.refused[:5]]
    said += [f"  not proved: {each}" for each in outcome.wrong[:5]]
    return "\n".join([*said, *([f"  failed: {outcome.error}"] if outcome.error else [])])


def check(file: Path, major: int | None) -> Outcome:
    """Cut a file into a catalog, trace and prove it; each on a server of its own, which roles belong to."""
    outcome = Outcome(file.stem)
    try:
        with Server.start(major=major) as server:
            kept = list(accepted(server, file, outcome))
    except CatalogError as error:
        outcome.error = f"the file can't be divided: {error.message} ({error.place})"
        return outcome
    outcome.accepted = len(kept)
    source = ";\n".join(kept) + ";"
    migration = Migration("1", file.stem, file.name, source, (1,), transactional=False)
    catalog = Catalog(file.parent, "plain", (migration,))
    try:
        with Server.start(major=major) as server:
            found = trace(catalog, server.create_database("whole", template="template0")).trace
    except PgslateError as error:
        outcome.error = " ".join(str(error).split())[:300]
        return outcome
    with Server.start(major=major) as server, Prover(server) as prover:
        _prove(prover, catalog, found, outcome)
    return outcome


def _prove(prover: Prover, catalog: Catalog, found: Trace, outcome: Outcome) -> None:
    tables = [u for u, i in enumerate(found.units) if i.kind == "table" and i.dropped is None]
    tables = [u for u in tables if not found.units[u].name.startswith("pg_temp")]
    for unit in random.Random(_SEED).sample(tables, min(_TABLES, len(tables))):  # noqa: S311 - a sample
        for form in _FORMS:
            outcome.tables += 1
            name = f"{found.units[unit].name} as {form}"
            try:
                proof = prove(prover, catalog, found, [unit], form)
            except (PgslateError, psycopg.Error, ReplayFailedError) as error:
                outcome.wrong.append(f"{name}: {' '.join(str(error).split())[:200]}")
                continue
            if proof.unproved:
                outcome.wrong.append(f"{name}: {' '.join(proof.unproved.split())[:200]}")
            else:
                outcome.proved += 1
                outcome.larger += bool(proof.failures)


def accepted(server: Server, file: Path, outcome: Outcome) -> Iterator[str]:
    """The statements of a file that the server accepts; those of a block that is rolled back are left out."""
    text = _PSQL.sub("", file.read_text(encoding="utf-8", errors="replace"))
    with (
        server.create_database("alone", template="template0") as target,
        target.connect(settings={"statement_timeout": "5s"}, autocommit=True) as connection,
    ):
        block: list[str] | None = None
        fails = False
        has_data = re.search(r"^\\\.$", text, re.MULTILINE) is not None
        source = Source(text, file.name, 1)
        found = list(pieces(source, lambda copy: has_data and "stdin" in copy.lower()))
        for number, piece in enumerate(found):
            whole = piece.text if piece.data is None else f"{piece.text};\n{piece.data}\\."
            word = piece.text.split(maxsplit=1)[0].lower().rstrip(";")
            if word == "drop" and number > _KEEPS_FROM * len(found):
                continue
            if word in ("begin", "start"):
                block, fails = [], False
            try:
                statements = split(whole, file=file.name)
            except CatalogError as error:
                try:
                    connection.execute(piece.text.encode(), prepare=False)
                except psycopg.Error:
                    continue
                if word not in ("rollback", "abort"):
                    outcome.refused.append(f"{error.message}: {' '.join(piece.text.split())[:80]}")
                block = None if word in ("rollback", "abort") else block
                continue
            if word in ("commit", "end") and fails:  # what was left out must not be there either
                connection.execute(b"ROLLBACK")
                block, fails = None, False
                continue
            try:
                run_statement(connection, statements[0])
            except psycopg.Error:
                fails = block is not None  # the block goes on, or back to a savepoint: it is left out
                continue
            if word in ("commit", "end"):
                yield from (*block, "COMMIT") if block else ()
                block = None
            elif block is not None:
                block.append(whole)
            else:
                yield whole
    server.drop_database("alone")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
