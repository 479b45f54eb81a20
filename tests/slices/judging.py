"""Catalogs in memory, and pg_dump as the judge of what a slice makes of them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.migration import Migration
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import Snapshot, script_of
from pgslate.dump.outcome import take, take_from
from pgslate.slices.proof import Proof, prove
from pgslate.slices.prover import Prover
from pgslate.slices.replay import replay
from pgslate.slices.row_digests import Reference
from pgslate.slices.selection import select
from pgslate.slices.slice import FORMS, Form, Slice, slice_of
from pgslate.targets.embedded.server import Server
from pgslate.targets.target import Target
from pgslate.trace.effects import Trace
from pgslate.trace.tracer import trace

_numbers = itertools.count(1)


def catalog_of(*sources: str, settings: Mapping[str, str] | None = None) -> Catalog:
    """These migrations, numbered from 1; one that begins with ``-- no transaction`` is run without one."""
    migrations = tuple(
        Migration(
            version=str(number),
            name=f"step_{number}",
            file=f"{number}_step.sql",
            source=source,
            order=(number,),
            transactional=not source.startswith("-- no transaction"),
        )
        for number, source in enumerate(sources, start=1)
    )
    return Catalog(Path("memory"), "plain", migrations, settings=dict(settings or {}))


class Court:
    """A catalog, traced on a server; what its slices make is compared with what all of it makes."""

    def __init__(self, server: Server, catalog: Catalog, prelude: Sequence[str] = ()) -> None:
        self.server = server
        self.catalog = catalog
        self.prelude = [PreludeFile(f"prelude {number}", text) for number, text in enumerate(prelude, 1)]
        self.database = f"whole_{next(_numbers)}"
        self._snapshot: Snapshot | None = None
        self._reference: Reference | None = None
        self._whole: dict[str, list[str]] = {}
        target = server.create_database(self.database, template="template0")
        self.trace: Trace = trace(catalog, target, prelude=self.prelude).trace

    def close(self) -> None:
        self.server.drop_database(self.database)

    def slice(self, *tables: str, form: Form = "files") -> Slice:
        return slice_of(
            self.catalog, self.trace, select(self.catalog, self.trace, tables), tables=tables, form=form
        )

    def files(self, *tables: str) -> list[str]:
        """The versions of the files form."""
        return [migration.version for migration in self.slice(*tables).files]

    def statements(self, *tables: str) -> list[str]:
        """The texts of the statements form."""
        found = self.slice(*tables, form="statements")
        return [
            self.catalog.migrations[index].statements[number].text
            for index in found.migrations
            for number in found.statements(index)
        ]

    def difference(self, table: str, form: Form) -> str:
        """Where pg_dump says something else of the table after its slice than after the whole; or nothing."""
        return self.difference_of(self.slice(table, form=form), table)

    def proof(self, table: str, form: Form) -> Proof:
        """The table's slice as a proof leaves it: widened where it has to be."""
        units = select(self.catalog, self.trace, [table])
        settings = self.catalog.settings
        with Prover(
            self.server,
            prelude=self.prelude,
            settings=settings,
            snapshot=self.snapshot(),
            reference=self._reference,
        ) as prover:
            found = prove(prover, self.catalog, self.trace, units, form)
            self._reference = prover.reference_for(self.catalog)
        return found

    def difference_of(self, slice_: Slice, table: str) -> str:
        """Where pg_dump says something else of the table after this slice than after the whole."""
        name = f"slice_{next(_numbers)}"
        target = self.server.create_database(name, template="template0")
        try:
            self._make(slice_, target)
            if table not in self._whole:
                self._whole[table] = dump(self.server, self.database, table)
            return _first_difference(self._whole[table], dump(self.server, name, table))
        finally:
            self.server.drop_database(name)

    def assert_exact(self, *tables: str) -> None:
        """Each table comes out the same in each of the three forms."""
        for table in tables:
            for form in ("files", "statements", "objects"):
                assert self.difference(table, form) == "", (table, form)

    def rows_differ(self, table: str, form: Form) -> str:
        """Where a table's rows, or its own sequences, are others after its slice than after the whole."""
        return self._rows_differ(self.slice(table, form=form), table)

    def assert_same_rows(self, *tables: str) -> None:
        """Each table has the rows, and its sequences the positions, of the whole catalog, in each form."""
        for table in tables:
            for form in FORMS:
                assert self.rows_differ(table, form) == "", (table, form)

    def _rows_differ(self, slice_: Slice, table: str) -> str:
        name = f"slice_{next(_numbers)}"
        target = self.server.create_database(name, template="template0")
        try:
            self._make(slice_, target)
            whole = dump(self.server, self.database, table, "--data-only", "--inserts")
            return _first_difference(whole, dump(self.server, name, table, "--data-only", "--inserts"))
        finally:
            self.server.drop_database(name)

    def _make(self, slice_: Slice, target: Target) -> None:
        settings = self.catalog.settings
        with target.connect(settings=settings, autocommit=True, prepare_threshold=None) as connection:
            if slice_.form != "objects":
                replay(slice_, connection, prelude=self.prelude)
                return
            run_prelude(connection, self.prelude)
            with connection.transaction():
                connection.execute(self._script_of(slice_).encode())

    def script(self, *tables: str) -> str:
        """The SQL of the objects form."""
        return self._script_of(self.slice(*tables, form="objects"))

    def snapshot(self) -> Snapshot:
        """The final DDL and rows of the whole catalog; taken once."""
        if self._snapshot is None and self.prelude:
            self._snapshot = take(self.server, self.catalog, self.prelude)
        elif self._snapshot is None:
            self._snapshot = take_from(self.server, self.database, self.catalog)
        return self._snapshot

    def _script_of(self, slice_: Slice) -> str:
        return script_of(slice_, self.snapshot())


@contextmanager
def court(
    server: Server,
    *sources: str,
    prelude: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
) -> Iterator[Court]:
    """Trace a catalog of these migrations, and hold court over its slices."""
    opened = Court(server, catalog_of(*sources, settings=settings), prelude)
    try:
        yield opened
    finally:
        opened.close()


def dump(server: Server, dbname: str, table: str, *options: str) -> list[str]:
    """pg_dump's words for one table, without comments and empty lines: its definition, or as ``options``
    say."""
    program = server.installation.program("pg_dump")
    assert program is not None
    done = subprocess.run(
        [str(program), *(options or ["--schema-only"]), "--table", table, "--dbname", server.dsn(dbname)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    skip = ("--", "\\restrict", "\\unrestrict")
    return [line for line in done.stdout.splitlines() if line.strip() and not line.startswith(skip)]


def _first_difference(wanted: list[str], found: list[str]) -> str:
    for a, b in itertools.zip_longest(wanted, found):
        if a != b:
            return f"whole: {a}\nslice: {b}"
    return ""
