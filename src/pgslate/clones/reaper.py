"""The reaper: drops what runners that are gone left on a server, and nothing that isn't ours.

A database is ours if its name is one of ``names`` and the role owns it. A clone is dropped when its runner no
longer holds its lock, its lease is over, and nobody is connected to it; one that the book doesn't know, when
its own name says that it is older than a lease. A template is dropped when it was not used for a day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from pgslate.clones import database_names
from pgslate.clones.database_copy import drop
from pgslate.clones.other_registries import claim, needed_elsewhere
from pgslate.clones.registry import IS_DUE, Book
from pgslate.clones.template import drop_template
from pgslate.errors import LockTimeoutError
from pgslate.targets.target import Target

UNUSED_FOR = 24 * 3600.0
"""Seconds without use after which a template is dropped."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """The names of what was dropped; ``in_use`` was due, but somebody is connected to it."""

    clones: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    in_use: tuple[str, ...] = ()

    def as_json(self) -> dict[str, list[str]]:
        """For programs."""
        return {
            "clones": list(self.clones),
            "templates": list(self.templates),
            "in_use": list(self.in_use),
        }


def reap(
    server: Target, *, unused_for: float = UNUSED_FOR, kept: bool = False, force: bool = False
) -> Reaped:
    """Drop what nobody needs any more from a server; as ``reap_in``."""
    book = Book(server, application="pgslate reap")
    try:
        return reap_in(book, unused_for=unused_for, kept=kept, force=force)
    finally:
        book.close()


def reap_in(
    book: Book,
    *,
    unused_for: float = UNUSED_FOR,
    kept: bool = False,
    force: bool = False,
    timeout: float = 60.0,
) -> Reaped:
    """Drop what nobody needs any more.

    ``unused_for``: seconds after which a template that nobody used is dropped. ``kept``: also drop clones
    that were kept to be looked into. ``force``: also clones whose lease is not over, and those that somebody
    is connected to, as long as no runner of theirs is there. ``timeout``: seconds to wait for another reaper;
    raises LockTimeoutError after that.
    """
    dropped: list[str] = []
    in_use: list[str] = []
    templates: list[str] = []
    with book.exclusively("reaper", timeout=timeout) as connection:
        needed = needed_elsewhere(connection, unused_for=unused_for, kept=kept, force=force)
        for name in _due(connection, book.lease, kept=kept, force=force):
            if name in needed:
                continue
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
        _adopt(connection)
        for (name,) in connection.execute(_TEMPLATES, [database_names.TEMPLATES, unused_for]).fetchall():
            if name in needed:
                continue
            try:
                if drop_template(book, name, unless_used_for=unused_for):
                    templates.append(name)
            except (LockTimeoutError, psycopg.errors.ObjectInUse):
                in_use.append(name)
        connection.execute(_FORGET)
        connection.execute(_FORGET_FRESH)
    return Reaped(tuple(dropped), tuple(templates), tuple(in_use))


def _due(connection: psycopg.Connection[Any], lease: float, *, kept: bool, force: bool) -> list[str]:
    """The clones that are nobody's, in the book and out of it, oldest first."""
    known = connection.execute(_KNOWN.encode(), {"kept": kept, "force": force}, prepare=False).fetchall()
    unknown = connection.execute(_UNKNOWN, {"clones": database_names.CLONES}, prepare=False).fetchall()
    found = [row[0] for row in known]
    for name, now, began in unknown:
        made = database_names.parse(name)
        # A book that was just emptied by a crash gives its runners a lease to come back; it begins with the
        # first of them, and till then it begins now.
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
    """See once more that it is nobody's, and make it ours to drop: it may have been taken meanwhile."""
    there = connection.execute("SELECT state FROM clone WHERE name = %s", [name]).fetchone()
    if there is None:
        return claim(connection, name, kept=kept, force=force)
    row = connection.execute(_CLAIM.encode(), {"name": name, "kept": kept, "force": force}).fetchone()
    return row is not None


def _adopt(connection: psycopg.Connection[Any]) -> None:
    """Templates that a crash made the book forget count as used now."""
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

# Row security hides the rows of other roles, whose databases are theirs to reap.
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

_FORGET_FRESH = """
DELETE FROM fresh WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.oid::int8 = fresh.origin)"""
