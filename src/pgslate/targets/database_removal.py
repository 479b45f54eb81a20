"""Removes a database of ours, also one in which something holds it: a subscription, a slot, a transaction.

Source: PostgreSQL manual, DROP DATABASE ("Notes") and DROP SUBSCRIPTION ("Notes": a subscription whose slot
can't be dropped is disabled, and its slot unset, before it is dropped).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from pgslate.targets.target import Target


def remove_database(server: Target, connection: psycopg.Connection[Any], name: str) -> None:
    """Drop the database ``name``, if it is there, whoever is connected to it.

    ``connection`` leads to another database of ``server``, and is in autocommit mode. Raises psycopg.Error
    where the role may not drop it.
    """
    from psycopg import errors, sql

    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    try:
        connection.execute(drop)
    except errors.ObjectInUse:
        _let_go(server, connection, name)
        connection.execute(drop)


def _let_go(server: Target, connection: psycopg.Connection[Any], name: str) -> None:
    from psycopg import sql

    with server.with_dbname(name).connect(autocommit=True) as inside:
        for (transaction,) in inside.execute(
            "SELECT gid FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database()"
        ).fetchall():
            inside.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(transaction)))
        for (subscription,) in inside.execute(
            "SELECT s.subname::text FROM pg_catalog.pg_subscription s"
            " JOIN pg_catalog.pg_database d ON d.oid = s.subdbid"
            " WHERE d.datname = pg_catalog.current_database()"
        ).fetchall():
            identifier = sql.Identifier(subscription)
            inside.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(identifier))
            inside.execute(sql.SQL("ALTER SUBSCRIPTION {} SET (slot_name = NONE)").format(identifier))
            inside.execute(sql.SQL("DROP SUBSCRIPTION {}").format(identifier))
    connection.execute(
        "SELECT pg_catalog.pg_terminate_backend(active_pid, 5000) FROM pg_catalog.pg_replication_slots"
        " WHERE database = %s AND active_pid IS NOT NULL",
        [name],
    )
    connection.execute(
        "SELECT pg_catalog.pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots"
        " WHERE database = %s",
        [name],
    )
