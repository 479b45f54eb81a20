"""The reaper: drops what runners that ended left on a server, and nothing that pgslate didn't make.

It only looks at databases whose name is one of ``database_names`` and that the role owns. It drops a clone
when its runner no longer holds its advisory lock, its lease is over and nobody is connected to it. A clone
that the registry doesn't know, such as one of an older version of pgslate, has one lease from the time in its
name. It drops a template that nobody has used for a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from pgslate.clones import database_names
from pgslate.clones.clone import drop
from pgslate.clones.registry import IS_DUE, Registry
from pgslate.clones.template import drop_template
from pgslate.errors import LockTimeoutError

UNUSED_FOR = 24 * 3600.0
"""Seconds without use after which a template is dropped."""


@dataclass(frozen=True, slots=True)
class ReapResult:
    """The names of the databases that were dropped, and of those that were due but are ``in_use``."""

    clones: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()

    def as_json(self) -> dict[str, list[str]]:
        """The names as JSON."""
        return {
            "clones": list(self.clones),
            "templates": list(self.templates),
            "in_use": list(self.in_use),
        }


def reap_in(
    registry: Registry,
    *,
    unused_for: float = UNUSED_FOR,
    kept: bool = False,
    force: bool = False,
    timeout: float = 60.0,
) -> ReapResult:
    """Drop what tests that ended left; wait ``timeout`` seconds for another reaper."""
    dropped: list[str] = []
    in_use: list[str] = []
    templates: list[str] = []
    with registry.exclusively("reaper", timeout=timeout) as connection:
        for name in _due(connection, registry.lease, kept=kept, force=force):
            if not force and _is_visited(connection, name):
                in_use.append(name)
                continue
            if not _claim(connection, name, kept=kept, force=force):
                continue
            if drop(connection, name, force=force):
                connection.execute("DELETE FROM clone WHERE name = %s", [name])
                dropped.append(name)
            else:
                in_use.append(name)
        _record_unknown_templates(connection)
        for (name,) in connection.execute(_TEMPLATES, [database_names.TEMPLATES, unused_for]).fetchall():
            try:
                if drop_template(registry, name, unless_used_for=unused_for):
                    templates.append(name)
            except (LockTimeoutError, psycopg.errors.ObjectInUse):
                in_use.append(name)
        connection.execute(_FORGET)
        connection.execute(_FORGET_STATES)
    return ReapResult(tuple(dropped), tuple(templates), tuple(in_use))


def _due(connection: psycopg.Connection[Any], lease: float, *, kept: bool, force: bool) -> list[str]:
    """The clones that belong to nobody, whether the registry knows them or not, oldest first."""
    known = connection.execute(_KNOWN.encode(), {"kept": kept, "force": force}, prepare=False).fetchall()
    unknown = connection.execute(_UNKNOWN, {"clones": database_names.CLONES}, prepare=False).fetchall()
    found = [row[0] for row in known]
    for name, now, began in unknown:
        made = database_names.parse(name)
        # After a crash the registry is empty. Runners then have one lease to record their clones again; it
        # begins when the first runner comes back.
        since = max(made.made, began) if made else now
        if force or (now - since).total_seconds() > lease:
            found.append(name)
    return sorted(found, key=lambda name: name.rpartition("_")[2])


def _is_visited(connection: psycopg.Connection[Any], name: str) -> bool:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE datname = %s)", [name]
    ).fetchone()
    return bool(row and row[0])


def _claim(connection: psycopg.Connection[Any], name: str, *, kept: bool, force: bool) -> bool:
    """Mark a clone to be dropped; return False if somebody has taken it meanwhile."""
    there = connection.execute("SELECT state FROM clone WHERE name = %s", [name]).fetchone()
    if there is None:
        return True
    row = connection.execute(_CLAIM.encode(), {"name": name, "kept": kept, "force": force}).fetchone()
    return row is not None


def _record_unknown_templates(connection: psycopg.Connection[Any]) -> None:
    """Record templates that the registry doesn't know, since a crash emptied it, as used now."""
    connection.execute(
        "INSERT INTO template (name, tables, form) SELECT datname, '', '' FROM pg_catalog.pg_database"
        " WHERE datname ~ %s AND datistemplate AND NOT datallowconn AND datname !~ '_building$'"
        " AND datdba = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)"
        " ON CONFLICT DO NOTHING",
        [database_names.TEMPLATES],
    )


# Put together from constants of ours, no values among them.
_CLAIM = f"UPDATE clone SET state = 'done' WHERE name = %(name)s AND {IS_DUE} RETURNING name"  # noqa: S608

_KNOWN = f"""SELECT name FROM clone WHERE pg_catalog.pg_has_role(role, 'USAGE') AND {IS_DUE}"""  # noqa: S608

# Row security hides the rows of other roles; those roles reap their databases themselves.
_IS_OURS = """(d.datdba = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
    OR pg_catalog.current_setting('is_superuser') = 'on')"""

_UNKNOWN = f"""
SELECT d.datname::text, clock_timestamp(), COALESCE((SELECT max(began) FROM life), clock_timestamp())
FROM pg_catalog.pg_database d
WHERE d.datname ~ %(clones)s AND {_IS_OURS}
    AND NOT EXISTS (SELECT FROM clone WHERE clone.name = d.datname)"""  # noqa: S608

_TEMPLATES = f"""
SELECT d.datname::text FROM pg_catalog.pg_database d LEFT JOIN template t ON t.name = d.datname
WHERE d.datname ~ %s AND {_IS_OURS}
    AND coalesce(t.used < clock_timestamp() - %s * interval '1 second', true)
ORDER BY d.datname"""  # noqa: S608

_FORGET = """
DELETE FROM clone WHERE state = 'done' AND until < clock_timestamp()
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname = clone.name)"""

_FORGET_STATES = """
DELETE FROM template_state WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_database d WHERE d.oid::int8 = template_state.origin)"""
