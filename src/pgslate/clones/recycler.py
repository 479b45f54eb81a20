"""The recycler: resets a clone that a test gave back, proves that it is as new, and offers it under a new
name.

The clone is renamed first. So a program that still knows the old name can never reach the next test's data;
and the rename proves that no session is left, because PostgreSQL refuses it otherwise. Until then the
database takes no connections, so that a client that reconnects at once doesn't delay the rename. The registry
records each step before it is done, with the state ``returning``: if a process is killed, the reaper drops
the database. A clone is never ``ready`` before the proof.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pgslate.clones import database_names
from pgslate.clones.connections import end_sessions, wait_until_empty
from pgslate.clones.registry import Registry, ReturnedClone
from pgslate.clones.reuse import (
    SETTINGS,
    NotReusableError,
    TemplateState,
    read_database_state,
    read_template_state,
    require_unaltered,
    undo_changes,
)
from pgslate.clones.sealed_database import Step, no_step
from pgslate.errors import PgslateError
from pgslate.targets.target import options_of

#: Seconds that a session may take to leave. After that a new clone is quicker.
PATIENCE = 1.0

_CLOSE = sql.SQL("SET LOCAL statement_timeout = {patience}; ALTER DATABASE {name} ALLOW_CONNECTIONS false")

# In one transaction. A session that came just before the database was closed may not be visible yet, and
# PostgreSQL would wait 5 s for it to leave.
_RENAME = sql.SQL(
    "SET LOCAL statement_timeout = {patience}; ALTER DATABASE {before} RENAME TO {after};"
    " ALTER DATABASE {after} ALLOW_CONNECTIONS true"
)


class Recycler:
    """Resets clones; remembers the state of new copies of each template."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._states: dict[int, TemplateState] = {}

    def learn(self, connection: psycopg.Connection[Any], name: str, template: str, origin: int) -> None:
        """Read the state of a clone that nobody has used yet, if it is the first of its template.

        Args:
            connection: leads to the registry's database.
            name: the clone.
            template: its template.
            origin: the OID of the template.

        If the state can't be read, clones of this template are not reused.
        """
        if self._state_of(connection, origin) is not None:
            return
        try:
            database = read_database_state(connection, name, template=template, origin=origin)
            if database.hindrance:
                return
            with self._inside(name) as inside:
                state = read_template_state(inside, database.shape)
        except (NotReusableError, PgslateError):
            return
        except psycopg.Error:
            if not _is_usable(connection):
                raise
            return
        self._states[origin] = state
        self._registry.save_template_state(origin, state, connection)

    def reset(self, connection: psycopg.Connection[Any], name: str, *, step: Step = no_step) -> str:
        """Reset a clone that was given back, so that the next test can take it; return its new name.

        ``step`` receives the name of each step. Raises NotReusableError if the clone is to be dropped, and
        psycopg.Error if ``connection`` is lost; in both cases the registry has marked the clone to be
        dropped.
        """
        names = [name]  # the clone has one of these
        try:
            returned = self._new_name(connection, name, step)
            names.append(returned.name)
            self._empty(connection, name, step)
            self._rename(connection, name, returned, step)
            self._prove(connection, name, returned, step)
        except (NotReusableError, psycopg.Error, PgslateError) as error:
            is_lost = not _is_usable(connection)
            self._registry.abandon_reset(names)
            if is_lost or isinstance(error, NotReusableError):
                raise
            raise NotReusableError(str(error).strip()) from error
        return returned.name

    def _new_name(self, connection: psycopg.Connection[Any], name: str, step: Step) -> ReturnedClone:
        step("record")
        returned = self._registry.new_name(name, connection)
        if returned is None:
            raise NotReusableError("a transaction is prepared in it, or its template is unknown")
        return returned

    def _empty(self, connection: psycopg.Connection[Any], name: str, step: Step) -> None:
        step("end sessions")
        ended = end_sessions(connection, name)  # first: a session may hold a lock that closing waits for
        closed = _CLOSE.format(name=sql.Identifier(name), patience=int(PATIENCE * 1000))
        connection.execute(closed)
        ended += end_sessions(connection, name)
        if ended and not wait_until_empty(connection, name, at_most=PATIENCE):
            raise NotReusableError(f"a session is still in it, {PATIENCE:g} s after it was ended")

    def _rename(
        self, connection: psycopg.Connection[Any], name: str, returned: ReturnedClone, step: Step
    ) -> None:
        step("rename")
        before, after = sql.Identifier(name), sql.Identifier(returned.name)
        connection.execute(_RENAME.format(before=before, after=after, patience=int(PATIENCE * 1000)))
        step("forget")
        self._registry.forget(name, connection)

    def _prove(
        self, connection: psycopg.Connection[Any], name: str, returned: ReturnedClone, step: Step
    ) -> None:
        step("prove")
        state = self._state_of(connection, returned.origin)
        if state is None:
            raise NotReusableError("the state of a new copy of its template is unknown")
        database = read_database_state(
            connection, returned.name, template=returned.template, origin=returned.origin
        )
        old = database_names.parse(name)
        assert old is not None, "only clones are reset"
        require_unaltered(state, database, oid=returned.own, since=returned.counted, named=old.made)
        step("undo")
        with self._inside(returned.name) as inside:
            undo_changes(inside, state)
        step("ready")
        if not self._registry.mark_reset(returned.name, connection):
            raise NotReusableError("the registry has forgotten it")
        step("over")

    def _state_of(self, connection: psycopg.Connection[Any], origin: int) -> TemplateState | None:
        if origin not in self._states:
            found = self._registry.template_state(origin, connection)
            if found is None:
                return None
            self._states[origin] = found
        return self._states[origin]

    def _inside(self, name: str) -> psycopg.Connection[Any]:
        # As options, not as settings: a session for migrations reads pg_settings, which takes 3 ms.
        database = self._registry.server.with_dbname(name)
        options = f"{conninfo_to_dict(database.dsn).get('options') or ''} {options_of(SETTINGS)}".strip()
        return database.connect(options=options, autocommit=True, prepare_threshold=None)


def _is_usable(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True
