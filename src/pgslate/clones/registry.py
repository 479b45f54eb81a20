"""The book: a small database on the server itself, which says what every database of ours is there for.

Everything that more than one runner has to know is here, so that runners on different machines can share a
server. Its tables are unlogged: after a crash of the server they are empty, and nothing made before is
trusted. Each role has its own rows, and sees no others (row security).

A runner holds an advisory lock with its number while its connection stands. A clone is somebody's while that
lock is held, or until its lease is over, whichever is later: a paused runner keeps the lock, one behind a
broken connection has the lease to come back.

A clone's ``own`` is the OID of its database, ``origin`` that of the template that it is a copy of, and
``counted`` since when the server's counters tell what was done in it (see ``reuse``). One whose origin isn't
known, since the book was lost meanwhile, is never reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from pgslate.clones import database_names
from pgslate.clones.properties import COLUMNS, Properties, properties_of
from pgslate.clones.reuse import Fresh
from pgslate.clones.runner import Runner

_RUNNER_IS_ALIVE = """EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted
    AND l.objsubid = 1 AND (l.classid::int8 << 32) | l.objid::int8 = clone.runner
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))"""
# Put together from constants of ours, no values among them.
IS_DUE = f"""((NOT {_RUNNER_IS_ALIVE}) AND (%(kept)s OR state <> 'kept')
    AND (%(force)s OR state = 'kept' OR until < clock_timestamp()))"""
"""Whether a row of ``clone`` is nobody's any more, as an SQL expression; with ``reap_in``'s arguments."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A row of the book about one clone; ``what`` is what it is used for, in words."""

    name: str
    template: str
    state: str
    what: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Returned:
    """A clone that was given back: its new name and its own OID, its template and that one's OID, and since
    when its counters count."""

    name: str
    own: int
    template: str
    origin: int
    counted: datetime | None


@dataclass(frozen=True, slots=True)
class Begun:
    """A clone that is to be made now, and the server's time; ``properties`` are its template's, None where
    the clone was ready."""

    name: str
    now: datetime
    properties: Properties | None


class Book(Runner):
    """The book, as one runner reads it and writes in it."""

    def _opened(self, connection: psycopg.Connection[Any]) -> None:
        """After the server went away: our clones are ours again, and nothing else is."""
        with connection.transaction():
            connection.execute("UPDATE clone SET state = 'done' WHERE runner = %s", [self.runner])
            for name, (template, state, what) in list(self._held.items()):
                connection.execute(_HOLD, [name, template, state, self.runner, self.lease, what])

    # -- templates

    def template_is_used(self, name: str, tables: str, form: str) -> None:
        """Write down that a template is there, and is used now."""
        self.run(
            lambda c: c.execute(
                "INSERT INTO template (name, tables, form) VALUES (%s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET used = clock_timestamp()",
                [name, tables, form],
            )
        )

    # -- clones

    def begin(
        self,
        template: str,
        connection: psycopg.Connection[Any],
        *,
        state: str = "making",
        what: str = "",
    ) -> Begun | None:
        """A clone that is about to be made, written down before it is there; None where its template isn't
        there, or not sealed.

        It is ``taken`` if it is for somebody who waits; then one that is ready is taken instead.
        """
        values = {
            "prefix": database_names.clone_prefix(template),
            "template": template,
            "state": state,
            "runner": self.runner,
            "lease": self.lease,
            "what": what,
        }
        row = connection.execute(_BEGIN, values).fetchone()
        if row is None:
            return None
        name, now, is_ready, *told = row
        return Begun(name, now, None if is_ready else properties_of(*told))

    def made(self, name: str, connection: psycopg.Connection[Any] | None = None) -> None:
        """A clone is complete, and anybody's to take."""
        self._do(
            "UPDATE clone SET state = 'ready', until = clock_timestamp() + %s * interval '1 second'"
            " WHERE name = %s AND state = 'making' RETURNING name",
            [self.lease, name],
            connection,
        )

    def copied(self, name: str, origin: int, connection: psycopg.Connection[Any]) -> None:
        """A clone is a copy of the template with that OID, if it still is: none came between."""
        connection.execute(
            "UPDATE clone SET"
            " own = (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = clone.name),"
            " origin = (SELECT oid::int8 FROM pg_catalog.pg_database"
            " WHERE datname = clone.template AND oid::int8 = %s) WHERE name = %s",
            [origin, name],
        )

    def take(self, template: str, what: str) -> tuple[str, datetime] | None:
        """Take the oldest ready clone of a template; its name and the server's time, or None."""
        values = {"runner": self.runner, "lease": self.lease, "what": what, "template": template}
        statement = _TAKE + " RETURNING name, clock_timestamp()"
        row = self.run(lambda c: c.execute(statement.encode(), values).fetchone())
        if row is None:
            return None
        self._held[row[0]] = (template, "taken", what)
        return row[0], row[1]

    def hold(self, name: str, template: str, what: str) -> None:
        """A clone that was begun as ``taken`` is complete, and this runner's, whatever the book forgets."""
        self._held[name] = (template, "taken", what)

    def keep(self, name: str, what: str) -> None:
        """A clone stays, for somebody to look into, however long that takes."""
        template = self._held.pop(name, (name.rpartition("_")[0], "", ""))[0]
        self.run(lambda c: c.execute(_HOLD, [name, template, "kept", 0, self.lease, what]))

    def lend(self, name: str, seconds: float, what: str) -> None:
        """A clone is given away for so long; its runner may end."""
        template = self._held.pop(name, (name.rpartition("_")[0], "", ""))[0]
        self.run(lambda c: c.execute(_HOLD, [name, template, "taken", 0, seconds, what]))

    def adopt(self, name: str) -> None:
        """A clone that was nobody's is this runner's, to be dropped."""
        self.run(lambda c: c.execute("UPDATE clone SET runner = %s WHERE name = %s", [self.runner, name]))

    def done_with(self, name: str) -> None:
        """Nobody needs the clone any more; it will be dropped, by its runner or by another."""
        self._held.pop(name, None)
        self.run(lambda c: c.execute("UPDATE clone SET state = 'done' WHERE name = %s", [name]))

    def not_returned(self, called: list[str]) -> None:
        """A clone that was returning is to be dropped, by whichever name it has; the others are forgotten."""
        self.run(lambda c: c.execute(_NOT_RETURNED, {"called": called}))

    def returns(self, name: str) -> None:
        """Nobody needs the clone any more; it may be reused."""
        self._held.pop(name, None)
        self.run(lambda c: c.execute("UPDATE clone SET state = 'returning' WHERE name = %s", [name]))

    def new_name(self, name: str, connection: psycopg.Connection[Any]) -> Returned | None:
        """Another name for a clone that may be reused, written down before the clone has it.

        None where the book doesn't know the clone well enough, or a transaction is prepared in it: a rename
        would wait for that, 5 s.
        """
        row = connection.execute(_NEW_NAME, [self.runner, self.lease, name]).fetchone()
        return None if row is None else Returned(*row)

    def reusable(self, name: str, connection: psycopg.Connection[Any]) -> bool:
        """A clone is as when it was new, and anybody's to take; False where the book forgot it meanwhile."""
        row = connection.execute(
            "UPDATE clone SET state = 'ready', until = clock_timestamp() + %s * interval '1 second',"
            " counted = (SELECT pg_catalog.pg_stat_get_db_stat_reset_time(oid) FROM pg_catalog.pg_database"
            " WHERE datname = clone.name)"
            " WHERE name = %s AND state = 'returning' AND origin IS NOT NULL RETURNING name",
            [self.lease, name],
        ).fetchone()
        return row is not None

    def fresh(self, origin: int, connection: psycopg.Connection[Any]) -> Fresh | None:
        """What a new copy of the template with that OID is like, if anybody has looked."""
        row = connection.execute("SELECT said FROM fresh WHERE origin = %s", [origin]).fetchone()
        return None if row is None else Fresh.of_json(row[0])

    def remember(self, origin: int, fresh: Fresh, connection: psycopg.Connection[Any]) -> None:
        """Write down what a new copy of a template is like."""
        connection.execute(
            "INSERT INTO fresh (origin, said) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [origin, Jsonb(fresh.as_json())],
        )

    def gone(self, name: str, connection: psycopg.Connection[Any] | None = None) -> None:
        """The database was dropped, or was never made."""
        self._do("DELETE FROM clone WHERE name = %s RETURNING name", [name], connection)

    def renew(self) -> None:
        """A sign of life: what is this runner's stays its own for another lease."""
        self.run(
            lambda c: c.execute(
                "UPDATE clone SET until = clock_timestamp() + %s * interval '1 second' WHERE runner = %s",
                [self.lease, self.runner],
            )
        )

    def ready(self, template: str, connection: psycopg.Connection[Any] | None = None) -> int:
        """How many clones of a template are ready, or about to be."""
        row = self._do(
            "SELECT count(*) FROM clone WHERE template = %s AND state IN ('making', 'ready')",
            [template],
            connection,
        )
        assert row is not None
        return int(row[0])

    def standing(self, *states: str) -> list[Standing]:
        """The clones in those states, oldest first."""
        rows = self.run(
            lambda c: c.execute(
                "SELECT name, template, state, what, until FROM clone WHERE state = ANY(%s) ORDER BY name",
                [list(states)],
            ).fetchall()
        )
        return [Standing(*row) for row in sorted(rows, key=lambda row: row[0].rpartition("_")[2])]

    def _do(
        self, statement: str, values: list[Any], connection: psycopg.Connection[Any] | None
    ) -> tuple[Any, ...] | None:
        if connection is not None:
            row: tuple[Any, ...] | None = connection.execute(statement.encode(), values).fetchone()
            return row
        found: tuple[Any, ...] | None = self.run(lambda c: c.execute(statement.encode(), values).fetchone())
        return found


_NEW_NAME = f"""
INSERT INTO clone (name, template, state, runner, until, own, origin, counted)
SELECT template || '_' || {database_names.NEW_UUID7}, template, 'returning', %s,
    clock_timestamp() + %s * interval '1 second', own, origin, counted
FROM clone WHERE name = %s AND state = 'returning' AND origin IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p WHERE p.database = clone.name)
RETURNING name, own, template, origin, counted"""  # noqa: S608

_NOT_RETURNED = """
WITH absent AS (
    DELETE FROM clone WHERE name = ANY(%(called)s)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = clone.name) RETURNING name)
UPDATE clone SET state = 'done' WHERE name = ANY(%(called)s) AND name NOT IN (SELECT name FROM absent)"""

_HOLD = """
INSERT INTO clone (name, template, state, runner, until, what)
VALUES (%s, %s, %s, %s, clock_timestamp() + %s * interval '1 second', %s)
ON CONFLICT (name) DO UPDATE SET state = excluded.state, runner = excluded.runner,
    until = excluded.until, what = excluded.what"""

_TAKE = """
UPDATE clone SET state = 'taken', runner = %(runner)s, what = %(what)s,
    until = clock_timestamp() + %(lease)s * interval '1 second'
WHERE name = (SELECT name FROM clone WHERE template = %(template)s AND state = 'ready' AND role = current_user
              ORDER BY name LIMIT 1 FOR UPDATE SKIP LOCKED)"""

# Put together from constants of ours around values.
_BEGIN = f"""
WITH taken AS ({_TAKE} AND %(state)s = 'taken' RETURNING name),
origin AS (SELECT {COLUMNS} FROM pg_catalog.pg_database d WHERE datname = %(template)s),
begun AS (
    INSERT INTO clone (name, template, state, runner, until, what)
    SELECT %(prefix)s || {database_names.NEW_UUID7}, %(template)s, %(state)s, %(runner)s,
        clock_timestamp() + %(lease)s * interval '1 second', %(what)s
    FROM origin WHERE is_sealed AND NOT EXISTS (SELECT FROM taken) RETURNING name)
SELECT name, clock_timestamp(), true, NULL, NULL, NULL, NULL FROM taken
UNION ALL
SELECT name, clock_timestamp(), false, is_sealed, origin_oid, settings, grants FROM begun, origin"""  # noqa: S608
