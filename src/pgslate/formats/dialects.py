"""Folders that serve several databases: ``001_users.postgres.up.sql`` beside ``001_users.mysql.up.sql``.

Source: Pop's ``migration_info.go``: a file that names PostgreSQL stands for the one of that name which names
no database, and a file of another database is not for us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_DIALECT = re.compile(
    r"\.(?:(?P<ours>postgres|postgresql|pgsql|pg)"
    r"|cockroach|cockroachdb|mysql|mariadb|sqlite|sqlite3|mssql|sqlserver|oracle)"
    r"(?=(?:\.autocommit)?(?:\.up|\.down)?\.sql$)",
    re.IGNORECASE,
)


def for_postgresql(files: Iterable[str]) -> tuple[str, ...]:
    """The files that a PostgreSQL server is meant to get, in the order given.

    >>> for_postgresql(["1_a.mysql.up.sql", "1_a.up.sql", "2_b.postgres.up.sql", "2_b.up.sql"])
    ('1_a.up.sql', '2_b.postgres.up.sql')
    """
    every = tuple(files)
    named = {file: found for file in every if (found := _DIALECT.search(file))}
    if not named:
        return every
    ours = {_plain(file) for file, found in named.items() if found["ours"]}
    return tuple(
        file for file in every if (named[file]["ours"] if file in named else _plain(file) not in ours)
    )


def _plain(file: str) -> str:
    return re.sub(r"\.autocommit(?=\.)", "", _DIALECT.sub("", file))
