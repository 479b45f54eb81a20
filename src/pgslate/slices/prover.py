"""The prover: makes slices on a server, and compares what comes out with what the whole catalog leaves.

Three things are compared for every required object: its definition, the rows of a table, and the position of
a sequence. Definitions are the trace's. Rows and positions are those of a replay of the whole catalog on the
same server (see ``row_digests``), done once.

Most slices are proved without a database of their own, many in one transaction that is rolled back: see
``shared_replay``. A slice that can't be proved so is replayed in a new database, transaction by transaction,
as it will be applied; only that failure counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from typing import Any

import psycopg
from psycopg import sql

from pgslate.catalog.catalog import Catalog
from pgslate.catalog.prelude import PreludeFile, run_prelude
from pgslate.dump.definitions import Snapshot, script_of
from pgslate.dump.kept_snapshot import snapshot_of
from pgslate.errors import FormUnavailableError
from pgslate.schema.compare import compare
from pgslate.schema.read import read
from pgslate.slices import failure
from pgslate.slices.failure import Failure
from pgslate.slices.replay import ReplayFailedError, replay, replay_all
from pgslate.slices.row_digests import Reference, changing_between, read_outcome
from pgslate.slices.shared_replay import SharedReplay, fits
from pgslate.slices.slice import Slice
from pgslate.targets.embedded.server import Server

_TOGETHER = 40
"""Slices proved in one database before another takes its place: what is rolled back leaves dead rows in the
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
        self._may_roll_back = True
        if prelude:
            self._make_template()

    def close(self) -> None:
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
            with self._database() as connection:
                replay_all(catalog, connection)
                first = Reference(everything=read_outcome(connection))
            self.reference = self._replay_again(catalog, first)
        return self.reference

    def _replay_again(self, catalog: Catalog, before: Reference) -> Reference:
        with self._database() as connection:
            replay_all(catalog, connection)
            everything = read_outcome(connection)
            changing = changing_between(before.everything, everything, before.changing)
            outcome = read_outcome(connection, None, changing) if changing else everything
        return Reference(outcome, changing, everything)

    def _check(self, attempt: Slice) -> Failure | None:
        self.reference_for(attempt.catalog)
        with self._database() as connection:
            try:
                self._run(attempt, connection)
            except ReplayFailedError as failed:
                return failure.of_statement(attempt, failed)
            except psycopg.Error as error:
                return failure.of_script(attempt, error)
            return self._differs(attempt, connection)

    def holding(self, attempts: Sequence[Slice]) -> Iterator[bool]:
        """For each slice whether it was proved in a transaction that it shares with others.

        False says nothing of a slice but that it has to be checked by itself.
        """
        at = 0
        while at < len(attempts):
            together = list(takewhile(self._may_share, attempts[at : at + _TOGETHER]))
            if together:
                yield from self._sharing(together)
            else:
                yield False
            at += max(1, len(together))

    def _may_share(self, attempt: Slice) -> bool:
        return self._may_roll_back and (attempt.form == "objects" or fits(attempt))

    def _sharing(self, attempts: Sequence[Slice]) -> Iterator[bool]:
        self.reference_for(attempts[0].catalog)
        with self._database() as connection:
            if attempts[0].form != "objects":

                def holds(attempt: Slice) -> bool:
                    return self._differs(attempt, connection) is None

                yield from SharedReplay(attempts[0].catalog, connection).each(attempts, holds)
                return
            for attempt in attempts:
                try:
                    with connection.transaction(force_rollback=True):
                        connection.execute(self._script(attempt).encode(), prepare=False)
                        outcome = self._differs(attempt, connection) is None
                except psycopg.Error:
                    if connection.closed:
                        raise
                    outcome = False
                except FormUnavailableError:
                    outcome = False
                yield outcome

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
