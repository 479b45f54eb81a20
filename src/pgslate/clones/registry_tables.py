"""The book's tables, and the database that they are in: made by the first who needs them."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
from psycopg import sql

from pgslate.clones import database_names
from pgslate.clones.connections import Note, connect_patiently
from pgslate.clones.server_facts import facts_of
from pgslate.errors import PrivilegeError
from pgslate.targets.target import Target

SCHEMA = "pgslate_2"
"""The book's schema; its number changes with its tables (see ``other_books``)."""

_MAKE = """
SET LOCAL client_min_messages = warning;
SELECT pg_advisory_xact_lock(hashtextextended('pgslate.book', 0));
CREATE SCHEMA IF NOT EXISTS pgslate_2;
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate_2.life (began timestamptz NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate_2.template (
    name text PRIMARY KEY, role name NOT NULL DEFAULT current_user, tables text NOT NULL,
    form text NOT NULL, used timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate_2.clone (
    name text PRIMARY KEY, role name NOT NULL DEFAULT current_user, template text NOT NULL,
    state text NOT NULL CHECK (state IN ('making', 'ready', 'taken', 'returning', 'kept', 'done')),
    runner int8 NOT NULL, until timestamptz NOT NULL, what text NOT NULL DEFAULT '',
    own int8, origin int8, counted timestamptz);
CREATE INDEX IF NOT EXISTS clone_ready ON pgslate_2.clone (template, name) WHERE state = 'ready';
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate_2.timing (
    template text NOT NULL, role name NOT NULL DEFAULT current_user, strategy text NOT NULL,
    milliseconds float8 NOT NULL);
CREATE UNLOGGED TABLE IF NOT EXISTS pgslate_2.fresh (
    origin int8 PRIMARY KEY, role name NOT NULL DEFAULT current_user, said jsonb NOT NULL);
ALTER TABLE pgslate_2.template ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate_2.clone ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate_2.timing ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE pgslate_2.fresh ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own ON pgslate_2.template;
DROP POLICY IF EXISTS own ON pgslate_2.clone;
DROP POLICY IF EXISTS own ON pgslate_2.timing;
DROP POLICY IF EXISTS own ON pgslate_2.fresh;
CREATE POLICY own ON pgslate_2.template USING (role = current_user);
CREATE POLICY own ON pgslate_2.clone USING (role = current_user);
CREATE POLICY own ON pgslate_2.timing USING (role = current_user);
CREATE POLICY own ON pgslate_2.fresh USING (role = current_user);
GRANT USAGE ON SCHEMA pgslate_2 TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA pgslate_2 TO PUBLIC;
COMMENT ON SCHEMA pgslate_2 IS 'pgslate: which databases of this server are for tests (see pgslate reap)';
"""


def make_database(server: Target, timeout: float, note: Note) -> None:
    """Make the book's database, if nobody else just did. Raises PrivilegeError where the role may not."""
    with connect_patiently(server, timeout=timeout, note=note, autocommit=True) as connection:
        facts_of(connection).require_createdb(server.label)
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(database_names.BOOK))
        with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(create)


def make_tables(connection: psycopg.Connection[Any], server: Target) -> None:
    """Make the book's tables, or what is missing of them. Raises PrivilegeError where the role may not."""
    try:
        with connection.transaction():
            connection.execute(_MAKE.encode(), prepare=False)
    except psycopg.errors.InsufficientPrivilege as error:
        raise PrivilegeError(
            f"the database {database_names.BOOK} of {server.label} is another role's,"
            f" and has no {SCHEMA} yet",
            fix=f"run once as its owner, or GRANT CREATE ON DATABASE {database_names.BOOK} TO this role",
            right="CREATE",
            on=database_names.BOOK,
        ) from error
