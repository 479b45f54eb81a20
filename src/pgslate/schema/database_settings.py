"""The settings of a database, ``ALTER DATABASE ... SET``, which neither a dump nor a copy of it has.

PostgreSQL keeps each as ``name=value`` (pg_db_role_setting.setconfig). A value that is a list of names is
kept as SQL would read it, quoted where need be, so that it has to be taken apart again.

Source: ``makeAlterConfigCommand`` and ``variable_is_guc_list_quote`` in src/bin/pg_dump/dumputils.c.
"""

from __future__ import annotations

import re

from psycopg import sql

_LISTS = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)

_ITEM = re.compile(r'"((?:[^"]|"")*)"|([^\s,]+)')


# In a script that doesn't know the name of the database that it runs in.
_HERE = """\
DO $pgslate$BEGIN EXECUTE pg_catalog.concat({},
    pg_catalog.quote_ident(pg_catalog.current_database()), {}); END$pgslate$;
"""


def set_here(alter: str, config: str) -> str:
    """SQL that gives a setting to the database it runs in; ``alter`` is ``ALTER DATABASE``, or a role's."""
    return _HERE.format(sql.quote(f"{alter} "), sql.quote(set_clause(config).as_string()))


def set_clause(config: str) -> sql.Composed:
    """What to put behind ``ALTER DATABASE name`` or ``ALTER ROLE name IN DATABASE name`` for a setting.

    >>> print(set_clause('search_path="$user", app').as_string())
     SET "search_path" TO '$user', 'app'
    >>> print(set_clause("app.greeting=a, b").as_string())
     SET "app.greeting" TO 'a, b'
    """
    name, _, value = config.partition("=")
    values = [value]
    if name.lower() in _LISTS:
        values = [
            quoted.replace('""', '"') if item.startswith('"') else bare
            for item, quoted, bare in ((found[0], found[1], found[2]) for found in _ITEM.finditer(value))
        ] or [""]
    return sql.SQL(" SET {} TO {}").format(sql.Identifier(name), sql.SQL(", ").join(map(sql.Literal, values)))
