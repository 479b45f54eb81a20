"""The properties of a template that CREATE DATABASE doesn't copy: settings of the database, and rights on it.

A migration may ``ALTER DATABASE ... SET search_path`` or ``REVOKE CONNECT``, and the clone must have the
same. Few templates have such properties; for the others nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgslate.schema.database_settings import set_clause


@dataclass(frozen=True, slots=True)
class Grant:
    """A right on a database; ``to`` is a role, None for PUBLIC."""

    right: str
    to: str | None
    grantable: bool


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of the template with that ``oid``.

    ``settings`` are pairs of a role (None for every role) and ``name=value``. ``grants`` is None if nobody
    ever changed the rights.
    """

    oid: int
    settings: tuple[tuple[str | None, str], ...] = ()
    grants: tuple[Grant, ...] | None = None


COLUMNS = """datistemplate AND NOT datallowconn AS is_sealed, d.oid::int8 AS origin_oid,
    (SELECT json_agg(json_build_array(r.rolname, config))
     FROM pg_catalog.pg_db_role_setting s LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole,
        unnest(s.setconfig) config
     WHERE s.setdatabase = d.oid AND config !~ '^pg_[^.=]*=' AND (s.setrole = 0 OR r.oid IS NOT NULL)
    ) AS settings,
    CASE WHEN datacl IS NOT NULL THEN
        (SELECT coalesce(json_agg(json_build_array(a.privilege_type, r.rolname, a.is_grantable)), '[]')
         FROM aclexplode(datacl) a LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
         WHERE a.grantee <> d.datdba AND (a.grantee = 0 OR r.oid IS NOT NULL)) END AS grants"""
"""The SQL columns that ``properties_of`` takes; ``d`` is the row of pg_database."""


def properties_of(
    is_sealed: bool | None, oid: int, settings: list[Any] | None, grants: list[Any] | None
) -> Properties | None:
    """The properties of a template, from its ``COLUMNS``; None if it is no longer sealed."""
    if not is_sealed:
        return None
    return Properties(
        oid,
        tuple((role, config) for role, config in settings or ()),
        None if grants is None else tuple(Grant(*grant) for grant in grants),
    )


def repeat(connection: psycopg.Connection[Any], properties: Properties, name: str) -> None:
    """Give the database ``name`` these properties, in one round trip."""
    statements = list(_statements(properties, sql.Identifier(name)))
    if statements:
        connection.execute(sql.SQL("; ").join(statements), prepare=False)


def _statements(properties: Properties, database: sql.Identifier) -> list[sql.Composed]:
    found: list[sql.Composed] = []
    for role, config in properties.settings:
        whose = (
            sql.SQL("ALTER DATABASE {}").format(database)
            if role is None
            else sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
        )
        found.append(whose + set_clause(config))
    if properties.grants is not None:
        found.append(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for grant in properties.grants or ():
        found.append(
            sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                sql.SQL(grant.right),
                database,
                sql.SQL("PUBLIC") if grant.to is None else sql.Identifier(grant.to),
                sql.SQL(" WITH GRANT OPTION" if grant.grantable else ""),
            )
        )
    return found
