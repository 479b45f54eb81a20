"""The rights of the service's database role: insert and select, and nothing else."""

from __future__ import annotations

import psycopg
from psycopg.sql import SQL, Composed, Identifier

#: Written by triggers, as their owner; the role reads it.
READ_ONLY = ("audit_event_chain", "audit_event_ids")

# Partitions are left out: a row that is inserted into one directly would have no link in the chain.
_TABLES = SQL("""
    SELECT c.relname, c.relkind = 'v' OR c.relname = ANY (%s) FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
    ORDER BY c.relname
""")


def grant(owner: psycopg.Connection, role: str, *, password: str | None = None) -> list[str]:
    """Makes ``role`` where it isn't there, and gives it its rights; the tables it got them on.

    Every right beyond them on these tables is taken away. ``owner`` may create roles, and owns the tables.
    Raises psycopg's errors.
    """
    with owner.transaction():
        known = owner.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        if known is None:
            owner.execute(SQL("CREATE ROLE {} LOGIN NOINHERIT").format(Identifier(role)))
        if password is not None:
            owner.execute(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(role), password))
        tables = owner.execute(_TABLES, [list(READ_ONLY)]).fetchall()
        # Everybody has it unless it was taken from PUBLIC: a right that isn't needed is one to explain.
        if owner.execute("SELECT has_schema_privilege(%s, 'public', 'USAGE')", [role]).fetchone() == (False,):
            owner.execute(SQL("GRANT USAGE ON SCHEMA public TO {}").format(Identifier(role)))
        for table, read_only in tables:
            for statement in _rights(table, role, SQL("SELECT") if read_only else SQL("SELECT, INSERT")):
                owner.execute(statement)
        owner.execute(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {}").format(Identifier(role)))
    return [table for table, _ in tables]


def _rights(table: str, role: str, rights: SQL) -> tuple[Composed, Composed]:
    return (
        SQL("REVOKE ALL ON public.{} FROM {}").format(Identifier(table), Identifier(role)),
        SQL("GRANT {} ON public.{} TO {}").format(rights, Identifier(table), Identifier(role)),
    )
