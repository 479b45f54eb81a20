"""The roles that a catalog makes, which no dump of a database has: they are the whole server's.

A role that is there already is left as it is, since other databases rely on it.

Source: ``dumpRoles``, ``dumpRoleMembership`` and ``dumpUserConfig`` in src/bin/pg_dump/pg_dumpall.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from pgslate.schema.database_settings import set_clause, set_here

_ROLES = """
SELECT r.oid::int8, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
    r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text,
    ARRAY(SELECT config FROM pg_catalog.pg_db_role_setting s, unnest(s.setconfig) config
          WHERE s.setrole = r.oid AND s.setdatabase = 0 AND config !~ '^pg_[^.=]*=') AS settings,
    ARRAY(SELECT config FROM pg_catalog.pg_db_role_setting s
          JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) config
          WHERE d.datname = pg_catalog.current_database() AND s.setrole = r.oid
              AND config !~ '^pg_[^.=]*=') AS settings_here
FROM pg_catalog.pg_roles r WHERE r.oid >= 16384 AND r.rolname <> current_user ORDER BY r.oid"""

_MEMBERS = """
SELECT m.roleid::int8, m.member::int8, g.rolname, r.rolname, bool_or(m.admin_option)
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles r ON r.oid = m.member
WHERE m.member >= 16384 AND r.rolname <> current_user
GROUP BY 1, 2, 3, 4 ORDER BY 1, 2"""

_MAY_READ_PASSWORDS = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
_PASSWORDS = "SELECT oid::int8, rolpassword FROM pg_catalog.pg_authid WHERE rolpassword IS NOT NULL"

_MAKE = """\
DO $pgslate$BEGIN
    {};
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END$pgslate$;"""


@dataclass(frozen=True, slots=True)
class RoleText:
    """The SQL that makes a role, or a membership: ``oids`` are the roles that it is about."""

    oids: tuple[int, ...]
    name: str
    text: str


def texts_of(connection: psycopg.Connection[Any]) -> Iterator[RoleText]:
    """The roles of a server but the connection's own and those of initdb, and then who is a member of which.

    Where the connection may not read passwords, the roles come without.
    """
    row = connection.execute(_MAY_READ_PASSWORDS).fetchone()
    passwords = dict(connection.execute(_PASSWORDS).fetchall()) if row and row[0] else {}
    for oid, name, *attributes, settings, here in connection.execute(_ROLES).fetchall():
        yield RoleText((oid,), name, _role(name, attributes, passwords.get(oid), settings, here))
    for granted_oid, member_oid, granted, member, admin in connection.execute(_MEMBERS).fetchall():
        grant = sql.SQL("GRANT {} TO {}").format(sql.Identifier(granted), sql.Identifier(member))
        text = grant.as_string() + (" WITH ADMIN OPTION;" if admin else ";")
        yield RoleText((granted_oid, member_oid), f"{granted} TO {member}", text)


def _role(
    name: str, attributes: list[Any], password: str | None, settings: list[str], here: list[str]
) -> str:
    superuser, inherits, makes_roles, makes_databases, logs_in, replicates, bypasses, limit, until = (
        attributes
    )
    words = [
        word
        for word, holds in (
            ("SUPERUSER", superuser),
            ("NOINHERIT", not inherits),
            ("CREATEROLE", makes_roles),
            ("CREATEDB", makes_databases),
            ("LOGIN", logs_in),
            ("REPLICATION", replicates),
            ("BYPASSRLS", bypasses),
            (f"CONNECTION LIMIT {limit}", limit != -1),
        )
        if holds
    ]
    if password is not None:
        words.append(sql.SQL("PASSWORD {}").format(sql.Literal(password)).as_string())
    if until is not None:
        words.append(sql.SQL("VALID UNTIL {}").format(sql.Literal(until)).as_string())
    role = sql.Identifier(name).as_string()
    made = [" ".join(["CREATE ROLE", role, *words])]
    made += [f"ALTER ROLE {role}{set_clause(each).as_string()}" for each in settings]
    texts = [_MAKE.format(";\n    ".join(made))]
    texts += [set_here(f"ALTER ROLE {role} IN DATABASE", each).rstrip("\n") for each in here]
    return "\n".join(texts)
