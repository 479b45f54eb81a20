"""Databases that are given back one at a time, and what becomes of them."""

from __future__ import annotations

from typing import Any

from pgslate.clones.clone import Clone
from pgslate.clones.database_copy import CloneMaker
from pgslate.clones.databases import Databases
from pgslate.clones.recycler import Recycler


class Stall:
    """Databases with every table of a project, made when asked for; nothing happens behind one's back."""

    def __init__(self, databases: Databases) -> None:
        self.databases = databases
        self.registry = databases.registry
        self.recycler = Recycler(databases.registry)
        self.template = databases.prepare()
        self.untouched = self.new()

    def new(self) -> Clone:
        """A database that nobody has had yet."""
        with self.registry.connect() as connection:
            made = CloneMaker(self.registry, self.recycler).make(connection, self.template)
            connection.execute("UPDATE clone SET state = 'taken' WHERE name = %s", [made.name])
        return self._clone(made.name)

    def used(self, *statements: str) -> Clone:
        """A new database in which the statements were executed, one after the other."""
        clone = self.new()
        with clone.connect(autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return clone

    def again(self, clone: Clone) -> Clone:
        """Give a database back, and take it again; raises NotReusableError where it is to be dropped."""
        self.registry.mark_returning(clone.name)
        with self.registry.connect() as connection:
            name = self.recycler.reset(connection, clone.name)
            connection.execute("UPDATE clone SET state = 'taken' WHERE name = %s AND state = 'ready'", [name])
        return self._clone(name)

    def visitors(self, clone: Clone) -> int:
        """How many sessions are in a database."""
        row = self.registry.run(
            lambda c: c.execute(
                "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = %s", [clone.name]
            ).fetchone()
        )
        assert row is not None
        return int(row[0])

    def states(self) -> dict[str, str]:
        """What the registry says of the databases, by name."""
        standing = self.registry.clones("making", "ready", "taken", "returning", "kept", "done")
        return {one.name: one.state for one in standing}

    def _clone(self, name: str) -> Clone:
        return Clone(self.databases.server, name)


def oid_of(databases: Databases, name: str) -> int | None:
    """What a database keeps when it has another name; None where there is none of that name."""
    row: Any = databases.registry.run(
        lambda c: c.execute(
            "SELECT oid::int8 FROM pg_catalog.pg_database WHERE datname = %s", [name]
        ).fetchone()
    )
    return None if row is None else int(row[0])


def name_of(databases: Databases, oid: int) -> str | None:
    """The name that a database has now; None where it was dropped."""
    row: Any = databases.registry.run(
        lambda c: c.execute(
            "SELECT datname::text FROM pg_catalog.pg_database WHERE oid::int8 = %s", [oid]
        ).fetchone()
    )
    return None if row is None else str(row[0])
