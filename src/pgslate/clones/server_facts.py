"""What has to be known of a server before anything is cloned on it: one query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from pgslate.errors import PrivilegeError

# Settings of a new session that what migrations make depends on; a template holds for one value of each.
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


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server as one role sees it. ``now`` is by its clock; ``locale`` that of new databases.

    ``may_create`` is whether the role may create databases. ``durable`` is ``fsync``. ``counts``: a superuser
    can prove by counters what a session did (see ``reuse``). ``extensions`` are the versions that CREATE
    EXTENSION would install.
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
        """Raise PrivilegeError where the role may not make databases."""
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
    assert row is not None, "template0 and the current role are there on every server"
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
