"""What is on a server: its databases, by what their names say."""

from __future__ import annotations

from pgslate.clones import database_names
from pgslate.targets.embedded.server import Server


def databases_named(server: Server, pattern: str) -> list[str]:
    """The databases whose names match the regular expression."""
    with server.target().connect(autocommit=True) as connection:
        rows = connection.execute(
            "SELECT datname::text FROM pg_database WHERE datname ~ %s ORDER BY 1", [pattern]
        )
        return [row[0] for row in rows]


def clones(server: Server) -> list[str]:
    """The clones on the server."""
    return databases_named(server, database_names.CLONES)


def templates(server: Server) -> list[str]:
    """The templates on the server, finished or not."""
    return databases_named(server, database_names.TEMPLATES)


def tables_of(dsn: str) -> list[str]:
    """The tables in the schema public of a database."""
    import psycopg

    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
        )
        return [row[0] for row in rows]
