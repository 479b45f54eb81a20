"""A server that somebody runs already, in place of the embedded one: ``--test-dsn URL``."""

from __future__ import annotations

from typing import NoReturn

import pytest
from psycopg import sql

from pgslate.targets.database_removal import remove_database
from pgslate.targets.target import Target, dsn_with


class GivenServer:
    """The databases of a server that is not ours to stop.

    A test that asks for anything that only an embedded server has, such as its log, is skipped.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        with Target(dsn).connect() as connection:
            self.major = connection.info.server_version // 10000

    def dsn(self, dbname: str = "postgres", user: str | None = None) -> str:
        """A URL of a database of the server, by default as the user of ``--test-dsn``."""
        return dsn_with(self._dsn, dbname=dbname, **({"user": user} if user else {}))

    def target(self, dbname: str = "postgres") -> Target:
        """A database of the server as a target."""
        return Target(self.dsn(dbname))

    def create_database(self, name: str, *, template: str = "template1") -> Target:
        """Make a database and return it. Raises psycopg's errors."""
        with self.target().connect(autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return self.target(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, if it is there, whoever is connected to it."""
        with self.target().connect(autocommit=True) as connection:
            remove_database(self.target(), connection, name)

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"needs an embedded server: one that is given has no {name}")
