"""The facts about a server that cloning depends on, read in one query; and which of its settings are slow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from pgslate.errors import PrivilegeError

# Migrations may depend on these settings of a new session, so each template holds for one value of each.
_SETTINGS = (
    "TimeZone",
    "DateStyle",
    "IntervalStyle",
    "search_path",
    "default_tablespace",
    "default_table_access_method",
    "default_toast_compression",
    "default_text_search_config",
    "standard_conforming_strings",
)

#: How many commits are timed with each setting, and the difference in milliseconds that is worth a note.
_COMMITS, _WORTH_A_NOTE = 5, 0.3


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server, as one role sees it.

    Attributes:
        may_create: the role may create databases.
        durable: ``fsync`` is on.
        counts: counters can prove what a session did, and the role may read them (see ``reuse``).
        now: the time by the server's clock.
        locale: the locale of new databases.
        settings: the values of ``_SETTINGS`` in a new session.
        extensions: the version of each extension that CREATE EXTENSION would install.
    """

    major: int
    role: str
    may_create: bool
    durable: bool
    counts: bool
    now: datetime
    locale: str
    encoding: str
    settings: Mapping[str, str] = field(default_factory=dict)
    extensions: Mapping[str, str] = field(default_factory=dict)

    def require_createdb(self, label: str) -> None:
        """Raise PrivilegeError if the role may not make databases."""
        if not self.may_create:
            raise PrivilegeError(
                f"the role {self.role} may not create databases on {label}",
                fix=f'ALTER ROLE "{self.role}" CREATEDB; or, in pytest, use a schema for each test'
                " (--pgslate-isolation schema), also for transactions that are rolled back",
                right="CREATEDB",
                on=label,
            )


_FACTS = """
SELECT current_setting('server_version_num')::int / 10000, current_user::text,
    r.rolcreatedb OR r.rolsuper, current_setting('fsync')::bool,
    r.rolsuper AND current_setting('track_counts')::bool
        AND current_setting('server_version_num')::int >= 150000,
    now(),
    concat_ws(' ', d.datcollate, d.datctype, to_jsonb(d) ->> 'datlocprovider',
        coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale'),
        to_jsonb(d) ->> 'daticurules'),
    pg_encoding_to_char(d.encoding),
    (SELECT jsonb_object_agg(name, reset_val) FROM pg_catalog.pg_settings WHERE name = ANY(%(settings)s)),
    (SELECT jsonb_object_agg(name, default_version) FROM pg_catalog.pg_available_extensions)
FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
WHERE d.datname = 'template0' AND r.rolname = current_user"""


def facts_of(connection: psycopg.Connection[Any]) -> ServerFacts:
    """The facts of the server that ``connection`` leads to."""
    row = connection.execute(_FACTS, {"settings": list(_SETTINGS)}).fetchone()
    assert row is not None, "template0 and the current role exist on every server"
    major, role, may_create, durable, counts, now, locale, encoding, settings, extensions = row
    return ServerFacts(
        major,
        role,
        may_create,
        durable,
        counts,
        now,
        locale,
        encoding,
        settings or {},
        extensions or {},
    )


def slow_settings(connection: psycopg.Connection[Any], facts: ServerFacts, label: str) -> list[str]:
    """One sentence for each setting that makes tests slow on the server called ``label``; measured there."""
    if not facts.durable:
        return []
    try:
        durable, not_durable = _commit_time(connection, "on"), _commit_time(connection, "off")
    except psycopg.Error:  # the role may not call pg_logical_emit_message
        return []
    if durable - not_durable < _WORTH_A_NOTE:
        return []
    return [
        f"fsync = on: a commit takes {durable:.1f} ms on {label}, and {not_durable:.1f} ms without waiting"
        " for the disk. If the data on this server may be lost, set fsync = off, synchronous_commit = off and"
        " full_page_writes = off; databases are then made faster, too"
    ]


def _commit_time(connection: psycopg.Connection[Any], synchronous: str) -> float:
    """The median time of a commit, in milliseconds."""
    times = []
    for _ in range(_COMMITS):
        began = time.perf_counter()
        with connection.transaction():
            connection.execute("SELECT set_config('synchronous_commit', %s, true)", [synchronous])
            connection.execute("SELECT pg_logical_emit_message(true, 'pgslate', '')")
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)
