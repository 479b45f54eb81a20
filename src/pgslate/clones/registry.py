"""The registry: a small database on the server itself that records what each database for tests is used for.

It holds everything that more than one runner has to know, so that runners on different machines can share a
server. Its tables are unlogged: a crash of the server empties them, and then nothing that was made before is
trusted. Row security shows each role only its own rows.

A clone belongs to its runner while the runner holds its advisory lock or until the lease is over, whichever
is later. A paused process keeps its lock; one whose connection broke has the lease to come back.

``clone.own`` is the OID of the clone's database, ``clone.origin`` the OID of its template, and
``clone.counted`` the moment from which the server's counters cover it (see ``reuse``). After a crash the
origin of a clone is unknown, and the clone is not reused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from pgslate.clones import database_names
from pgslate.clones.database_properties import COLUMNS, Properties, properties_of
from pgslate.clones.registry_connection import RegistryConnection
from pgslate.clones.reuse import TemplateState

STATES = ("making", "ready", "taken", "returning", "kept", "done")
"""The states of a clone, in the order in which it goes through them."""

_RUNNER_IS_ALIVE = """EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted
    AND l.objsubid = 1 AND (l.classid::int8 << 32) | l.objid::int8 = clone.runner
    AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))"""
# Put together from constants of ours, no values among them.
IS_DUE = f"""((NOT {_RUNNER_IS_ALIVE}) AND (%(kept)s OR state <> 'kept')
    AND (%(force)s OR state = 'kept' OR until < clock_timestamp()))"""
"""An SQL condition: a row of ``clone`` may be dropped. Its parameters are arguments of ``reap_in``."""


@dataclass(frozen=True, slots=True)
class CloneRow:
    """A row of the table ``clone``; ``purpose`` says in words who uses it and for what."""

    name: str
    template: str
    state: str
    purpose: str
    until: datetime


@dataclass(frozen=True, slots=True)
class ReturnedClone:
    """A clone that is being reset: its new name, its OID, its template's name and OID, and the moment from
    which the counters cover it."""

    name: str
    own: int
    template: str
    origin: int
    counted: datetime | None


@dataclass(frozen=True, slots=True)
class BegunClone:
    """A clone that is to be copied now, and the server's time. ``properties`` are its template's; None means
    that a ready clone was taken instead and nothing is to be copied."""

    name: str
    now: datetime
    properties: Properties | None


class Registry(RegistryConnection):
    """The registry, as one runner reads and writes it."""

    def _after_reconnect(self, connection: psycopg.Connection[Any]) -> None:
        """Give this runner's clones back to it, and mark everything else that it made to be dropped."""
        with connection.transaction():
            connection.execute("UPDATE clone SET state = 'done' WHERE runner = %s", [self.runner])
            for name, (template, state, purpose) in list(self._held.items()):
                connection.execute(_HOLD, [name, template, state, self.runner, self.lease, purpose])

    # -- templates

    def mark_template_used(self, name: str, tables: str, form: str) -> None:
        """Record that a template exists and is used now."""
        self.run(
            lambda c: c.execute(
                "INSERT INTO template (name, tables, form) VALUES (%s, %s, %s)"
                " ON CONFLICT (name) DO UPDATE SET used = clock_timestamp(), form = excluded.form",
                [name, tables, form],
            )
        )

    def form_of_template(self, name: str) -> str | None:
        """The form in which a template was made; None if the registry doesn't know."""
        row = self.run(lambda c: c.execute("SELECT form FROM template WHERE name = %s", [name]).fetchone())
        return None if row is None else str(row[0]) or None

    def template_state(self, origin: int, connection: psycopg.Connection[Any]) -> TemplateState | None:
        """The recorded state of new copies of the template with that OID, if any runner has read it."""
        row = connection.execute("SELECT state FROM template_state WHERE origin = %s", [origin]).fetchone()
        return None if row is None else TemplateState.of_json(row[0])

    def save_template_state(
        self, origin: int, state: TemplateState, connection: psycopg.Connection[Any]
    ) -> None:
        """Record the state of new copies of a template."""
        connection.execute(
            "INSERT INTO template_state (origin, state) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [origin, Jsonb(state.as_json())],
        )

    # -- a clone, from its beginning to its end

    def begin(
        self,
        template: str,
        connection: psycopg.Connection[Any],
        *,
        state: str = "making",
        purpose: str = "",
    ) -> BegunClone | None:
        """Record a clone before it is copied. Returns None if the template is gone or no longer sealed.

        With the state ``taken`` somebody waits for it; then a ready clone is taken if there is one.
        """
        values = {
            "prefix": database_names.clone_prefix(template),
            "template": template,
            "state": state,
            "runner": self.runner,
            "lease": self.lease,
            "purpose": purpose,
        }
        row = connection.execute(_BEGIN, values).fetchone()
        if row is None:
            return None
        name, now, is_ready, *columns = row
        return BegunClone(name, now, None if is_ready else properties_of(*columns))

    def record_origin(self, name: str, origin: int, connection: psycopg.Connection[Any]) -> None:
        """Record that a clone is a copy of the template with that OID, unless the template was replaced."""
        connection.execute(
            "UPDATE clone SET"
            " own = (SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = clone.name),"
            " origin = (SELECT oid::int8 FROM pg_catalog.pg_database"
            " WHERE datname = clone.template AND oid::int8 = %s) WHERE name = %s",
            [origin, name],
        )

    def mark_ready(self, name: str, connection: psycopg.Connection[Any]) -> None:
        """A clone is complete, and any runner may take it."""
        connection.execute(
            "UPDATE clone SET state = 'ready', until = clock_timestamp() + %s * interval '1 second'"
            " WHERE name = %s AND state = 'making'",
            [self.lease, name],
        )

    def take(self, template: str, purpose: str) -> tuple[str, datetime] | None:
        """Take the oldest ready clone of a template. Returns its name and the server's time, or None."""
        values = {"runner": self.runner, "lease": self.lease, "purpose": purpose, "template": template}
        statement = _TAKE + " RETURNING name, clock_timestamp()"
        row = self.run(lambda c: c.execute(statement.encode(), values).fetchone())
        if row is None:
            return None
        self._held[row[0]] = (template, "taken", purpose)
        return row[0], row[1]

    def hold(self, name: str, template: str, purpose: str) -> None:
        """Remember in this process that a clone is ours, to record it again after a crash of the server."""
        self._held[name] = (template, "taken", purpose)

    def keep(self, name: str, purpose: str) -> None:
        """Keep a clone for people to look into, without a time limit."""
        template = self._held.pop(name, (name.rpartition("_")[0], "", ""))[0]
        self.run(lambda c: c.execute(_HOLD, [name, template, "kept", 0, self.lease, purpose]))

    def hand_over(self, name: str, seconds: float, purpose: str) -> None:
        """Lease a clone for so many seconds to somebody outside of this process, which may end."""
        template = self._held.pop(name, (name.rpartition("_")[0], "", ""))[0]
        self.run(lambda c: c.execute(_HOLD, [name, template, "taken", 0, seconds, purpose]))

    def adopt(self, name: str) -> None:
        """Make a clone without a runner this runner's, which will drop it."""
        self.run(lambda c: c.execute("UPDATE clone SET runner = %s WHERE name = %s", [self.runner, name]))

    def mark_done(self, name: str) -> None:
        """Nobody needs a clone any more; its runner or the reaper will drop it."""
        self._held.pop(name, None)
        self.run(lambda c: c.execute("UPDATE clone SET state = 'done' WHERE name = %s", [name]))

    def forget(self, name: str, connection: psycopg.Connection[Any]) -> None:
        """Delete the row of a clone that was dropped or never made."""
        connection.execute("DELETE FROM clone WHERE name = %s", [name])

    def renew(self) -> None:
        """Extend the lease of everything that is this runner's."""
        self.run(
            lambda c: c.execute(
                "UPDATE clone SET until = clock_timestamp() + %s * interval '1 second' WHERE runner = %s",
                [self.lease, self.runner],
            )
        )

    # -- reuse

    def mark_returning(self, name: str) -> None:
        """Nobody needs a clone any more, and it will be reset for the next test."""
        self._held.pop(name, None)
        self.run(lambda c: c.execute("UPDATE clone SET state = 'returning' WHERE name = %s", [name]))

    def new_name(self, name: str, connection: psycopg.Connection[Any]) -> ReturnedClone | None:
        """Record a new name for a clone that will be reset, before the clone has that name.

        Returns None if the clone's origin is unknown, or if a transaction is prepared in it, because the
        rename would wait 5 s for that.
        """
        row = connection.execute(_NEW_NAME, [self.runner, self.lease, name]).fetchone()
        return None if row is None else ReturnedClone(*row)

    def mark_reset(self, name: str, connection: psycopg.Connection[Any]) -> bool:
        """A clone was reset, and any runner may take it. Returns False if the registry has forgotten it."""
        row = connection.execute(
            "UPDATE clone SET state = 'ready', until = clock_timestamp() + %s * interval '1 second',"
            " counted = (SELECT pg_catalog.pg_stat_get_db_stat_reset_time(oid) FROM pg_catalog.pg_database"
            " WHERE datname = clone.name)"
            " WHERE name = %s AND state = 'returning' AND origin IS NOT NULL RETURNING name",
            [self.lease, name],
        ).fetchone()
        return row is not None

    def abandon_reset(self, names: list[str]) -> None:
        """Mark a clone that has one of these names to be dropped, and delete the rows of the other names."""
        self.run(lambda c: c.execute(_ABANDON_RESET, {"names": names}))

    # -- questions

    def clones(self, *states: str) -> list[CloneRow]:
        """The clones in those states, oldest first."""
        rows = self.run(
            lambda c: c.execute(
                "SELECT name, template, state, purpose, until FROM clone WHERE state = ANY(%s) ORDER BY name",
                [list(states)],
            ).fetchall()
        )
        return [CloneRow(*row) for row in sorted(rows, key=lambda row: row[0].rpartition("_")[2])]


_NEW_NAME = f"""
INSERT INTO clone (name, template, state, runner, until, own, origin, counted)
SELECT template || '_' || {database_names.NEW_UUID7}, template, 'returning', %s,
    clock_timestamp() + %s * interval '1 second', own, origin, counted
FROM clone WHERE name = %s AND state = 'returning' AND origin IS NOT NULL
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p WHERE p.database = clone.name)
RETURNING name, own, template, origin, counted"""  # noqa: S608

_ABANDON_RESET = """
WITH absent AS (
    DELETE FROM clone WHERE name = ANY(%(names)s)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = clone.name) RETURNING name)
UPDATE clone SET state = 'done' WHERE name = ANY(%(names)s) AND name NOT IN (SELECT name FROM absent)"""

_HOLD = """
INSERT INTO clone (name, template, state, runner, until, purpose)
VALUES (%s, %s, %s, %s, clock_timestamp() + %s * interval '1 second', %s)
ON CONFLICT (name) DO UPDATE SET state = excluded.state, runner = excluded.runner,
    until = excluded.until, purpose = excluded.purpose"""

_TAKE = """
UPDATE clone SET state = 'taken', runner = %(runner)s, purpose = %(purpose)s,
    until = clock_timestamp() + %(lease)s * interval '1 second'
WHERE name = (SELECT name FROM clone WHERE template = %(template)s AND state = 'ready' AND role = current_user
              ORDER BY name LIMIT 1 FOR UPDATE SKIP LOCKED)"""

# Put together from constants of ours around values.
_BEGIN = f"""
WITH taken AS ({_TAKE} AND %(state)s = 'taken' RETURNING name),
origin AS (SELECT {COLUMNS} FROM pg_catalog.pg_database d WHERE datname = %(template)s),
begun AS (
    INSERT INTO clone (name, template, state, runner, until, purpose)
    SELECT %(prefix)s || {database_names.NEW_UUID7}, %(template)s, %(state)s, %(runner)s,
        clock_timestamp() + %(lease)s * interval '1 second', %(purpose)s
    FROM origin WHERE is_sealed AND NOT EXISTS (SELECT FROM taken) RETURNING name)
SELECT name, clock_timestamp(), true, NULL, NULL, NULL, NULL FROM taken
UNION ALL
SELECT name, clock_timestamp(), false, is_sealed, origin_oid, settings, grants FROM begun, origin"""  # noqa: S608
