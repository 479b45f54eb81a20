"""The prover: makes slices on a server, and compares what comes out with what the whole catalog leaves.

Three things are compared for every required object: its definition, the rows of a table, and the position of
a sequence. Definitions are the trace's. Rows and positions are those of a replay of the whole catalog on the
same server (see ``row_digests``), done once.

Most slices are proved without a database of their own: the prover replays them in a transaction of a database
that it keeps, compares, and rolls back. Where that can't be, or where a slice fails so, it is replayed in a
new database, transaction by transaction, as it will be applied; only that failure counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import Snapshot, script_of
from pgslate.dump.kept_snapshot import snapshot_of
from pgslate.schema.compare import compare
from pgslate.schema.read import read
from pgslate.slices import failure
from pgslate.slices.failure import Failure
from pgslate.slices.replay import ReplayFailedError, fits_one_transaction, replay, replay_all, text_of
from pgslate.slices.row_digests import Reference, changing_between, read_outcome
from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server

_STATEMENTS_KEPT = 4000
"""Statements rolled back in one database before another takes its place, for they leave dead rows in its
system catalogs."""

_numbers = itertools.count(1)


class Prover:
    """Checks slices of one catalog on one server; the databases that it makes are dropped again.

    ``prelude`` is run once, in a template, in a session that begins with ``settings``. Roles that a slice
    makes are dropped after its proof, since a role is there for the whole server. ``snapshot`` is for the
    objects form; it is made if none is given. The same holds for ``reference``.
    """

    def __init__(
        self,
        server: Server,
        *,
        prelude: Sequence[PreludeFile] = (),
        settings: Mapping[str, str] | None = None,
        snapshot: Snapshot | None = None,
        reference: Reference | None = None,
    ) -> None:
        self.server = server
        self.reference = reference
        self._settings = settings
        self._prelude = prelude
        self.snapshot = snapshot
        self._admin = server.target().connect(autocommit=True)
        self._roles = self._all_roles()
        self._template = "template0"
        self._kept: psycopg.Connection[Any] | None = None
        self._rolled_back = 0
        self._may_roll_back = True
        if prelude:
            self._make_template()

    def close(self) -> None:
        self._close_kept()
        if self._prelude:
            self.server.drop_database(self._template)
        self._drop_roles()
        self._admin.close()

    def __enter__(self) -> Prover:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, attempt: Slice) -> Failure | None:
        """Make the slice and compare; None if it holds.

        Where rows came out otherwise, the whole catalog is replayed once more: what it leaves otherwise this
        time hangs on time or chance, and is not compared.
        """
        failed = self._check(attempt)
        if failed is not None and failed.of_rows:
            known = self.reference_for(attempt.catalog)
            self.reference = self._replay_again(attempt.catalog, known)
            if self.reference.changing != known.changing:
                failed = self._check(attempt)
        return failed

    def reference_for(self, catalog: Catalog) -> Reference:
        """What slices of the catalog are compared with: rows and positions, from two replays of all of it."""
        if self.reference is None:
            self._close_kept()  # the catalog may make roles that own something
            with self._database() as connection:
                replay_all(catalog, connection)
                first = Reference(everything=read_outcome(connection))
            self.reference = self._replay_again(catalog, first)
        return self.reference

    def _replay_again(self, catalog: Catalog, before: Reference) -> Reference:
        self._close_kept()
        with self._database() as connection:
            replay_all(catalog, connection)
            everything = read_outcome(connection)
            changing = changing_between(before.everything, everything, before.changing)
            outcome = read_outcome(connection, None, changing) if changing else everything
        return Reference(outcome, changing, everything)

    def _check(self, attempt: Slice) -> Failure | None:
        self.reference_for(attempt.catalog)
        if self._may_roll_back and (attempt.form == "objects" or fits_one_transaction(attempt)):
            if self._holds_in_a_transaction(attempt):
                return None
            self._close_kept()  # its session is as the failure left it
        with self._database() as connection:
            try:
                self._run(attempt, connection)
            except ReplayFailedError as failed:
                return failure.of_statement(attempt, failed)
            except psycopg.Error as error:
                return failure.of_script(attempt, error)
            return self._differs(attempt, connection)

    # -- in a transaction that is rolled back

    def _holds_in_a_transaction(self, attempt: Slice) -> bool:
        connection = self._kept_connection()
        text = self._script(attempt) if attempt.form == "objects" else text_of(attempt)
        self._rolled_back += len(attempt.effects)
        try:
            with connection.transaction(force_rollback=True):
                connection.execute(text.encode(), prepare=False)
                return self._differs(attempt, connection) is None
        except psycopg.Error:
            return False

    def _kept_connection(self) -> psycopg.Connection[Any]:
        if self._rolled_back > _STATEMENTS_KEPT:
            self._close_kept()
        if self._kept is None:
            name = f"pgslate_proof_{next(_numbers)}"
            self.server.create_database(name, template=self._template)
            self._rolled_back = 0
            self._kept = self.server.target(name).connect(
                settings=self._settings, autocommit=True, prepare_threshold=None
            )
        return self._kept

    def _close_kept(self) -> None:
        if self._kept is not None:
            name = self._kept.info.dbname
            self._kept.close()
            self._kept = None
            self.server.drop_database(name)

    # -- in a database of its own

    @contextmanager
    def _database(self) -> Iterator[psycopg.Connection[Any]]:
        """A session in a new database, after the prelude; the database and the roles made in it go again."""
        name = f"pgslate_proof_{next(_numbers)}"
        self.server.create_database(name, template=self._template)
        try:
            with self.server.target(name).connect(
                settings=self._settings, autocommit=True, prepare_threshold=None
            ) as connection:
                yield connection
        finally:
            self.server.drop_database(name)
            self._drop_roles()

    def _run(self, attempt: Slice, connection: psycopg.Connection[Any]) -> None:
        if attempt.form != "objects":
            replay(attempt, connection)
            return
        with connection.transaction():
            connection.execute(self._script(attempt).encode(), prepare=False)

    def _script(self, attempt: Slice) -> str:
        if self.snapshot is None:
            self.snapshot = snapshot_of(attempt.catalog, prelude=self._prelude, major=self.server.major)
        return script_of(attempt, self.snapshot)

    def _differs(self, attempt: Slice, connection: psycopg.Connection[Any]) -> Failure | None:
        differences = compare(attempt.expected, read(connection, within=attempt.required_names))
        if differences:
            return failure.of_definitions(attempt, differences)
        names = attempt.required_names
        reference = self.reference_for(attempt.catalog)
        found = read_outcome(connection, names, reference.changing)
        wrong = reference.difference(found, names)
        return None if wrong is None else failure.of_rows(attempt, *wrong)

    # -- what is there for all databases

    def _make_template(self) -> None:
        self._template = f"pgslate_prelude_{next(_numbers)}"
        self.server.create_database(self._template, template="template0")
        with self.server.target(self._template).connect(
            settings=self._settings, autocommit=True
        ) as connection:
            run_prelude(connection, self._prelude)
            # What a sequence has given out is not rolled back.
            found = connection.execute("SELECT EXISTS (SELECT FROM pg_catalog.pg_sequence)").fetchone()
            self._may_roll_back = found == (False,)
        self._roles = self._all_roles()

    def _all_roles(self) -> frozenset[str]:
        return frozenset(row[0] for row in self._admin.execute("SELECT rolname FROM pg_catalog.pg_roles"))

    def _drop_roles(self) -> None:
        for role in sorted(self._all_roles() - self._roles):
            self._admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
